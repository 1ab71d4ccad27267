# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Resources in PostgreSQL: the current version, append-only history and search values, in one transaction.

The hot queries, run as prepared statements on pinned connections (`pinned.py`): read and vread by key, a page of
history, a search (`search/prepared.py`), and every write (`writing.py`), one statement with its audit event.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
import hashlib
from typing import Any, Final

from msgspec import Struct
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.audit_row import audit_json
from fhir_server.context import AuditEntry, Context
from fhir_server.outcome import MultipleMatches, Unavailable
from fhir_server.search.index import SearchValues
from fhir_server.storage.pinned import Pinned, Statement, foreseen, pins_of
from fhir_server.storage.schema import tables
from fhir_server.storage.writing import Version, Writing


class Stored(Struct, frozen=True):
    """A version of a resource as it is kept."""

    type: str
    id: str
    version: int
    updated: datetime
    deleted: bool
    body: bytes
    method: str = "PUT"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is to be stored."""

    type: str
    id: str
    updated: datetime
    method: str
    values: SearchValues
    stamped: Callable[[int], bytes]
    """The body for the version number it gets."""
    person_key: bytes | None = None
    custodian: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is to be deleted, and when."""

    current: Stored
    updated: datetime


_COLUMNS: Final = "type, id, version, last_updated, deleted, body"
_TOGETHER: Final = 500
"""New resources of a transaction that are written by one statement."""

Within = Callable[[AsyncConnection], Awaitable[None]]


class ResourceStore:
    """The resources of one service."""

    def __init__(self, engine: AsyncEngine, schema: str, *, audit_function: str | None) -> None:
        """`audit_function`: name of the SQL function that keeps audit events, called inside every write."""
        self._engine = engine
        self._schema = schema
        self._tables = tables(schema)
        self._writing = Writing(schema, audit_function)
        self._pins = pins_of(engine)
        self._connection: AsyncConnection | None = None
        self._waiting: list[Version] = []
        self._read = f"SELECT {_COLUMNS} FROM {schema}.resource WHERE type = $1::text AND id = $2::text"
        self._vread = (
            f"SELECT {_COLUMNS}, method FROM {schema}.resource_history "
            "WHERE type = $1::text AND id = $2::text AND version = $3::bigint"
        )

    def bound(self, connection: AsyncConnection) -> "ResourceStore":
        """The same store with everything done in one open transaction: reads see what was written in it.

        New resources are written together, at the latest by `flush`, which must be called before the transaction ends.
        """
        made = copy(self)
        made._connection = connection
        made._waiting = []
        return made

    async def flush(self) -> None:
        """Writes what is still to be written in the transaction to which the store is bound."""
        while self._waiting and self._connection is not None:
            some, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            await _execute(self._connection, self._writing.new(some))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. Raises `Unavailable` when the database cannot be reached."""
        if self._connection is not None:
            yield self._connection
            return
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (OperationalError, PoolTimeout, OSError) as error:
            raise Unavailable("the store cannot be reached; try again") from error
        except DBAPIError as error:
            if isinstance(error, IntegrityError):
                raise  # the interaction knows what it means
            if error.connection_invalidated:
                raise Unavailable("the store cannot be reached; try again") from error
            raise foreseen(error.orig) or error from error

    async def read(self, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, deleted ones included, or None."""
        rows = await self._fetch(self._pins.keyed, Statement(self._read, (resource_type, resource_id)))
        return Stored(*rows[0]) if rows else None

    async def vread(self, resource_type: str, resource_id: str, version: int) -> Stored | None:
        """One version, or None."""
        rows = await self._fetch(self._pins.keyed, Statement(self._vread, (resource_type, resource_id, version)))
        return Stored(*rows[0]) if rows else None

    async def history(
        self,
        resource_types: Sequence[str],
        resource_id: str | None,
        *,
        since: datetime | None,
        at: tuple[datetime, datetime] | None,
        before: tuple[Any, ...] | None,
        count: int,
    ) -> list[Stored]:
        """Versions of an instance or of types, newest first, at most `count` after the keyset position `before`.

        `at`: only versions that were current at some moment of the period (from inclusive, to exclusive).
        """
        given: list[Any] = []

        def value(value: Any, kind: str) -> str:
            given.append(value)
            return f"${len(given)}::{kind}"

        table = f"{self._schema}.resource_history"
        if len(resource_types) == 1:
            clauses = [f"h.type = {value(resource_types[0], 'text')}"]
        else:
            clauses = [f"h.type = ANY({value(list(resource_types), 'text[]')})"]
        if resource_id is not None:
            clauses.append(f"h.id = {value(resource_id, 'text')}")
        if at is not None:
            clauses.append(
                f"h.last_updated < {value(at[1], 'timestamptz')} AND NOT EXISTS (SELECT FROM {table} n WHERE "
                "n.type = h.type AND n.id = h.id AND n.version = h.version + 1 AND "
                f"n.last_updated <= {value(at[0], 'timestamptz')})"
            )
        if since is not None:
            clauses.append(f"h.last_updated >= {value(since, 'timestamptz')}")
        if before is not None:
            kinds = ("timestamptz", "text", "text", "bigint")
            position = ", ".join(value(each, kind) for each, kind in zip(before, kinds, strict=True))
            clauses.append(f"(h.last_updated, h.type, h.id, h.version) < ({position})")
        text = (
            f"SELECT {_COLUMNS}, method FROM {table} h WHERE {' AND '.join(clauses)} "
            f"ORDER BY last_updated DESC, type DESC, id DESC, version DESC LIMIT {value(count, 'bigint')}"
        )
        pinned = self._pins.searching if resource_id is None else self._pins.keyed
        return [Stored(*row) for row in await self._fetch(pinned, Statement(text, given))]

    async def find(self, statement: Any) -> list[Stored]:
        """The current resources a statement of SQLAlchemy selects."""
        async with self.transaction() as connection:
            await self.flush()
            rows = (await connection.execute(statement)).all()
        return [Stored(row.type, row.id, row.version, row.last_updated, row.deleted, bytes(row.body)) for row in rows]

    async def page(self, statement: Statement) -> list[tuple[Stored, tuple[Any, ...]]]:
        """The resources a page of a search selects, each with the keys of its place."""
        rows = await self._fetch(self._pins.searching, statement)
        return [(Stored(*row[:6]), tuple(row[6:])) for row in rows]

    async def count(self, statement: Statement) -> int:
        """The number of resources a search finds."""
        return int((await self._fetch(self._pins.searching, statement))[0][0])

    async def lock_criteria(self, connection: AsyncConnection, resource_type: str, criteria: str) -> None:
        """Serializes conditional writes with the same criteria until the transaction ends."""
        digest = hashlib.sha256(f"{self._schema}:{resource_type}?{criteria}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        await _execute(connection, Statement("SELECT pg_advisory_xact_lock($1::bigint)", (key,)))

    async def lock_id(self, connection: AsyncConnection, resource_type: str, resource_id: str) -> None:
        """Serializes writes of one id, there or not yet, until the transaction ends."""
        await self.lock_criteria(connection, resource_type, f"_id={resource_id}")

    async def match(self, connection: AsyncConnection, statement: Statement) -> str | None:
        """The id of the one resource a conditional write means, or None. Raises `MultipleMatches`."""
        await self.flush()
        rows = await _execute(connection, statement)
        if len(rows) > 1:
            raise MultipleMatches("the criteria match more than one resource; make them narrower")
        return str(rows[0][0]) if rows else None

    async def current(self, connection: AsyncConnection, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, locked until the transaction ends."""
        await self.flush()
        rows = await _execute(connection, Statement(f"{self._read} FOR UPDATE", (resource_type, resource_id)))
        return Stored(*rows[0]) if rows else None

    async def write(
        self,
        connection: AsyncConnection | None,
        new: NewVersion,
        current: Stored | None,
        *,
        context: Context,
        entry: AuditEntry,
        within: Within | None,
    ) -> Stored:
        """Stores the next version with its search values, its audit event and what the service adds.

        Without a connection the write is a transaction of its own. Raises `Conflict`, `Unavailable`.
        """
        number = 1 if current is None else current.version + 1
        version = Version(
            new.type, new.id, number, new.updated, new.method, new.stamped(number), new.values, new.person_key,
            new.custodian, self._event(context, entry),
        )  # fmt: skip
        if within is None and current is None and self._connection is not None:
            self._waiting.append(version)
        else:
            statement = self._writing.new([version]) if current is None else self._writing.next(version)
            await self._do(connection, statement, within)
        return Stored(new.type, new.id, number, new.updated, False, version.body, new.method)

    async def delete(
        self,
        connection: AsyncConnection,
        deletion: Deletion,
        *,
        context: Context,
        entry: AuditEntry,
        within: Within | None,
    ) -> Stored:
        """Stores a deleted version and removes the search values.

        The deleted version keeps the last body: by it a guard still knows whose the resource was. It is never given.
        """
        current = deletion.current
        version = Version(
            current.type, current.id, current.version + 1, deletion.updated, "DELETE", current.body, SearchValues(),
            None, None, self._event(context, entry),
        )  # fmt: skip
        await self._do(connection, self._writing.deleted(version), within)
        return Stored(current.type, current.id, version.version, deletion.updated, True, current.body, "DELETE")

    def _event(self, context: Context, entry: AuditEntry) -> bytes:
        return audit_json(context, entry) if self._writing.audited else b""

    async def _do(self, connection: AsyncConnection | None, statement: Statement, within: Within | None) -> None:
        if connection is not None:
            await self.flush()
            await _execute(connection, statement)
            if within is not None:
                await within(connection)
        elif within is None and self._connection is None:
            await self._pins.keyed.write(statement)
        else:
            async with self.transaction() as opened:
                await self._do(opened, statement, within)

    async def _fetch(self, pinned: Pinned, statement: Statement) -> Sequence[Any]:
        if self._connection is None:
            return await pinned.fetch(statement)
        await self.flush()
        return await _execute(self._connection, statement)


async def _execute(connection: AsyncConnection, statement: Statement) -> Sequence[Any]:
    """The same text in an open transaction."""
    return (await connection.exec_driver_sql(statement.text, tuple(statement.arguments))).all()
