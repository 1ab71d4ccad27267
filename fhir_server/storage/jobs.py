# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Jobs in PostgreSQL: ordered, worked by whoever holds the job's advisory lock, kept until they expire.

The lock belongs to a connection and ends with its process, so that a job whose worker was killed is free at once. A
worker that lost its connection without noticing is told by the number of its attempt: only the newest may finish.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
import hashlib
from typing import Any, Final, Literal

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import DateTime

from fhir_server.outcome import RateLimited

State = Literal["waiting", "working", "done", "failed", "cancelled"]

_OPEN: Final = ("waiting", "working")
_MOMENT: Final = DateTime(timezone=True)


def job_table(metadata: MetaData) -> Table:
    """The table of jobs in a service's schema."""
    table = Table(
        "job",
        metadata,
        Column("id", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("owner", LargeBinary, nullable=False),
        Column("client", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("request", Text, nullable=False),
        Column("work", JSONB, nullable=False),
        Column("caller", JSONB, nullable=False),
        Column("trace_id", Text, nullable=False),
        Column("created", _MOMENT, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("progress", Text, nullable=False),
        Column("result", JSONB),
        Column("expires", _MOMENT),
    )
    Index(f"{metadata.schema}_job_by_state", table.c.state, table.c.created)
    return table


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work."""

    id: str
    kind: str
    """export or search."""
    owner: bytes
    """Digest of who ordered it: nobody else learns of it."""
    client: str
    state: State
    request: str
    """The address that was asked."""
    work: dict[str, Any]
    """What is to be done, as its kind understands it."""
    caller: dict[str, Any]
    trace_id: str
    created: datetime
    attempts: int = 0
    progress: str = "waiting"
    result: dict[str, Any] | None = None
    expires: datetime | None = None


class JobStore:
    """The jobs of one service."""

    def __init__(self, engine: AsyncEngine, table: Table) -> None:
        self._engine, self._table = engine, table

    async def add(self, job: Job, *, most: int) -> None:
        """Takes a job in. Raises `RateLimited` if the client has `most` open jobs already."""
        table = self._table
        async with self._engine.begin() as connection:
            # Orders of one client wait for each other, else two at once would both be the last.
            await connection.execute(select(func.pg_advisory_xact_lock(self._key(f"client {job.client}"))))
            open_ = select(func.count()).where(table.c.client == job.client, table.c.state.in_(_OPEN))
            if (await connection.execute(open_)).scalar_one() >= most:
                raise RateLimited(
                    f"a client may have {most} jobs at once: wait for one to finish, or cancel it",
                    code="too-many-jobs",
                    headers={"Retry-After": "10"},
                )
            columns = {name: getattr(job, name) for name in job.__dataclass_fields__}
            await connection.execute(insert(table).values(**columns))

    async def of_owner(self, job_id: str, owner: bytes, now: datetime) -> Job | None:
        """The job, if this caller ordered it and it was neither cancelled nor has expired."""
        table = self._table
        found = select(table).where(table.c.id == job_id, table.c.owner == owner, table.c.state != "cancelled")
        async with self._engine.connect() as connection:
            row = (await connection.execute(found)).first()
        if row is None or (row.expires is not None and row.expires <= now):
            return None
        return _job(row)

    async def cancel(self, job_id: str) -> None:
        """From now on nobody finds it; its worker stops, its files are swept."""
        await self._do(update(self._table).where(self._table.c.id == job_id).values(state="cancelled"))

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[Job | None]:
        """The oldest open job that nobody works, held while the block runs; None if there is none."""
        table = self._table
        oldest = select(table.c.id).where(table.c.state.in_(_OPEN)).order_by(table.c.created).limit(50)
        async with self._engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            job = None
            try:
                for job_id in (await connection.execute(oldest)).scalars().all():
                    job = await self._claim(connection, job_id)
                    if job is not None:
                        break
                yield job
            finally:
                if job is not None:
                    await connection.invalidate()  # with the connection ends its lock

    async def _claim(self, connection: AsyncConnection, job_id: str) -> Job | None:
        if not (await connection.execute(select(func.pg_try_advisory_lock(self._key(job_id))))).scalar_one():
            return None
        table = self._table
        begun = (
            update(table)
            .where(table.c.id == job_id, table.c.state.in_(_OPEN))
            .values(state="working", attempts=table.c.attempts + 1, progress="begun")
            .returning(table)
        )
        row = (await connection.execute(begun)).first()
        if row is None:  # another worker has just finished it
            await connection.execute(select(func.pg_advisory_unlock(self._key(job_id))))
            return None
        return _job(row)

    async def progress(self, job: Job, text: str) -> bool:
        """Tells how far it is; False if it was cancelled or another worker has begun it anew."""
        return await self._do(self._mine(job).values(progress=text))

    async def finish(self, job: Job, state: State, result: dict[str, Any], expires: datetime) -> bool:
        """Makes the result visible, all of it at once; False as `progress`."""
        return await self._do(self._mine(job).values(state=state, result=result, expires=expires, progress=state))

    async def spent(self, now: datetime) -> list[str]:
        """Ids of the cancelled and the expired."""
        table = self._table
        found = select(table.c.id).where((table.c.state == "cancelled") | (table.c.expires <= now)).limit(100)
        async with self._engine.connect() as connection:
            return list((await connection.execute(found)).scalars())

    async def remove(self, job_id: str) -> None:
        """Forgets it."""
        await self._do(delete(self._table).where(self._table.c.id == job_id))

    def _mine(self, job: Job) -> Any:
        table = self._table
        return update(table).where(table.c.id == job.id, table.c.state == "working", table.c.attempts == job.attempts)

    async def _do(self, statement: Any) -> bool:
        async with self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    def _key(self, name: str) -> int:
        digest = hashlib.sha256(f"{self._table.fullname}:{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


def expiry(now: datetime, seconds: float) -> datetime:
    """When a job that is finished now expires."""
    return now + timedelta(seconds=seconds)


def _job(row: Any) -> Job:
    return Job(**{name: row._mapping[name] for name in Job.__dataclass_fields__})
