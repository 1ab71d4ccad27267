# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""MeasureReport/$registers: which quality registers there are, and what each holds about the person who asks.

Ours; no specification. PDL (2008:355) 7:3: the person is told of registers and of the right to have data erased.
"""

from collections.abc import Sequence
from typing import Any, Final

from fhir_server.context import Answer, AuditEntry, CallerKind, Context
from fhir_server.outcome import Forbidden
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from transfer.client import RegisterView
from transfer.store import Registers

SCOPE: Final = ("MeasureReport", "s")


async def handle(store: Registers, context: Context, request: Request) -> Answer:
    """Answer every active register.

    in:  nothing
    out: register 0..* {hsaId string, name string, purposeSv string, purposeEn string, records unsignedInt,
         optedOut boolean, lastDelivery 0..1 dateTime, erasedAt 0..1 dateTime}
    Raises `Forbidden` for anyone but a patient: nobody else may learn in which registers a person occurs.
    """
    request.parameters()
    answer = Parameters()
    for view in await registers(store, context):
        answer.add("register", part=_parts(view))
    return Answer(answer.resource())


async def registers(store: Registers, context: Context) -> Sequence[RegisterView]:
    """The registers for the calling patient. Raises `Forbidden` for anyone else."""
    person = context.caller.person
    if context.caller.kind is not CallerKind.patient or person is None:
        raise Forbidden("only the person herself may see what registers hold about her", code="not-own-data")
    context.decided = True  # the decision: it is the person's own
    views = await store.of_person(person)
    held = sum(each.records for each in views)
    context.record(AuditEntry(operation="own-registers", person=person, ground="self", count=held))
    return views


def _parts(view: RegisterView) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "hsaId", "valueString": view.hsa_id},
        {"name": "name", "valueString": view.name},
        {"name": "purposeSv", "valueString": view.purpose_sv},
        {"name": "purposeEn", "valueString": view.purpose_en},
        {"name": "records", "valueUnsignedInt": view.records},
        {"name": "optedOut", "valueBoolean": view.opted_out},
    ]
    for name, moment in (("lastDelivery", view.last_delivery), ("erasedAt", view.erased_at)):
        if moment is not None:
            parts.append({"name": name, "valueDateTime": moment.isoformat()})
    return parts
