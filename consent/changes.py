# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Consent/$changes: the feed of consents, blocks and opt-outs, for those who must act on them.

Ours; the need is that of GetBlocks in the national block service. Each change at least once, oldest first.
"""

import base64
import binascii
from typing import Final

from consent.client import ConsentChanges
from consent.store import ConsentStore
from fhir_server.context import Answer, AuditEntry, Context
from fhir_server.outcome import Forbidden, Invalid
from fhir_server.parameters import Parameters
from fhir_server.service import Request

ROLES: Final = frozenset({"transfer", "operator"})
MAX_COUNT: Final = 1000
_DEFAULT: Final = 100


async def handle(store: ConsentStore, context: Context, request: Request) -> Answer:
    """Answers a page.

    in:  cursor 0..1 string, count 0..1 integer (1-1000)
    out: cursor 1..1 string, change * {person, kind, consent, active, register 0..1}
    Raises `Invalid` on a cursor that is not ours.
    """
    asked = request.parameters()
    count = asked.optional("count", int)
    page = await changes(store, context, asked.optional("cursor", str), _DEFAULT if count is None else count)
    answer = Parameters().add("cursor", valueString=page.cursor)
    for each in page.items:
        part = [
            {"name": "person", "valueString": each.person.hex()},
            {"name": "kind", "valueCode": each.kind},
            {"name": "consent", "valueId": each.consent_id},
            {"name": "active", "valueBoolean": each.active},
        ]
        if each.register is not None:
            part.append({"name": "register", "valueString": each.register})
        answer.add("change", part=part)
    return Answer(answer.resource())


async def changes(store: ConsentStore, context: Context, cursor: str | None, limit: int) -> ConsentChanges:
    """A page after the cursor; an empty page gives the cursor back."""
    if not ROLES & context.caller.roles:
        raise Forbidden(f"this needs one of the roles {', '.join(sorted(ROLES))}", code="insufficient-role")
    if not 1 <= limit <= MAX_COUNT:
        raise Invalid(f"count must be 1-{MAX_COUNT}", expression="Parameters.parameter")
    items, position = await store.changes(_position(cursor), limit)
    context.decided = True  # By role: the feed names persons by key and holds no health data.
    if items:  # a poll that finds nothing discloses nothing
        context.record(AuditEntry(operation="consent-changes", count=len(items), ground="lawful-basis"))
    return ConsentChanges(tuple(items), _cursor(position))


def _cursor(position: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{position[0]}.{position[1]}".encode()).decode()


def _position(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    try:
        xid, seq = base64.urlsafe_b64decode(cursor.encode()).decode("ascii").split(".")
        position = int(xid), int(seq)
    except (binascii.Error, ValueError):
        raise Invalid("the cursor is not ours; start without one", expression="Parameters.parameter") from None
    if not all(0 <= each < 2**63 for each in position):
        raise Invalid("the cursor is not ours; start without one", expression="Parameters.parameter")
    return position
