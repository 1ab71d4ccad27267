# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The sandbox on an empty database of its own, served while a block runs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_server.app import background
from fhir_server.storage.database import create_engine
from ndi.processes.house import House, running
from ndi.sandbox import sandbox_app, take_possession
from tests.support.databases import fresh_database
from tests.support.running import serving

EMPTY = "template0"


@asynccontextmanager
async def sandbox_serving(server: str, types: Sequence[str] | None = None) -> AsyncIterator[str]:
    """`server`: address of a PostgreSQL server. Gives the FHIR base of the sandbox."""
    async with fresh_database(server, EMPTY) as url:
        engine = create_engine(url)
        try:
            await take_possession(engine)
            with TemporaryDirectory() as folder:
                app = sandbox_app(engine, types, folder=Path(folder))
                work = background(app)
                house = House(engine, {"/fhir": app}, app, [running("jobs", work)] if work is not None else [])
                async with serving(house) as address:
                    yield f"{address}/fhir"
        finally:
            await engine.dispose()
