# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""From what a unit holds now and what the register was sent: what must be sent. Pure; the store carries it out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from transfer.model.variables import Found


class RecordState(Enum):
    """Where a record stands (README.md has the diagram)."""

    pending = "pending"
    """The newest version is on its way."""
    delivered = "delivered"
    """The register acknowledged the newest version."""
    retracting = "retracting"
    """The erasure is on its way."""
    retracted = "retracted"
    """The register confirmed the erasure, or never had the record."""
    quarantined = "quarantined"
    """Seen, never fit to be sent."""


class DeliveryState(Enum):
    """Where a delivery stands in the outbox."""

    queued = "queued"
    sent = "sent"
    """An attempt was begun; whether it arrived is not known."""
    acknowledged = "acknowledged"
    dead = "dead"
    """Refused or given up; an operator decides."""
    cancelled = "cancelled"
    """Overtaken by an opposition or a newer delivery."""


class Kind(Enum):
    """What a delivery asks of the register."""

    upsert = "upsert"
    retract = "retract"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the ledger has it."""

    record_key: str
    source_record: str
    version: int
    """Grows by one with each delivery, retractions included, so that no idempotency key is ever used twice."""
    content_hash: bytes | None
    """Of the newest version queued; None before the first and after a retraction."""
    state: RecordState
    attempted: bool
    """A delivery was tried at least once: the register may hold something."""
    quarantine: str | None = None


@dataclass(frozen=True, slots=True)
class Submit:
    """Queue this version; `record` is None for a record not seen before."""

    record: Record | None
    found: Found


@dataclass(frozen=True, slots=True)
class Retract:
    """Queue the erasure of a record the register may hold."""

    record: Record


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nothing ever left: cancel what is queued, the register need not hear of it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep the reason; what the register has stays untouched."""

    record: Record | None
    source_record: str
    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """The record is fit again with the content already sent."""

    record: Record


Action = Submit | Retract | Cancel | Quarantine | Release

_GONE = (RecordState.retracting, RecordState.retracted)


def plan(records: Iterable[Record], holds: Sequence[Found]) -> tuple[Action, ...]:
    """The actions that bring a register from what it was sent (`records`) to what the unit holds now (`holds`).

    Both are of one person, unit and information type. A record the unit no longer holds, or says was entered in
    error, is retracted. If an identity occurs twice among `holds` the last counts.
    """
    known = {each.source_record: each for each in records}
    now = {each.source_record: each for each in holds}
    actions: list[Action] = []
    for identity, each in now.items():
        record = known.get(identity)
        if each.withdrawn:
            if record is not None:
                actions += removal(record)
        elif each.quarantine is not None:
            if record is None or record.quarantine != each.quarantine:
                actions.append(Quarantine(record, identity, each.quarantine))
        elif record is None or record.state in _GONE or record.content_hash != each.content_hash:
            actions.append(Submit(record, each))
        elif record.quarantine is not None:
            actions.append(Release(record))
    for identity, record in known.items():
        if identity not in now:
            actions += removal(record)
    return tuple(actions)


def removal(record: Record) -> tuple[Action, ...]:
    """How a record leaves the register: not at all twice, silently if the register cannot have heard of it."""
    if record.state in _GONE:
        return ()
    return (Retract(record),) if record.attempted else (Cancel(record),)


def idempotency_key(register: str, record_key: str, version: int, kind: Kind) -> str:
    """The key under which the register's inbox knows this delivery."""
    return f"{register}:{record_key}:{version}:{kind.value}"
