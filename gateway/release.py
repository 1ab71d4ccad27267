# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What of the sources' answers may leave: each record is decided on again, after it was fetched.

The first decision goes by what the index says of a unit; this one by what the record says of itself, its unit and its
time, and it is asked of the authoritative store once more. Fail closed: a record of a unit that was not opened, of
another care provider than the index named, or of an unknown unit where several could be meant, stays here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from consent.client import ConsentClient, Decision, DisclosureMode, Entity, Question
from fhir_server.context import CallerKind, Context
from gateway.ask import Reply
from gateway.model.merge import Part
from gateway.model.record import Record
from gateway.model.status import SourceStatus
from gateway.model.times import moment
from patient_index.client import Entry

_A_CALL = 500
_UNIT_UNKNOWN = "record(s) do not say at which unit they were documented and are withheld"


@dataclass(frozen=True, slots=True)
class Released:
    """The parts that may leave, one for each unit of each system asked."""

    parts: tuple[Part, ...]
    withheld: int
    """Records that stay here."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A record with the index entry it belongs to, if it can be told."""

    record: Record
    entry: Entry | None
    position: int

    @property
    def entity(self) -> Entity | None:
        """What is decided on. A unit that the record does not say is left open: any of the provider's may be meant."""
        if self.entry is None:
            return None
        unit = self.entry.unit if self.record.unit else None
        return Entity(self.entry.custodian, unit, self.entry.information_type, _recorded(self.record))


async def release(
    context: Context,
    consent: ConsentClient,
    question: Question,
    replies: Sequence[Reply],
    records: Mapping[int, Sequence[Record]],
    mode: DisclosureMode,
) -> Released:
    """Sorts the records of each reply (by its position) to the units they belong to.

    In EHDS mode nothing is said of what is withheld: it could tell that something is blocked (EHDS Article 8).
    Raises what the decision raises; without it nothing leaves.
    """
    placed = [
        _Placed(each, _entry_of(each, reply.target.entries), position)
        for position, reply in enumerate(replies)
        for each in records.get(position, ())
    ]
    entities = list(dict.fromkeys(each.entity for each in placed if each.entity))
    decisions = await _decide(context, consent, question, entities)
    is_patient = context.caller.kind is CallerKind.patient
    leaving = [
        each
        for each in placed
        if each.entity is not None
        and decisions[each.entity].permitted
        and (each.record.patient_may_see or not is_patient)
    ]
    parts = []
    for position, reply in enumerate(replies):
        here = [each for each in placed if each.position == position]
        nameless = sum(each.record.unit is None and each not in leaving for each in here)
        for entry in _per_unit(reply.target.entries):
            own = tuple(each.record for each in leaving if each.position == position and each.entry == entry)
            parts.append(_part(reply, entry, own, nameless=nameless if mode is DisclosureMode.SE else 0))
    return Released(tuple(parts), len(placed) - len(leaving))


def _per_unit(entries: Sequence[Entry]) -> list[Entry]:
    """One entry for each unit, the first."""
    return list({_same(each.unit): each for each in reversed(entries)}.values())[::-1]


def _same(hsa_id: str) -> str:
    return hsa_id.strip().upper()


def _entry_of(record: Record, entries: Sequence[Entry]) -> Entry | None:
    units = _per_unit(entries)
    if record.unit is not None:
        units = [each for each in units if _same(each.unit) == _same(record.unit)]
    if record.provider is not None:
        units = [each for each in units if _same(each.custodian) == _same(record.provider)]
    return units[0] if len(units) == 1 else None


def _recorded(record: Record) -> datetime | None:
    try:
        return moment(record.authored) if record.authored else None
    except ValueError:
        return None


async def _decide(
    context: Context, consent: ConsentClient, question: Question, entities: Sequence[Entity]
) -> dict[Entity, Decision]:
    decided: dict[Entity, Decision] = {}
    for some in _batches(entities):
        asked = Question(question.person, question.operation, some, question.register)
        decisions = await consent.decide(context, asked)
        decided.update(zip(some, decisions.items, strict=True))
    return decided


def _batches(entities: Sequence[Entity]) -> Iterator[tuple[Entity, ...]]:
    waiting = iter(entities)
    while some := tuple(islice(waiting, _A_CALL)):
        yield some


def _part(reply: Reply, entry: Entry, records: tuple[Record, ...], *, nameless: int) -> Part:
    status = SourceStatus(
        unit=entry.unit,
        unit_name=entry.unit_name or entry.unit,
        provider=entry.custodian,
        status="failed" if nameless else reply.status,
        detail=f"{nameless} {_UNIT_UNKNOWN}" if nameless else reply.detail,
        milliseconds=reply.milliseconds,
        count=len(records),
    )
    return Part(status, entry.source_system, records, reply.answer.losses if reply.answer else ())
