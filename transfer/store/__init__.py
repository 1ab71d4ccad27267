# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tables and queries of the transfer service: the only SQL it has.

Everything a register's worker writes goes through a `Ledger`, which exists only while the register is held.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.crypto import Cipher
from transfer.model.register import Register
from transfer.store.events import Event, Events
from transfer.store.feeds import CONSENT, INDEX, Feeds
from transfer.store.hold import hold
from transfer.store.outbox import Delivery, Outbox
from transfer.store.views import Counts, DeadLetter, Registers, at

Engine = AsyncEngine


@dataclass(frozen=True, slots=True)
class Ledger:
    """A held register's feeds, events and outbox."""

    feeds: Feeds
    events: Events
    outbox: Outbox


class Ledgers:
    """Opens ledgers; one process at a time gets a register's."""

    def __init__(
        self,
        engine: Engine,
        cipher: Cipher,
        *,
        random_bytes: Callable[[int], bytes],
        now: Callable[[], datetime],
        audit_function: str | None = APPEND_FUNCTION,
    ) -> None:
        self._engine, self._cipher = engine, cipher
        self._random_bytes, self._now, self._audit_function = random_bytes, now, audit_function

    @asynccontextmanager
    async def open(self, register: Register, sender: str) -> AsyncIterator[Ledger | None]:
        """The register's ledger while the block runs, or None if another process works it.

        `sender`: HSA-id of the organisation in whose name is sent.
        """
        async with hold(
            self._engine, register, self._cipher, sender=sender, random_bytes=self._random_bytes, now=self._now
        ) as held:
            if held is None:
                yield None
                return
            yield Ledger(Feeds(held, self._cipher), Events(held, self._cipher), Outbox(held, self._audit_function))


__all__ = [
    "CONSENT",
    "INDEX",
    "Counts",
    "DeadLetter",
    "Delivery",
    "Engine",
    "Event",
    "Ledger",
    "Ledgers",
    "Registers",
    "at",
]
