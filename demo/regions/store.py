# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What every simulated record system has: its people, what it has told the index, and the outbox.

A documented change, the engagement it makes and the outbox row are one transaction: nothing is told that is not
stored, nothing stored that will not be told.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
import uuid

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
else:
    Connection = object

TABLES: Final = """
CREATE TABLE IF NOT EXISTS person (
    local_id text PRIMARY KEY,
    number text NOT NULL UNIQUE,
    name text NOT NULL
);
CREATE TABLE IF NOT EXISTS engagement (
    business_object uuid PRIMARY KEY,
    local_id text NOT NULL UNIQUE REFERENCES person,
    items integer NOT NULL,
    most_recent timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_object uuid NOT NULL REFERENCES engagement,
    created timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    sent timestamptz
);
CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (id) WHERE sent IS NULL;
"""


@dataclass(frozen=True, slots=True)
class LocalPerson:
    """A person under the region's own patient id."""

    local_id: str
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class Engagement:
    """What the index is told: this system holds so many alerts about the person, the last one from then."""

    business_object: uuid.UUID
    number: str
    items: int
    """0: nothing is held any more, the entry goes."""
    most_recent: datetime
    outbox_id: int
    """The last outbox row that this state answers."""


class Store:
    """Connection pool and the tables all simulators share."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool

    @classmethod
    async def open(cls, url: str, tables: str, people: tuple[LocalPerson, ...]) -> "Store":
        """Opens the pool, creates what is missing and writes down the people. `tables`: the simulator's own."""
        pool = await asyncpg.create_pool(url, min_size=1, max_size=4, command_timeout=10)
        async with pool.acquire() as connection, connection.transaction():
            # Two starts at once (a restart that overlaps) must not race on CREATE TABLE.
            await connection.execute("SELECT pg_advisory_xact_lock(720001)")
            await connection.execute(TABLES + tables)
            await connection.executemany(
                "INSERT INTO person (local_id, number, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [(each.local_id, each.number, each.name) for each in people],
            )
        return cls(pool)

    async def close(self) -> None:
        """Closes the pool."""
        await self.pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

    async def person_by_number(self, number: str) -> LocalPerson | None:
        """The person with this personal number, or None."""
        row = await self.pool.fetchrow("SELECT local_id, number, name FROM person WHERE number = $1", number)
        return LocalPerson(**row) if row else None

    async def person(self, local_id: str) -> LocalPerson | None:
        """The person with this local id, or None."""
        row = await self.pool.fetchrow("SELECT local_id, number, name FROM person WHERE local_id = $1", local_id)
        return LocalPerson(**row) if row else None

    async def tell(self, connection: Connection, local_id: str, counted: str) -> None:
        """Within the transaction of a change: the index is to know what is held about the person now.

        `counted`: SQL that gives the number of records and the latest moment, of the person $1.
        """
        await connection.execute(
            f"WITH now_held (items, most_recent) AS ({counted}), told AS ("
            "INSERT INTO engagement (business_object, local_id, items, most_recent) "
            "SELECT gen_random_uuid(), $1, items, most_recent FROM now_held "
            "ON CONFLICT (local_id) DO UPDATE SET items = excluded.items, most_recent = excluded.most_recent "
            "RETURNING business_object) INSERT INTO outbox (business_object) SELECT business_object FROM told",
            local_id,
        )

    async def next_unsent(self) -> Engagement | None:
        """The state to send first: rendered at sending, so that an older state never overtakes a newer one."""
        row = await self.pool.fetchrow(
            "SELECT e.business_object, p.number, e.items, e.most_recent, "
            "(SELECT max(l.id) FROM outbox l WHERE l.business_object = e.business_object) AS outbox_id "
            "FROM outbox o JOIN engagement e USING (business_object) JOIN person p USING (local_id) "
            "WHERE o.sent IS NULL ORDER BY o.attempts, o.id LIMIT 1"
        )
        return Engagement(**row) if row else None

    async def sent(self, engagement: Engagement) -> None:
        """The index has it: every row up to the one read is done."""
        await self.pool.execute(
            "UPDATE outbox SET sent = now() WHERE business_object = $1 AND id <= $2 AND sent IS NULL",
            engagement.business_object,
            engagement.outbox_id,
        )

    async def not_sent(self, engagement: Engagement) -> None:
        """The index did not take it: it is tried again."""
        await self.pool.execute(
            "UPDATE outbox SET attempts = attempts + 1 WHERE business_object = $1 AND sent IS NULL",
            engagement.business_object,
        )

    async def pending(self) -> int:
        """How many rows the index has not got yet."""
        return int(await self.pool.fetchval("SELECT count(*) FROM outbox WHERE sent IS NULL") or 0)
