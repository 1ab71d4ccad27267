# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Whose a Subscription is: the client, organisation, user and person that made it; operators see all of them.

The owner stands in the resource as a digest that says nothing to others, so that searches are confined as everywhere.
"""

from collections.abc import Mapping
from typing import Any, Final

from fhir_server.bulk.callers import owner
from fhir_server.context import Caller, Context
from fhir_server.outcome import NotFound
from fhir_server.policy import EVERYTHING, Policy

OWNER: Final = "https://ndi.example/fhir/StructureDefinition/subscription-owner"


def is_operator(caller: Caller) -> bool:
    """Whether the caller runs the infrastructure."""
    return "operator" in caller.roles


def owner_of(resource: Mapping[str, Any]) -> str | None:
    """The owner as it stands in the resource."""
    for each in resource.get("extension", ()):
        if each.get("url") == OWNER:
            value = each.get("valueString")
            return value if isinstance(value, str) else None
    return None


def owned(resource: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """The resource with its owner: who writes it, except that an operator leaves it to whom it belongs."""
    mine = owner(caller).hex()
    whose = (owner_of(resource) or mine) if is_operator(caller) else mine
    others = [each for each in resource.get("extension", ()) if each.get("url") != OWNER]
    return {**resource, "extension": [*others, {"url": OWNER, "valueString": whose}]}


class OwnerOnly:
    """The `Guard` of Subscriptions: another's is as if it did not exist."""

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        """Raises `NotFound` unless it is the caller's own."""
        context.decided = True
        if resource is None or is_operator(context.caller):
            return
        if owner_of(resource) != owner(context.caller).hex():
            raise NotFound("no Subscription with this id")

    async def policy(self, context: Context) -> Policy:
        """What the caller may find."""
        context.decided = True
        if is_operator(context.caller):
            return EVERYTHING
        return Policy(custodians=frozenset({owner(context.caller).hex()}))
