# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`GatewayClient` in process: what the HTTP routes do, behind the same scope and role. For `ndi/assembly.py` alone."""

import httpx2

from consent.client import ConsentClient
from fhir_server.context import Context
from fhir_server.outcome import Forbidden
from gateway import fetch_from, search
from gateway.app import create_federation
from gateway.client import Fetched
from gateway.settings import GatewaySettings
from gateway.store import AsyncEngine
from identifiers.person_key import PersonKeys
from identifiers.person_number import PersonIdentifier
from patient_index.client import IndexClient
from provider_catalog.client import CatalogClient
from terminology.client import TerminologyClient


class LocalGateway:
    """The gateway's reads for callers in the same process. Audit entries go to the caller's context."""

    def __init__(
        self,
        *,
        engine: AsyncEngine | None,
        keys: PersonKeys,
        index: IndexClient,
        catalog: CatalogClient,
        consent: ConsentClient,
        terminology: TerminologyClient,
        http: httpx2.AsyncClient,
        settings: GatewaySettings,
    ) -> None:
        self._federation = create_federation(
            engine=engine,
            keys=keys,
            index=index,
            catalog=catalog,
            consent=consent,
            terminology=terminology,
            http=http,
            settings=settings,
        )

    async def search(self, context: Context, identifier: PersonIdentifier, resource_type: str) -> Fetched:
        """See `GatewayClient`."""
        _require(context, frozenset())
        return await self._federation.search(context, identifier, resource_type)

    async def fetch_from(
        self, context: Context, identifier: PersonIdentifier, resource_type: str, unit: str, register: str
    ) -> Fetched:
        """See `GatewayClient`."""
        _require(context, fetch_from.ROLES)
        return await self._federation.fetch_from(
            context,
            identifier,
            resource_type,
            fetch_from.hsa_in(unit, "unit"),
            fetch_from.hsa_in(register, "register"),
        )


def _require(context: Context, roles: frozenset[str]) -> None:
    if not context.caller.may(*search.SCOPE):
        raise Forbidden(f"the token lacks the scope {search.SCOPE[0]}.{search.SCOPE[1]}", code="insufficient-scope")
    if roles and not roles & context.caller.roles:
        raise Forbidden(f"this needs one of the roles {', '.join(sorted(roles))}", code="insufficient-role")
