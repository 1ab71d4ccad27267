# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Evaluation of an event: fetch what the unit holds now, and reduce it to the register's variables."""

from typing import Any

from fhir_server.context import Context
from fhir_server.outcome import BadGateway
from gateway.client import Fetched, GatewayClient
from transfer.model.register import Register
from transfer.model.variables import RESOURCES, Found, found
from transfer.store import Event


async def evaluate(context: Context, event: Event, register: Register, gateway: GatewayClient) -> tuple[Found, ...]:
    """What the unit holds now; without an entry left in the index it holds nothing and is not asked.

    Raises what the gateway raises, and `BadGateway` if the source was silent, failed, or gives no record although
    the index names one: nothing is concluded from the silence of a source, least of all an erasure.
    """
    if event.identifier is None:
        return ()
    resource_type = RESOURCES[event.information_type]
    fetched = await gateway.fetch_from(context, event.identifier, resource_type, event.unit, register.hsa_id)
    _check(fetched)
    holds = tuple(found(each, event.unit, register.required) for each in _resources(fetched, resource_type))
    if not holds:
        raise BadGateway("the source gives no record although the index names one", code="source-empty")
    return holds


def _check(fetched: Fetched) -> None:
    for source in fetched.sources:
        if source.status != "answered":
            raise BadGateway(f"the source is {source.status}", code=f"source-{source.status}")
    if not fetched.complete:
        raise BadGateway("the answer is not complete", code="source-incomplete")


def _resources(fetched: Fetched, resource_type: str) -> list[dict[str, Any]]:
    resources = []
    for entry in fetched.bundle.get("entry") or ():
        resource = entry.get("resource") or {}
        if (
            resource.get("resourceType") == resource_type
            and (entry.get("search") or {}).get("mode", "match") == "match"
        ):
            resources.append(resource)
    return resources
