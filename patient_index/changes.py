# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""DocumentReference/$changes: what changed in the index, for consumers that act on events (register transfer).

Ours. The caller's role is the ground here; before anything leaves for a register, transfer asks consent for each
person (PDL 7 kap. 2 §).
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from fhir_server.context import Answer, AuditEntry, Context
from fhir_server.crypto import Cipher, Undecryptable
from fhir_server.outcome import Invalid
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from identifiers.person_number import PersonIdentifier
from patient_index.entries import bare
from patient_index.locate import information_types_in
from patient_index.store import FeedRow, IndexStore, Position
from patient_index.values import Change, Changes
from patient_index.wire import entry_parts, identifier_value

SCOPE: Final = ("DocumentReference", "s")
ROLES: Final = frozenset({"transfer"})
MAX_COUNT: Final = 500
_CURSOR: Final = b"patient_index.changes"


class Feed:
    """The operation with what it is built from."""

    def __init__(self, store: IndexStore, cipher: Cipher) -> None:
        self._store, self._cipher = store, cipher

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers `$changes`.

        in:  cursor 0..1 string, informationType 0..* code, count 0..1 integer (1-500, default 100)
        out: change 0..* (deleted, identifier, entry), cursor 1..1 for the next call
        Raises `Invalid` on a cursor that is not ours.
        """
        asked = request.parameters()
        count = asked.optional("count", int)
        page = await self.do(
            context, asked.optional("cursor", str), information_types_in(asked), 100 if count is None else count
        )
        answer = Parameters()
        for each in page.items:
            answer.add(
                "change",
                part=[
                    {"name": "deleted", "valueBoolean": each.deleted},
                    {"name": "identifier", "valueIdentifier": identifier_value(each.identifier)},
                    {"name": "entry", "part": entry_parts(each.entry)},
                ],
            )
        return Answer(answer.add("cursor", valueString=page.cursor).resource())

    async def do(self, context: Context, cursor: str | None, information_types: Sequence[str], limit: int) -> Changes:
        """See `IndexClient.changes`."""
        if not 1 <= limit <= MAX_COUNT:
            raise Invalid(f"count must be 1 to {MAX_COUNT}")
        after = None if cursor is None else self._position(cursor)
        context.decided = True  # the decision: the role of the caller
        rows, position = await self._store.changes(after, information_types, limit)
        if rows:
            context.record(
                AuditEntry(operation="index-changes", ground="lawful-basis", law="PDL 7 kap.", count=len(rows))
            )
        return Changes(tuple(map(self._change, rows)), self._cursor(position))

    def _change(self, row: FeedRow) -> Change:
        sealed = row.person
        value = self._cipher.decrypt(sealed.sealed, sealed.person.value).decode()
        return Change(
            entry=bare(row.entry),
            identifier=PersonIdentifier(sealed.system, value),
            deleted=row.entry.registration.status != "current",
        )

    def _cursor(self, position: Position) -> str:
        plain = position.transaction.to_bytes(8, "big") + position.entry_key
        return base64.urlsafe_b64encode(self._cipher.encrypt(plain, _CURSOR)).decode()

    def _position(self, cursor: str) -> Position:
        try:
            plain = self._cipher.decrypt(base64.urlsafe_b64decode(cursor.encode()), _CURSOR)
        except (Undecryptable, binascii.Error, UnicodeEncodeError):
            raise Invalid("the cursor is none of this feed; start without one", code="invalid-cursor") from None
        return Position(int.from_bytes(plain[:8], "big"), plain[8:])
