# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worker of the clinic in a process of its own, which can be killed: `python -m tests.fhir_server.bulk.working`."""

import asyncio
from pathlib import Path
import sys

from fhir_server.app import background
from fhir_server.storage.database import create_engine
from tests.fhir_server.clinic import clinic_app
from tests.support.callers import ListAudit

ROWS_PER_FILE = 1000


class WorkerProcess:
    """Started and killed by a test."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._arguments = ["-m", "tests.fhir_server.bulk.working", database_url, str(folder)]
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(sys.executable, *self._arguments)

    async def kill(self) -> None:
        """kill -9, wherever it is."""
        assert self._process.returncode is None, "the worker ended by itself"
        self._process.kill()
        await self._process.wait()


async def main(database_url: str, folder: str) -> None:
    engine = create_engine(database_url)
    work = background(clinic_app(engine, ListAudit(), Path(folder), rows_per_file=ROWS_PER_FILE, attempts=1000))
    assert work is not None
    await work()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
