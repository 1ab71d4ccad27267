# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A worker on a world: in this process, or `python -m tests.transfer.working` as one that can be killed."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import logging
import sys
from typing import Any, cast

import httpx2

from consent.client import ConsentClient
from fhir_server.context import AuditSink
from fhir_server.crypto import Cipher
from fhir_server.retry import Backoff
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKeys
from patient_index.client import IndexClient
from tests.transfer.world import Consents, Index, Partners
from transfer.turn import WorkerSettings
from transfer.worker import Worker

QUICK = WorkerSettings(
    poll=0.02, rest=0.05, batch=8, fetch_seconds=2, send_seconds=0.5, event_attempts=5, delivery_attempts=6,
    event_backoff=Backoff(0.02, 0.1), delivery_backoff=Backoff(0.02, 0.1),
)  # fmt: skip


@asynccontextmanager
async def worker(
    database_url: str,
    world_url: str,
    keys: PersonKeys,
    cipher: Cipher,
    settings: WorkerSettings = QUICK,
    *,
    audit: AuditSink | None = None,
    in_process: bool = False,
) -> AsyncIterator[Worker]:
    """A worker at work while the block runs."""
    engine = create_engine(database_url)
    try:
        async with (
            httpx2.AsyncClient(base_url=world_url, trust_env=False, timeout=5) as world,
            httpx2.AsyncClient(trust_env=False) as http,
        ):
            partners = Partners(world, keys, in_process=in_process)
            made = Worker(
                engine=engine,
                cipher=cipher,
                index=cast(IndexClient, Index(partners)),
                gateway=cast(Any, partners),
                consent=cast(ConsentClient, Consents(partners)),
                tokens=partners,
                http=http,
                audit=audit,
                settings=settings,
            )
            task = asyncio.create_task(made.run())
            try:
                yield made
            finally:
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()
    finally:
        await engine.dispose()


async def until(met: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Waits until it is so. Raises `AssertionError` if it does not become so."""
    end = asyncio.get_running_loop().time() + seconds
    while not await met():
        assert asyncio.get_running_loop().time() < end, "it did not come to that"
        await asyncio.sleep(0.02)


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, database_url: str, world_url: str) -> None:
        self._arguments = ["-m", "tests.transfer.working", database_url, world_url]
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(sys.executable, *self._arguments)

    async def kill(self) -> None:
        """kill -9, wherever it is."""
        assert self._process.returncode is None, "the worker ended by itself"
        self._process.kill()
        await self._process.wait()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database_url")
    parser.add_argument("world_url")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    keys = PersonKeys({1: bytes(range(32))}, 1)
    cipher = Cipher({1: bytes(range(32, 64))}, 1)
    async with worker(options.database_url, options.world_url, keys, cipher):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
