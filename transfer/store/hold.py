# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One process works a register at a time: it holds an advisory lock, and every write goes over the lock's connection.

If that connection is lost, so are the lock and the means to write: a process that only believes to hold the
register can change nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.crypto import Cipher
from transfer.model.register import Register
from transfer.store.tables import register as register_table

_KEY_BYTES = 32
_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended('ndi.transfer:' || :register, 0))")


@dataclass(frozen=True, slots=True)
class Hold:
    """A register held by this process."""

    register: Register
    key: bytes
    """The register's pseudonym key."""
    sender: str
    """HSA-id of the organisation that sends."""
    random_bytes: Callable[[int], bytes]
    now: Callable[[], datetime]
    _connection: AsyncConnection
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction on the lock's connection; concurrent users take turns."""
        async with self._turn, self._connection.begin():
            yield self._connection


@asynccontextmanager
async def hold(
    engine: AsyncEngine,
    register: Register,
    cipher: Cipher,
    *,
    sender: str,
    random_bytes: Callable[[int], bytes],
    now: Callable[[], datetime],
) -> AsyncIterator[Hold | None]:
    """Holds the register while the block runs; gives None if another process does."""
    async with engine.connect() as connection:
        got = False
        try:
            async with connection.begin():
                got = (await connection.execute(_LOCK, {"register": register.hsa_id})).scalar_one()
            if not got:
                yield None
                return
            key = await _key(connection, register, cipher, random_bytes)
            yield Hold(register, key, sender, random_bytes, now, connection)
        finally:
            # The lock belongs to the session; a pooled connection would keep it after we are gone.
            if got:
                await connection.invalidate()


async def _key(
    connection: AsyncConnection, register: Register, cipher: Cipher, random_bytes: Callable[[int], bytes]
) -> bytes:
    """The register's pseudonym key, made at first use."""
    mine = register_table.c.hsa_id == register.hsa_id
    context = b"transfer.pseudonym-key:" + register.hsa_id.encode()
    async with connection.begin():
        sealed = (await connection.execute(select(register_table.c.pseudonym_key).where(mine))).scalar_one()
        if sealed is not None:
            return cipher.decrypt(sealed, context)
        key = random_bytes(_KEY_BYTES)
        await connection.execute(update(register_table).where(mine).values(pseudonym_key=cipher.encrypt(key, context)))
        return key
