# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The store of a load: many resources in few statements (`writing.py`), a batch a transaction."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.audit_row import audit_row
from fhir_server.context import AuditEntry, Context
from fhir_server.storage.pinned import Statement
from fhir_server.storage.postgres import Stored
from fhir_server.storage.writing import Version, Writing

Key = tuple[str, str]
"""Type and id."""

_ROW: Final = ("type", "id", "version", "last_updated", "deleted", "body")


class BatchStore:
    """The resources of one service, written in batches."""

    def __init__(self, engine: AsyncEngine, schema: str, *, audit_function: str | None) -> None:
        """`audit_function`: name of the SQL function that keeps audit events, called in each transaction."""
        self._engine, self._schema = engine, schema
        self._writing = Writing(schema, None)
        self._audit = f"SELECT {audit_function}(CAST($1 AS jsonb))" if audit_function else None

    @property
    def audited(self) -> bool:
        """Whether audit events are kept."""
        return self._audit is not None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: the whole batch or nothing."""
        async with self._engine.begin() as connection:
            yield connection

    async def current(self, connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Stored]:
        """The current versions of those that are there, deleted ones too, locked until the transaction ends."""
        found = await connection.exec_driver_sql(
            f"SELECT {', '.join(f'r.{name}' for name in _ROW)} FROM {self._schema}.resource r "
            "JOIN unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS k(type, id) ON r.type = k.type AND r.id = k.id "
            "ORDER BY r.type, r.id FOR UPDATE OF r",
            tuple([list(each) for each in zip(*sorted(keys), strict=True)]),
        )
        rows: Sequence[Any] = found.all()
        return {(row[0], row[1]): Stored(*row) for row in rows}

    async def write(self, connection: AsyncConnection, new: Sequence[Version], changed: Sequence[Version]) -> None:
        """Stores first versions and next ones, each with history and search values.

        Raises `IntegrityError` if another writer made one of them first.
        """
        if new:
            await _run(connection, self._writing.new(new))
        if changed:
            await _run(connection, self._writing.changed(changed))

    async def record(self, connection: AsyncConnection, context: Context, entries: Iterable[AuditEntry]) -> None:
        """Keeps audit events in the same transaction."""
        if self._audit is not None:
            events = orjson.dumps([audit_row(context, each) for each in entries]).decode()
            await connection.exec_driver_sql(self._audit, (events,))


async def _run(connection: AsyncConnection, statement: Statement) -> Any:
    return await connection.exec_driver_sql(statement.text, tuple(statement.arguments))
