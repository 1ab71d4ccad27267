# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the index keeps, and how it is asked for: the only SQL of the service."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
import hashlib
from typing import Any

import orjson
from sqlalchemy import Row, func, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.outcome import Unavailable
from identifiers.person_key import PersonKey
from patient_index.model import Registration, StoredEntry
from patient_index.store.position import Position
from patient_index.store.statements import AUDIT, ENTRIES_OF_PERSON, HORIZON, KNOWN, NAMES, PERSONS, SEAL, UPSERT, feed
from patient_index.store.tables import STATED, entry, entry_history, person

__all__ = ["AsyncEngine", "FeedRow", "IndexStore", "Position", "SealedPerson", "Statistics", "Write"]


@dataclass(frozen=True, slots=True)
class SealedPerson:
    """A person's identifier as it is kept: the system in clear, the value encrypted."""

    person: PersonKey
    system: str
    sealed: bytes
    key_version: int


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One change with the identifier of its person."""

    entry: StoredEntry
    person: SealedPerson


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures for the operator; nothing about a person."""

    persons: int
    history: int
    entries: Mapping[str, int]
    """By status."""
    types: Mapping[str, int]
    """Current entries by information type."""


class Write:
    """One transaction that registers entries: rows, history and audit events together or not at all."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def elsewhere(self, row: Registration) -> list[StoredEntry]:
        """Entries of the same business object that the source registered for other units.

        Serializes registrations of one business object until the transaction ends.
        """
        scope = "\x00".join((row.custodian, row.source_system, row.business_object, row.information_type))
        digest = hashlib.sha256(row.person.value + scope.encode()).digest()
        await self._connection.execute(
            select(func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True)))
        )
        statement = select(*(entry.c[name] for name in NAMES)).where(
            entry.c.person_key == row.person.value,
            entry.c.custodian == row.custodian,
            entry.c.source_system == row.source_system,
            entry.c.business_object == row.business_object,
            entry.c.information_type == row.information_type,
            entry.c.unit != row.unit,
            entry.c.status != "withdrawn",
        )
        return [_stored(each) for each in (await self._connection.execute(statement)).all()]

    async def apply(self, rows: Sequence[Registration], *, now: datetime) -> list[StoredEntry]:
        """Stores what is new and answers it; older messages and replays change nothing. Keys must differ."""
        if not rows:
            return []
        values = [_values(each) for each in await self._without_unknown(rows)]
        bound: dict[str, Any] = {f"{name}s": [each[name] for each in values] for name, _, _ in STATED}
        result = await self._connection.execute(UPSERT, {**bound, "now": now})
        return [_stored(each) for each in result.all()]

    async def _without_unknown(self, rows: Sequence[Registration]) -> list[Registration]:
        """The rows without undated withdrawals of entries that are not there: they leave nothing to remember."""
        undated = [each for each in rows if _undated_withdrawal(each)]
        if not undated:
            return list(rows)
        keys = {"persons": [each.person.value for each in undated], "keys": [each.entry_key for each in undated]}
        known = set((await self._connection.execute(KNOWN, keys)).scalars())
        return [each for each in rows if not _undated_withdrawal(each) or each.entry_key in known]

    async def seal(self, persons: Sequence[SealedPerson]) -> None:
        """Keeps the identifiers of persons not known yet."""
        if persons:
            columns = zip(*((p.person.value, p.system, p.sealed, p.key_version) for p in persons), strict=True)
            await self._connection.execute(SEAL, dict(zip(PERSONS, map(list, columns), strict=True)))

    async def audit(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keeps audit events with the write."""
        if events:
            await self._connection.execute(AUDIT, {"events": orjson.dumps(list(events)).decode()})

    async def current(self, row: Registration) -> StoredEntry | None:
        """What is stored under the row's business key."""
        statement = select(*(entry.c[name] for name in NAMES)).where(
            entry.c.person_key == row.person.value, entry.c.entry_key == row.entry_key
        )
        found = (await self._connection.execute(statement)).first()
        return None if found is None else _stored(found)


class IndexStore:
    """The index in PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Write]:
        """One transaction for a registration. Raises `Unavailable` when the database cannot be reached."""
        async with self._transaction() as connection:
            yield Write(connection)

    async def of_person(self, key: PersonKey) -> list[StoredEntry]:
        """Current entries of a person, newest first."""
        async with self._transaction() as connection:
            rows = (await connection.execute(ENTRIES_OF_PERSON, {"person": key.value})).all()
        return sorted(map(_stored, rows), key=_newest_first)

    async def changes(
        self, after: Position | None, information_types: Sequence[str], limit: int
    ) -> tuple[list[FeedRow], Position]:
        """Changes after a position, and the position to go on from.

        Told in the order of their transactions, and only those older than every transaction that still runs: a
        transaction that commits late can thus never be overtaken. Two changes of one entry are told in the order they
        were made: a later version stored by an earlier transaction replaces the one it overtook.
        """
        async with self._transaction() as connection:
            horizon = (await connection.execute(HORIZON)).scalar_one()
            rows = (await connection.execute(feed(after, information_types, limit, horizon))).all()
        told = [FeedRow(_stored(row), SealedPerson(PersonKey(row.person_key), row.system, row.sealed, row.key_version))
                for row in rows]  # fmt: skip
        if len(rows) == limit:
            return told, Position(int(rows[-1].transaction), rows[-1].entry_key)
        return told, Position(int(horizon), b"")

    async def statistics(self) -> Statistics:
        """Counts; reads every row."""
        async with self._transaction() as connection:
            persons = (await connection.execute(select(func.count()).select_from(person))).scalar_one()
            history = (await connection.execute(select(func.count()).select_from(entry_history))).scalar_one()
            statuses = await connection.execute(select(entry.c.status, func.count()).group_by(entry.c.status))
            types = await connection.execute(
                select(entry.c.information_type, func.count())
                .where(entry.c.status == "current")
                .group_by(entry.c.information_type)
            )
            return Statistics(persons, history, {row[0]: row[1] for row in statuses}, {row[0]: row[1] for row in types})

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (OperationalError, PoolTimeout, OSError) as error:
            raise Unavailable("the index cannot be reached; nothing was done, try again") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable("the index cannot be reached; nothing was done, try again") from error
            raise


def _values(row: Registration) -> dict[str, Any]:
    named = {name: getattr(row, name) for name, _, _ in STATED if name not in ("person_key", "entry_key")}
    return {"person_key": row.person.value, "entry_key": row.entry_key, **named}


def _stored(row: Row[Any]) -> StoredEntry:
    named = {name: getattr(row, name) for name, _, _ in STATED if name not in ("person_key", "entry_key")}
    return StoredEntry(Registration(person=PersonKey(row.person_key), **named), row.created, row.updated, row.version)


def _undated_withdrawal(row: Registration) -> bool:
    return row.status == "withdrawn" and row.most_recent is None


def _newest_first(each: StoredEntry) -> tuple[float, bytes]:
    moment = each.registration.most_recent
    return (0.0 if moment is None else -moment.timestamp(), each.registration.entry_key)
