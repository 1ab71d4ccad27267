# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`IndexClient` in process: what the HTTP routes do, behind the same scope and role. For `ndi/assembly.py` alone."""

from collections.abc import Sequence

from consent.client import ConsentClient
from fhir_server.context import Context
from fhir_server.crypto import Cipher
from fhir_server.outcome import Forbidden
from identifiers.person_key import PersonKeys
from identifiers.person_number import PersonIdentifier
from patient_index import changes, holders, locate
from patient_index.store import AsyncEngine, IndexStore
from patient_index.values import Changes, Entry, Located
from provider_catalog.client import CatalogClient


class LocalIndex:
    """The index's operations for callers in the same process. Audit entries go to the caller's context."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        keys: PersonKeys,
        cipher: Cipher,
        consent: ConsentClient,
        catalog: CatalogClient,
    ) -> None:
        store = IndexStore(engine)
        self._locate = locate.Locate(store, keys, consent, catalog)
        self._holders = holders.Holders(store, catalog)
        self._feed = changes.Feed(store, cipher)

    async def locate(
        self, context: Context, identifier: PersonIdentifier, information_types: Sequence[str] = ()
    ) -> Located:
        """See `IndexClient.locate`."""
        _require(context, locate.SCOPE)
        return await self._locate.do(context, identifier, information_types)

    async def holders(self, context: Context) -> Sequence[Entry]:
        """See `IndexClient.holders`."""
        _require(context, holders.SCOPE)
        return await self._holders.do(context)

    async def changes(
        self, context: Context, cursor: str | None, information_types: Sequence[str], limit: int
    ) -> Changes:
        """See `IndexClient.changes`."""
        _require(context, changes.SCOPE)
        if not changes.ROLES & context.caller.roles:
            raise Forbidden(f"this needs one of the roles {', '.join(sorted(changes.ROLES))}", code="insufficient-role")
        return await self._feed.do(context, cursor, information_types, limit)


def _require(context: Context, scope: tuple[str, str]) -> None:
    if not context.caller.may(*scope):
        raise Forbidden(f"the token lacks the scope {scope[0]}.{scope[1]}", code="insufficient-scope")
