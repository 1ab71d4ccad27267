# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `gateway`: fetch one FHIR view of what the sources hold, and write back."""

from typing import Protocol

import httpx2

from fhir_server.context import Context
from fhir_server.parameters import Parameters
from fhir_server.remote import call
from gateway.model.status import STATUS_EXTENSION, Fetched, SourceStatus
from identifiers.person_number import PersonIdentifier

__all__ = ["STATUS_EXTENSION", "Fetched", "GatewayClient", "HttpGateway", "SourceStatus"]


class GatewayClient(Protocol):
    """How other services read through the gateway."""

    async def search(self, context: Context, identifier: PersonIdentifier, resource_type: str) -> Fetched:
        """What the caller may read about the person, merged over all sources.

        Raises `Forbidden` with the law's reason if nothing may be read, `BadGateway` if every source failed.
        """
        ...

    async def fetch_from(
        self, context: Context, identifier: PersonIdentifier, resource_type: str, unit: str, register: str
    ) -> Fetched:
        """One unit's records for a quality register, mapped to FHIR. Role transfer."""
        ...


class HttpGateway:
    """`GatewayClient` over HTTP, on the caller's behalf."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: the gateway's FHIR base, e.g. http://127.0.0.1:8700/gateway/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def search(self, context: Context, identifier: PersonIdentifier, resource_type: str) -> Fetched:
        """See `GatewayClient`; the identifier travels in the body."""
        form = {"patient.identifier": f"{identifier.system}|{identifier.value}"}
        resource = await call(self._http, context, "POST", f"{self._base}/{resource_type}/_search", form=form)
        return Fetched.of(resource)

    async def fetch_from(
        self, context: Context, identifier: PersonIdentifier, resource_type: str, unit: str, register: str
    ) -> Fetched:
        """See `GatewayClient`."""
        asked = (
            Parameters()
            .add("identifier", valueIdentifier={"system": identifier.system, "value": identifier.value})
            .add("unit", valueString=unit)
            .add("register", valueString=register)
        )
        url = f"{self._base}/{resource_type}/$for-register"
        return Fetched.of(await call(self._http, context, "POST", url, asked.resource()))
