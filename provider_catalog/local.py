# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The catalogue in process: the same answers as over HTTP, without the wire."""

from collections.abc import Sequence

from fhir_server.context import Context
from provider_catalog.client import Organisation, Place, ProviderState, ResolvedEndpoint
from provider_catalog.resolve import Query, hsa_id, resolve
from provider_catalog.store import AsyncEngine, CatalogStore


class LocalCatalog:
    """`CatalogClient` on the catalogue's own store."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._store = CatalogStore(engine)

    async def resolve(
        self, context: Context, unit: str, information_type: str, source_system: str | None = None
    ) -> ResolvedEndpoint | None:
        """See `CatalogClient`."""
        (found,) = await self.resolve_many(context, [Place(unit, information_type, source_system)])
        return found

    async def resolve_many(self, context: Context, places: Sequence[Place]) -> list[ResolvedEndpoint | None]:
        """See `CatalogClient`."""
        queries = [Query.of(*place) for place in places]
        return [each.endpoint for each in await resolve(self._store, context, queries)] if queries else []

    async def organisations(self, context: Context, hsa_ids: Sequence[str]) -> dict[str, Organisation]:
        """See `CatalogClient`."""
        return await self._store.organisations([hsa_id(each) for each in hsa_ids]) if hsa_ids else {}

    async def providers(self, context: Context) -> Sequence[ProviderState]:
        """See `CatalogClient`."""
        return await self._store.providers(context)
