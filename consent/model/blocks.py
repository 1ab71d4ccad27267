# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""CheckBlocks of the national block service, as the contract informationsecurity:authorization:blocking 4.0 tells it.

A pure function over the blocks of a register that somebody else keeps; our own blocks are decided by `access.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from consent.model.access import same
from consent.model.period import ALWAYS, Period

_EXCLUDABLE: Final = frozenset({"lak", "upp"})


class BlockType(Enum):
    """How far the information may go."""

    outer = "Outer"
    """Stays inside the care provider."""
    inner = "Inner"
    """Stays inside the care unit."""


class Status(Enum):
    """The answer for one row."""

    ok = "OK"
    blocked = "BLOCKED"
    validation_error = "VALIDATIONERROR"


@dataclass(frozen=True, slots=True)
class AccessingActor:
    """Who wants to read."""

    employee: str
    provider: str
    unit: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """A temporary revoke (tillfällig hävning) of one block."""

    ends: datetime
    """Ends at that instant."""
    unit: str
    employee: str | None = None
    """None: all staff of the unit."""
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class RegisteredBlock:
    """A block as registered."""

    type: BlockType
    provider: str
    patient: tuple[str, str]
    """Root and extension."""
    unit: str | None = None
    documented: Period = ALWAYS
    excluded: frozenset[str] = frozenset()
    revokes: tuple[Revoke, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class InformationEntity:
    """A row to be checked."""

    row: int
    start: datetime
    end: datetime
    unit: str
    provider: str
    type: str | None = None


def check_blocks(
    actor: AccessingActor,
    patient: tuple[str, str],
    blocks: Iterable[RegisteredBlock],
    entities: Sequence[InformationEntity],
    *,
    now: datetime,
) -> list[tuple[int, Status]]:
    """The status of each row. A faulty row gets its own VALIDATIONERROR; the others are still evaluated."""
    standing = [each for each in blocks if each.active and each.patient == patient and not _opened(each, actor, now)]
    return [(entity.row, _status(entity, standing, actor)) for entity in entities]


def _status(entity: InformationEntity, standing: list[RegisteredBlock], actor: AccessingActor) -> Status:
    if not entity.unit.strip() or not entity.provider.strip() or entity.end < entity.start:
        return Status.validation_error
    return Status.blocked if any(_applies(block, entity, actor) for block in standing) else Status.ok


def _applies(block: RegisteredBlock, entity: InformationEntity, actor: AccessingActor) -> bool:
    if not same(block.provider, entity.provider):
        return False
    if block.type is BlockType.outer:
        inside = same(actor.provider, block.provider)
    else:
        if not same(block.unit, entity.unit):
            return False
        # Silent in the contract: an inner block binds other providers too; we fail closed.
        inside = same(actor.unit, block.unit)
    return not inside and _overlaps(block.documented, entity) and not _excluded(block, entity)


def _overlaps(period: Period, entity: InformationEntity) -> bool:
    """Any overlap blocks; bounds are inclusive."""
    return (period.start is None or entity.end >= period.start) and (period.end is None or entity.start <= period.end)


def _excluded(block: RegisteredBlock, entity: InformationEntity) -> bool:
    """Only these two types can be excluded; any other text counts as no type."""
    return entity.type in _EXCLUDABLE and entity.type in block.excluded


def _opened(block: RegisteredBlock, actor: AccessingActor, now: datetime) -> bool:
    """One applicable revoke opens a block, and only its own."""
    return any(
        not revoke.cancelled
        and now < revoke.ends
        and same(revoke.unit, actor.unit)
        and (revoke.employee is None or same(revoke.employee, actor.employee))
        for revoke in block.revokes
    )
