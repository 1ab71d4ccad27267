# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""An access log on a real database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.local import AuditBatcher
from fhir_server.context import AuditEntry, Caller, Context
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKey
from tests.support.callers import DENTIST
from tests.support.databases import fresh_database

ASTRID = PersonKey(b"\x01" * 16)
BERTIL = PersonKey(b"\x02" * 16)


def context(caller: Caller = DENTIST, *, now: datetime | None = None, trace: str = "0" * 31 + "1") -> Context:
    """A request of the caller."""
    loop = asyncio.get_running_loop()
    moment = now or datetime.now(UTC)
    return Context(caller, "t", moment, deadline=loop.time() + 10, trace_id=trace, clock=loop.time)


def read(person: PersonKey | None = ASTRID, operation: str = "read", **changes: Any) -> AuditEntry:
    """A read of allergies, as the gateway records it."""
    values: dict[str, Any] = {
        "operation": operation,
        "person": person,
        "information_type": "alert",
        "holders": ("SE0000000011-VE1", "SE0000000022-VE1"),
        "ground": "consent",
        "reason": "CONSENT",
        "law": "SVOD 3 kap. 1 §",
        "decision": "d-1",
        "count": 3,
        "detail": {"ms": 12},
    }
    return AuditEntry(**{**values, **changes})


async def events(engine: AsyncEngine, where: str = "true") -> list[Any]:
    """The rows of the log."""
    async with engine.connect() as connection:
        found = await connection.execute(text(f"SELECT * FROM audit.event WHERE {where} ORDER BY recorded, id"))
        return [row._mapping for row in found]


@pytest.fixture(scope="session")
async def audit_database(server: str, template: str) -> AsyncIterator[str]:
    """One database for all tests here, emptied before each."""
    async with fresh_database(server, template) as url:
        yield url


@pytest.fixture
async def log_url(audit_database: str) -> str:
    """Address of a database with an empty log."""
    connection = await asyncpg.connect(audit_database)
    # The log cannot be emptied by its owner: only a superuser who switches triggers off can.
    await connection.execute("SET session_replication_role = replica; DELETE FROM audit.event")
    await connection.close()
    return audit_database


@pytest.fixture
async def engine(log_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on it."""
    made = create_engine(log_url)
    try:
        yield made
    finally:
        await made.dispose()


@pytest.fixture
async def batcher(log_url: str) -> AsyncIterator[AuditBatcher]:
    """A started batcher."""
    made = AuditBatcher(log_url)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
