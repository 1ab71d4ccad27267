# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The terminology in process: the same answers as over HTTP, without the wire."""

from fhir_server.context import Context
from fhir_server.outcome import NotFound
from terminology.client import Coded, Neighbours, Translation
from terminology.lookup import lookup
from terminology.model import NO_MATCH
from terminology.store import AsyncEngine, MapAsked, TerminologyStore
from terminology.translate import Asked, translate


class LocalTerminology:
    """`TerminologyClient` on the terminology's own store."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._store = TerminologyStore(engine)

    async def lookup(self, context: Context, system: str, code: str) -> Coded | None:
        """See `TerminologyClient`."""
        try:
            found = await lookup(self._store, system, code)
        except NotFound:
            return None
        return Coded(system, code, found.display(), found.system.version)

    async def neighbours(self, context: Context, system: str, code: str) -> Neighbours | None:
        """See `TerminologyClient`."""
        try:
            found = await lookup(self._store, system, code)
        except NotFound:
            return None
        near = await self._store.related(found.system.resource_id, code, found.concept.parent)
        return Neighbours(
            tuple(other for relation, other, _ in near if relation == "parent"),
            tuple(other for relation, other, _ in near if relation == "child"),
        )

    async def translate(
        self, context: Context, system: str, code: str, target_system: str, url: str | None = None
    ) -> tuple[Translation, ...]:
        """See `TerminologyClient`."""
        asked = Asked(MapAsked(url), ((system, code, None),), target_system)
        try:
            found = await translate(self._store, asked)
        except NotFound:
            return ()
        return tuple(
            Translation(match.equivalence, Coded(match.system, match.code, match.display, match.version), match.source)
            for match in found.matches
            if match.code is not None and match.system is not None and match.equivalence not in NO_MATCH
        )
