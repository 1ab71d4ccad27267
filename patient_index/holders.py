# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient/$holders: the person sees every actor that holds something about her, blocked or not.

Ours. Direct access of the person: PDL 5 kap. 5 §; EHDS Article 3. Her own blocks do not bind her.
"""

from collections.abc import Sequence
from typing import Final

from fhir_server.context import Answer, AuditEntry, CallerKind, Context
from fhir_server.outcome import Forbidden
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from patient_index.entries import named
from patient_index.store import IndexStore
from patient_index.values import Entry
from patient_index.wire import entry_parts
from provider_catalog.client import CatalogClient

SCOPE: Final = ("Patient", "r")


class Holders:
    """The operation with what it is built from."""

    def __init__(self, store: IndexStore, catalog: CatalogClient) -> None:
        self._store, self._catalog = store, catalog

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers `$holders`: entry 0..*, newest first. No input: the person is the caller."""
        answer = Parameters()
        for each in await self.do(context):
            answer.add("entry", part=entry_parts(each))
        return Answer(answer.resource())

    async def do(self, context: Context) -> Sequence[Entry]:
        """See `IndexClient.holders`. Raises `Forbidden` unless the caller is a patient."""
        person = context.caller.person
        if context.caller.kind is not CallerKind.patient or person is None:
            raise Forbidden("only the person herself may ask who holds everything", code="not-the-person")
        context.decided = True  # the decision: the caller is the person
        entries = await self._store.of_person(person)
        context.record(
            AuditEntry(
                operation="holders",
                person=person,
                ground="self",
                reason="SELF",
                law="PDL 5 kap. 5 §",
                count=len(entries),
            )
        )
        return await named(context, self._catalog, entries)
