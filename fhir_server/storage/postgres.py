# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Resources in PostgreSQL: the current version, append-only history and search values, in one transaction.

Statements are SQLAlchemy Core; the audit event of a write is kept by a function called in the same transaction.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
import hashlib
from typing import Any

import orjson
from sqlalchemy import delete, exists, func, insert, literal, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.audit_row import audit_row
from fhir_server.context import AuditEntry, Context
from fhir_server.outcome import Conflict, MultipleMatches, Unavailable
from fhir_server.search.index import SearchValues
from fhir_server.storage.schema import tables


@dataclass(frozen=True, slots=True)
class Stored:
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


Within = Callable[[AsyncConnection], Awaitable[None]]

_ROLLED_BACK = frozenset({"40001", "40P01"})
"""SQLSTATE of a transaction that lost to another: serialization failure, deadlock."""


class ResourceStore:
    """The resources of one service."""

    def __init__(self, engine: AsyncEngine, schema: str, *, audit_function: str | None) -> None:
        """`audit_function`: name of the SQL function that keeps audit events, called inside every write."""
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._tables = tables(schema)
        self._audit = text(f"SELECT {audit_function}(CAST(:events AS jsonb))") if audit_function else None

    def bound(self, connection: AsyncConnection) -> "ResourceStore":
        """The same store with everything done in one open transaction: reads see what was written in it."""
        made = copy(self)
        made._connection = connection
        return made

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
            if getattr(error.orig, "sqlstate", None) in _ROLLED_BACK:
                raise Conflict("another request changed the same at the same time; try again") from error
            if error.connection_invalidated:
                raise Unavailable("the store cannot be reached; try again") from error
            raise

    async def read(self, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, deleted ones included, or None."""
        table = self._tables.resource
        statement = select(table).where(table.c.type == resource_type, table.c.id == resource_id)
        async with self.transaction() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else _stored(row)

    async def vread(self, resource_type: str, resource_id: str, version: int) -> Stored | None:
        """One version, or None."""
        table = self._tables.history
        statement = select(table).where(
            table.c.type == resource_type, table.c.id == resource_id, table.c.version == version
        )
        async with self.transaction() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else _stored(row, row.method)

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
        table = self._tables.history
        order = (table.c.last_updated, table.c.type, table.c.id, table.c.version)
        statement = select(table).where(table.c.type.in_(resource_types))
        if at is not None:
            following = table.alias()
            replaced = exists().where(
                following.c.type == table.c.type,
                following.c.id == table.c.id,
                following.c.version == table.c.version + 1,
                following.c.last_updated <= at[0],
            )
            statement = statement.where(table.c.last_updated < at[1], ~replaced)
        if resource_id is not None:
            statement = statement.where(table.c.id == resource_id)
        if since is not None:
            statement = statement.where(table.c.last_updated >= since)
        if before is not None:
            position = (literal(value, column.type) for value, column in zip(before, order, strict=True))
            statement = statement.where(tuple_(*order) < tuple_(*position))
        statement = statement.order_by(*(column.desc() for column in order)).limit(count)
        async with self.transaction() as connection:
            rows = (await connection.execute(statement)).all()
        return [_stored(row, row.method) for row in rows]

    async def find(self, statement: Any) -> list[Stored]:
        """The current resources a statement of `search.sql` selects."""
        async with self.transaction() as connection:
            rows = (await connection.execute(statement)).all()
        return [_stored(row) for row in rows]

    async def page(self, statement: Any) -> list[tuple[Stored, tuple[Any, ...]]]:
        """The resources a statement of `search.order` selects, each with the keys of its place."""
        async with self.transaction() as connection:
            rows = (await connection.execute(statement)).all()
        return [(_stored(row), tuple(v for k, v in row._mapping.items() if k.startswith("key_"))) for row in rows]

    async def count(self, statement: Any) -> int:
        """The number of resources a statement of `search.sql` counts."""
        async with self.transaction() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def lock_criteria(self, connection: AsyncConnection, resource_type: str, criteria: str) -> None:
        """Serializes conditional writes with the same criteria until the transaction ends."""
        digest = hashlib.sha256(f"{self._tables.metadata.schema}:{resource_type}?{criteria}".encode()).digest()
        await connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True))))

    async def lock_id(self, connection: AsyncConnection, resource_type: str, resource_id: str) -> None:
        """Serializes writes of one id, there or not yet, until the transaction ends."""
        await self.lock_criteria(connection, resource_type, f"_id={resource_id}")

    async def match(self, connection: AsyncConnection, statement: Any) -> str | None:
        """The id of the one resource a conditional write means, or None. Raises `MultipleMatches`."""
        rows = (await connection.execute(statement.limit(2))).all()
        if len(rows) > 1:
            raise MultipleMatches("the criteria match more than one resource; make them narrower")
        return rows[0].id if rows else None

    async def current(self, connection: AsyncConnection, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, locked until the transaction ends."""
        table = self._tables.resource
        statement = select(table).where(table.c.type == resource_type, table.c.id == resource_id).with_for_update()
        row = (await connection.execute(statement)).first()
        return None if row is None else _stored(row)

    async def write(
        self,
        connection: AsyncConnection,
        new: NewVersion,
        current: Stored | None,
        *,
        context: Context,
        entry: AuditEntry,
        within: Within | None,
    ) -> Stored:
        """Stores the next version with its search values, its audit event and what the service adds."""
        version = 1 if current is None else current.version + 1
        body = new.stamped(version)
        row: dict[str, Any] = {
            "type": new.type,
            "id": new.id,
            "version": version,
            "last_updated": new.updated,
            "deleted": False,
            "body": body,
        }
        resource, history = self._tables.resource, self._tables.history
        whose = {"person_key": new.person_key, "custodian": new.custodian}
        if current is None:
            await connection.execute(insert(resource).values(**row, **whose))
        else:
            key = (resource.c.type == new.type, resource.c.id == new.id)
            await connection.execute(update(resource).where(*key).values(**row, **whose))
            for table in self._tables.value_tables:
                await connection.execute(delete(table).where(table.c.type == new.type, table.c.id == new.id))
        await connection.execute(insert(history).values(**row, method=new.method))
        await self._write_values(connection, new)
        if within is not None:
            await within(connection)
        if self._audit is not None:
            await connection.execute(self._audit, {"events": _events(context, [entry])})
        return Stored(new.type, new.id, version, new.updated, False, body, new.method)

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
        version = current.version + 1
        resource = self._tables.resource
        row: dict[str, Any] = {"version": version, "last_updated": deletion.updated, "deleted": True}
        key = {"type": current.type, "id": current.id}
        await connection.execute(
            update(resource).where(resource.c.type == current.type, resource.c.id == current.id).values(**row)
        )
        for table in self._tables.value_tables:
            await connection.execute(delete(table).where(table.c.type == current.type, table.c.id == current.id))
        await connection.execute(insert(self._tables.history).values(**key, **row, body=current.body, method="DELETE"))
        if within is not None:
            await within(connection)
        if self._audit is not None:
            await connection.execute(self._audit, {"events": _events(context, [entry])})
        return Stored(current.type, current.id, version, deletion.updated, True, current.body, "DELETE")

    async def _write_values(self, connection: AsyncConnection, new: NewVersion) -> None:
        base = {"type": new.type, "id": new.id}
        for name, rows in new.values.by_table():
            await connection.execute(insert(getattr(self._tables, name)), [{**base, **row._asdict()} for row in rows])


def _events(context: Context, entries: Sequence[AuditEntry]) -> str:
    return orjson.dumps([audit_row(context, entry) for entry in entries]).decode()


def _stored(row: Any, method: str = "PUT") -> Stored:
    mapping: Mapping[str, Any] = row._mapping
    return Stored(
        mapping["type"],
        mapping["id"],
        mapping["version"],
        mapping["last_updated"],
        mapping["deleted"],
        bytes(mapping["body"]),
        method,
    )
