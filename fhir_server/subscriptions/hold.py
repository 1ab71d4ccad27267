# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A Subscription is worked by one process at a time: by the one whose connection holds its advisory lock.

A worker has one connection for its locks, and every write goes over it: with the connection go the locks and the means
to write, so that a worker that only believes to hold a Subscription can change nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")


class Hold:
    """The locks of one worker."""

    def __init__(self, connection: AsyncConnection, schema: str) -> None:
        self._connection, self._schema = connection, schema
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One short transaction on the lock's connection; those who work beside each other take turns."""
        async with self._turn, self._connection.begin():
            yield self._connection

    @asynccontextmanager
    async def of(self, identity: str) -> AsyncIterator[bool]:
        """Holds a Subscription while the block runs; False if another process does."""
        name = {"name": f"ndi.subscription:{self._schema}/{identity}"}
        async with self.transaction() as connection:
            got = bool((await connection.execute(_LOCK, name)).scalar_one())
        try:
            yield got
        finally:
            if got and not self._connection.invalidated and not self._connection.closed:
                async with self.transaction() as connection:
                    await connection.execute(_UNLOCK, name)


@asynccontextmanager
async def hold(engine: AsyncEngine, schema: str) -> AsyncIterator[Hold]:
    """A connection for the locks of one worker while the block runs."""
    async with engine.connect() as connection:
        try:
            yield Hold(connection, schema)
        finally:
            await connection.invalidate()  # with the connection end its locks: a pooled one would keep them
