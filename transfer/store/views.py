# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What people and operators may see, and the operator's few changes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, and_, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.storage.database import create_engine
from identifiers.hsa_id import HsaId
from identifiers.person_key import PersonKey
from transfer.client import RegisterView
from transfer.model.plan import DeliveryState, Kind
from transfer.model.register import Register
from transfer.store.tables import delivery, erasure, opposition, pending_event, record
from transfer.store.tables import register as register_table


@dataclass(frozen=True, slots=True)
class Reason:
    """Why events of a unit could not be evaluated the last time."""

    unit: str
    state: str
    """waiting (tried again), refused (by law) or dead (given up)."""
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How a register's work stands."""

    register: Register
    records: dict[str, int]
    deliveries: dict[str, int]
    events: dict[str, int]
    quarantined: int
    erasures_open: int
    oldest_open: datetime | None
    """When the oldest unsettled delivery was queued."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that waits for an operator. It names no person."""

    id: int
    register: str
    record_key: str
    version: int
    kind: str
    attempts: int
    reason: str
    settled: datetime


class Registers:
    """Registers, and what is known of each."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(self) -> list[Register]:
        """The active registers by HSA-id."""
        statement = select(register_table).where(register_table.c.active).order_by(register_table.c.hsa_id)
        async with self._engine.connect() as connection:
            return [
                Register(
                    HsaId(row.hsa_id), row.name, row.address, tuple(row.information_types), tuple(row.required),
                    row.purpose_sv, row.purpose_en,
                )
                for row in await connection.execute(statement)
            ]  # fmt: skip

    async def save(self, register: Register) -> None:
        """Adds the register or changes what is known of it; its pseudonym key stays."""
        values = {
            "name": register.name,
            "address": register.address,
            "information_types": list(register.information_types),
            "required": list(register.required),
            "purpose_sv": register.purpose_sv,
            "purpose_en": register.purpose_en,
            "active": True,
        }
        statement = insert(register_table).values(hsa_id=register.hsa_id, **values)
        async with self._engine.begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[register_table.c.hsa_id], set_=values)
            )

    async def of_person(self, person: PersonKey) -> list[RegisterView]:
        """Each active register with what it holds about the person, in one statement."""
        r = register_table.c
        held = (
            select(func.count())
            .where(
                record.c.register == r.hsa_id,
                record.c.person_key == person.value,
                record.c.held_version.is_not(None),
            )
            .scalar_subquery()
        )
        last = (
            select(func.max(delivery.c.settled_at))
            .select_from(record)
            .join(
                delivery,
                and_(delivery.c.register == record.c.register, delivery.c.record_key == record.c.record_key),
            )
            .where(
                record.c.register == r.hsa_id,
                record.c.person_key == person.value,
                delivery.c.kind == Kind.upsert.value,
                delivery.c.state == DeliveryState.acknowledged.value,
            )
            .scalar_subquery()
        )
        opposed = exists().where(opposition.c.register == r.hsa_id, opposition.c.person_key == person.value)
        erased = (
            select(erasure.c.erased_at)
            .where(erasure.c.register == r.hsa_id, erasure.c.person_key == person.value)
            .scalar_subquery()
        )
        statement = (
            select(
                r.hsa_id, r.name, r.purpose_sv, r.purpose_en,
                held.label("held"), opposed.label("opposed"), last.label("last"), erased.label("erased"),
            )
            .where(r.active)
            .order_by(r.hsa_id)
        )  # fmt: skip
        async with self._engine.connect() as connection:
            return [
                RegisterView(
                    row.hsa_id, row.name, row.purpose_sv, row.purpose_en, row.held, row.opposed, row.last, row.erased
                )
                for row in await connection.execute(statement)
            ]

    async def counts(self) -> list[Counts]:
        """How each register's work stands."""
        return [await self._counts(each) for each in await self.all()]

    async def _counts(self, register: Register) -> Counts:
        async with self._engine.connect() as connection:
            quarantined = await connection.execute(
                select(func.count()).where(record.c.register == register.hsa_id, record.c.quarantine.is_not(None))
            )
            erasures = await connection.execute(
                select(func.count()).where(erasure.c.register == register.hsa_id, erasure.c.erased_at.is_(None))
            )
            oldest = await connection.execute(
                select(func.min(delivery.c.queued_at)).where(
                    delivery.c.register == register.hsa_id,
                    delivery.c.state.in_([DeliveryState.queued.value, DeliveryState.sent.value]),
                )
            )
            why = (pending_event.c.unit, pending_event.c.state, pending_event.c.reason)
            reasons = await connection.execute(
                select(*why, func.count())
                .where(pending_event.c.register == register.hsa_id, pending_event.c.reason.is_not(None))
                .group_by(*why)
                .order_by(*why)
            )
            return Counts(
                register,
                await _by_state(connection, record, register),
                await _by_state(connection, delivery, register),
                await _by_state(connection, pending_event, register),
                quarantined.scalar_one(),
                erasures.scalar_one(),
                oldest.scalar_one_or_none(),
                tuple(Reason(*row) for row in reasons),
            )

    async def dead_letters(self, register: str | None = None) -> list[DeadLetter]:
        """Deliveries that wait for an operator, oldest first."""
        statement = select(delivery).where(delivery.c.state == DeliveryState.dead.value).order_by(delivery.c.id)
        if register is not None:
            statement = statement.where(delivery.c.register == register)
        async with self._engine.connect() as connection:
            return [
                DeadLetter(
                    row.id, row.register, row.record_key, row.version, row.kind, row.attempts, row.answer or "",
                    row.settled_at,
                )
                for row in await connection.execute(statement)
            ]  # fmt: skip

    async def retry(self, *, ids: Sequence[int] | None, now: datetime, attempts: int) -> tuple[int, int, int]:
        """Gives dead letters (all, or those of `ids`) and, without `ids`, waiting events that had ended another chance.

        A letter overtaken by a newer delivery of its record is cancelled instead: sent now, it would carry old data.
        Answers how many deliveries were queued, how many cancelled, how many events revived.
        """
        dead = [delivery.c.state == DeliveryState.dead.value]
        if ids is not None:
            dead.append(delivery.c.id.in_(ids))
        newer = delivery.alias("newer")
        overtaken = exists().where(
            newer.c.register == delivery.c.register,
            newer.c.record_key == delivery.c.record_key,
            newer.c.id > delivery.c.id,
            newer.c.state != DeliveryState.cancelled.value,
        )
        async with self._engine.begin() as connection:
            cancelled = await connection.execute(
                update(delivery)
                .where(*dead, overtaken)
                .values(state=DeliveryState.cancelled.value, payload=None, settled_at=now)
            )
            queued = await connection.execute(
                update(delivery)
                .where(*dead, delivery.c.payload.is_not(None))
                .values(
                    state=DeliveryState.queued.value,
                    next_attempt=now,
                    settled_at=None,
                    attempt_limit=delivery.c.attempts + literal(attempts),
                )
            )
            if ids is not None:
                return queued.rowcount, cancelled.rowcount, 0
            events = await connection.execute(
                update(pending_event)
                .where(pending_event.c.state != "waiting")
                .values(state="waiting", attempts=0, next_attempt=now, generation=pending_event.c.generation + 1)
            )
            return queued.rowcount, cancelled.rowcount, events.rowcount


async def _by_state(connection: AsyncConnection, table: Table, register: Register) -> dict[str, int]:
    rows = await connection.execute(
        select(table.c.state, func.count()).where(table.c.register == register.hsa_id).group_by(table.c.state)
    )
    return {row[0]: row[1] for row in rows}


@asynccontextmanager
async def at(url: str) -> AsyncIterator[Registers]:
    """The registers of the database at `url`, for the command line."""
    engine = create_engine(url, size=1)
    try:
        yield Registers(engine)
    finally:
        await engine.dispose()
