# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient/$state-care-relation: staff state that a current care relation exists (aktuell patientrelation).

SVOD 3 kap. 1 § first paragraph 1. The statement is kept with its reason for follow-up (PDL 4 kap. 3 §).
"""

from datetime import datetime, timedelta
import re
from typing import Final

from consent.decide import person_in
from consent.model.document import CareRelation
from consent.model.period import Period
from consent.store import ConsentStore
from fhir_server.context import Answer, AuditEntry, CallerKind, Context
from fhir_server.ids import uuid7
from fhir_server.outcome import Forbidden, Invalid
from fhir_server.parameters import Parameters
from fhir_server.resource import instant
from fhir_server.service import Request
from identifiers.person_key import PersonKey, PersonKeys

MAX_HOURS: Final = 72
_MAX_REASON: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{6}")


async def handle(store: ConsentStore, keys: PersonKeys, context: Context, request: Request) -> Answer:
    """Answers until when the relation holds.

    in:  identifier 0..1 Identifier or person 0..1 string (key), reason 1..1 string, hours 1..1 integer (1-72)
    out: until 1..1 instant
    Raises `Forbidden` unless the caller is staff with an assignment, `Invalid` on faulty hours or reason.
    """
    asked = request.parameters()
    until = await state(
        store, context, person_in(asked, keys), asked.required("reason", str), asked.required("hours", int)
    )
    return Answer(Parameters().add("until", valueInstant=instant(until)).resource())


async def state(store: ConsentStore, context: Context, person: PersonKey, reason: str, hours: int) -> datetime:
    """Puts the relation in force from now; gives its end, with the precision of an instant."""
    caller = context.caller
    if caller.kind is not CallerKind.staff or caller.organisation is None or caller.user is None:
        raise Forbidden("a care relation is stated by staff of a care provider", code="only-staff")
    if not 1 <= hours <= MAX_HOURS:
        raise Invalid(f"hours must be 1-{MAX_HOURS}", expression="Parameters.parameter", code="hours-out-of-range")
    reason = reason.strip()
    if not 1 <= len(reason) <= _MAX_REASON or _NUMBER.search(reason):
        raise Invalid(f"reason is 1-{_MAX_REASON} characters and holds no numbers", expression="Parameters.parameter")
    start = context.now
    end = (start + timedelta(hours=hours)).replace(microsecond=0)
    relation = CareRelation(
        id=str(uuid7(start)),
        provider=caller.organisation.upper(),
        unit=caller.unit.upper() if caller.unit else None,
        user=caller.user,
        period=Period(start, end),
    )
    await store.add_relation(person, relation, reason, start)
    context.decided = True
    context.record(
        AuditEntry(
            operation="state-care-relation",
            action="C",
            person=person,
            ground="care-relation",
            law="SVOD 3 kap. 1 § första stycket 1",
            detail={"hours": hours},
        )
    )
    return end
