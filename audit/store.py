# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The table of events: read by SQLAlchemy, written through its one function on a connection of its own."""

from typing import Any

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    literal,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncEngine as AsyncEngine

from audit.client import APPEND_FUNCTION
from audit.model import Event, Position, is_automatic
from audit.values import AccessLogRow
from identifiers.person_key import PersonKey

metadata = MetaData(schema="audit")

event = Table(
    "event",
    metadata,
    Column("id", Uuid),
    Column("recorded", DateTime(timezone=True)),
    Column("trace_id", Text),
    Column("operation", Text),
    Column("action", Text),
    Column("outcome", Text),
    Column("person_key", LargeBinary),
    Column("information_type", Text),
    Column("holders", ARRAY(Text)),
    Column("ground", Text),
    Column("reason", Text),
    Column("law", Text),
    Column("decision", Text),
    Column("count", BigInteger),
    Column("client_id", Text),
    Column("kind", Text),
    Column("organisation", Text),
    Column("organisation_name", Text),
    Column("unit", Text),
    Column("unit_name", Text),
    Column("user_id", Text),
    Column("user_name", Text),
    Column("purpose", Text),
)
"""The columns that are read; the migration has them all."""


class AuditStore:
    """Reads the log."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, person: PersonKey, before: Position | None, count: int) -> list[Event]:
        """At most `count` events about the person, newest first, from `before` on."""
        order = (event.c.recorded, event.c.id)
        statement = select(event).where(event.c.person_key == person.value)
        if before is not None:
            position = (literal(before.recorded, event.c.recorded.type), literal(before.id, event.c.id.type))
            statement = statement.where(tuple_(*order) < tuple_(*position))
        statement = statement.order_by(*(column.desc() for column in order)).limit(count)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [_event(row, person) for row in rows]


class ConnectionLost(Exception):
    """The database went away; whether it kept the events is not known."""


class EventRefused(Exception):
    """The database does not take these events."""


class EventWriter:
    """One connection that appends events; each append is a transaction of its own."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._connection: asyncpg.Connection | None = None
        self._append: Any = None

    async def append(self, events: str) -> None:
        """Returns when the events (a JSON array of rows) are committed; rows that are there already are left.

        Raises `ConnectionLost` or `EventRefused`.
        """
        try:
            if self._connection is None or self._connection.is_closed():
                await self._connect()
            await self._append.fetchval(events)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise EventRefused(type(error).__name__) from error
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
            TimeoutError,
        ) as error:
            # InternalClientError: the connection broke between two messages of the protocol.
            await self.close(abort=True)
            raise ConnectionLost(type(error).__name__) from error

    async def close(self, *, abort: bool = False) -> None:
        """Closes the connection; the next append opens another."""
        connection, self._connection, self._append = self._connection, None, None
        if connection is not None:
            if abort:
                connection.terminate()
            else:
                await connection.close(timeout=5)

    async def _connect(self) -> None:
        # The answer to an append must mean that it is on disk, whatever the server's default is.
        settings = {"synchronous_commit": "on", "timezone": "UTC", "application_name": "ndi audit"}
        self._connection = await asyncpg.connect(self._url, timeout=5, command_timeout=10, server_settings=settings)
        self._append = await self._connection.prepare(f"SELECT {APPEND_FUNCTION}($1::jsonb)")


def _event(row: Any, person: PersonKey) -> Event:
    told = AccessLogRow(
        id=str(row.id),
        recorded=row.recorded,
        operation=row.operation,
        outcome=row.outcome,
        organisation=row.organisation,
        organisation_name=row.organisation_name,
        unit=row.unit,
        unit_name=row.unit_name,
        user=row.user_id,
        user_name=row.user_name,
        purpose=row.purpose,
        ground=row.ground,
        reason=row.reason,
        law=row.law,
        information_type=row.information_type,
        holders=tuple(row.holders),
        count=row._mapping["count"],
        automatic=is_automatic(row.kind, row.operation),
    )
    return Event(told, row.action, row.kind, row.client_id, row.trace_id, row.decision, person)
