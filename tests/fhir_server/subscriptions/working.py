# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worker in a process of its own, which can be killed: `python -m tests.fhir_server.subscriptions.working`."""

import asyncio
import sys

from fhir_server.app import background
from fhir_server.storage.database import create_engine
from tests.fhir_server.subscriptions.hospital import hospital_app
from tests.support.callers import ListAudit


class WorkerProcess:
    """Started and killed by a test."""

    def __init__(self, database_url: str) -> None:
        self._arguments = ["-m", "tests.fhir_server.subscriptions.working", database_url]
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments, stdout=asyncio.subprocess.DEVNULL
        )

    async def kill(self) -> None:
        """kill -9, wherever it is."""
        assert self._process.returncode is None, "the worker ended by itself"
        self._process.kill()
        await self._process.wait()


async def main(database_url: str) -> None:
    work = background(hospital_app(create_engine(database_url), ListAudit()))
    assert work is not None
    await work()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
