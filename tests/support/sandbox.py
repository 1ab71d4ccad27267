# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The sandbox on an empty database of its own, served while a block runs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_server.app import background
from fhir_server.storage.database import create_engine
from ndi.processes.house import House, running
from ndi.sandbox import sandbox_app, take_possession
from tests.support.databases import fresh_database
from tests.support.running import serving

EMPTY = "template0"


@dataclass(frozen=True, slots=True)
class Bases:
    """FHIR bases on one database: of the sandbox, and of one that keeps what it is given without checking it."""

    checked: str
    unchecked: str


@asynccontextmanager
async def sandbox_serving(server: str, types: Sequence[str] | None = None) -> AsyncIterator[str]:
    """`server`: address of a PostgreSQL server. Gives the FHIR base of the sandbox."""
    async with both_serving(server, types) as bases:
        yield bases.checked


@asynccontextmanager
async def both_serving(server: str, types: Sequence[str] | None = None) -> AsyncIterator[Bases]:
    """The sandbox, and beside it one that does not validate."""
    async with fresh_database(server, EMPTY) as url:
        engine = create_engine(url)
        try:
            await take_possession(engine)
            with TemporaryDirectory() as folder:
                app = sandbox_app(engine, types, folder=Path(folder))
                work = background(app)
                house = House(engine, {"/fhir": app}, app, [running("jobs", work)] if work is not None else [])
                unchecked = sandbox_app(engine, types, folder=Path(folder), validate=False)
                async with serving(house) as address, serving(unchecked) as other:
                    yield Bases(f"{address}/fhir", f"{other}/fhir")
        finally:
            await engine.dispose()
