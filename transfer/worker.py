# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worker: works every register that is free, until it is cancelled.

Several processes may run workers; a register is worked by the one that holds it (`store/hold.py`). Each step of a
turn is one transaction or one exchange with a partner and can be repeated, so the process may be killed anywhere.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
import os
import random
import traceback

import httpx2
import structlog

from consent.client import ConsentClient
from fhir_server.context import AuditSink
from fhir_server.crypto import Cipher
from gateway.client import GatewayClient
from patient_index.client import IndexClient
from security.client import TokenSource
from transfer.model.register import Register
from transfer.store import Engine, Ledgers, Registers
from transfer.turn import Partners, Turns, WorkerSettings

log = structlog.get_logger("ndi.transfer")


class Worker:
    """Works all registers of a database. Each register it holds keeps one connection of `engine` busy."""

    def __init__(
        self,
        *,
        engine: Engine,
        cipher: Cipher,
        index: IndexClient,
        gateway: GatewayClient,
        consent: ConsentClient,
        tokens: TokenSource,
        http: httpx2.AsyncClient,
        audit: AuditSink | None = None,
        settings: WorkerSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`http` goes to the registers; `tokens` gives contexts of the client with the role transfer.

        `audit` is needed if a service is called in process; over HTTP the service's own process keeps the log.
        """
        self._registers = Registers(engine)
        self._ledgers = Ledgers(engine, cipher, random_bytes=random_bytes, now=now)
        self._partners = Partners(index, gateway, consent, tokens, http, audit, now, chance)
        self._settings = settings or WorkerSettings()

    async def run(self) -> None:
        """Works until cancelled. A register that fails is tried again; the others go on."""
        tasks: dict[Register, asyncio.Task[None]] = {}
        try:
            while True:
                known = await self._known(tasks)
                # A register that was changed counts as another: its task ends and one with the new address begins.
                for register in [each for each in tasks if each not in known]:
                    await _end(tasks.pop(register))
                for register in known:
                    if register not in tasks:
                        tasks[register] = asyncio.create_task(self._work(register))
                await asyncio.sleep(self._settings.rest)
        finally:
            for task in tasks.values():
                await _end(task)

    async def _known(self, before: dict[Register, asyncio.Task[None]]) -> list[Register]:
        try:
            return await self._registers.all()
        except Exception as error:
            log.error("the registers cannot be read; tried again", **_failure(error))
            return list(before)

    async def _work(self, register: Register) -> None:
        """Waits for the register to be free and works it; begins anew after any failure, such as a lost connection."""
        while True:
            try:
                await self._hold(register)
            except Exception as error:
                log.error("interrupted; begins anew", register=register.hsa_id, **_failure(error))
            await asyncio.sleep(self._settings.rest)

    async def _hold(self, register: Register) -> None:
        context = await self._partners.context(self._settings.fetch_seconds)
        async with self._ledgers.open(register, context.caller.organisation or "") as ledger:
            if ledger is None:
                return
            log.info("working", register=register.hsa_id)
            turns = Turns(register, ledger, self._partners, self._settings)
            while True:
                if not await turns.turn():
                    await asyncio.sleep(self._settings.poll)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _failure(error: BaseException) -> dict[str, str]:
    """What a log may say of a failure: a database's own text can hold the values it was given."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "where": f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""}
