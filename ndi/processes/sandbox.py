# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The process of `ndi sandbox`: port, database, tables, then uvicorn, on loopback and nowhere else."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import signal
import sys
from typing import Final

import asyncpg
from sqlalchemy import make_url

from fhir_server.app import background
from fhir_server.commands import CommandError
from fhir_server.storage.database import create_engine
from ndi import logs
from ndi.deployment import first_line
from ndi.embedded import EmbeddedPostgres
from ndi.processes.house import House, running
from ndi.processes.serve import interrupt, listening, run
from ndi.sandbox import DATABASE, sandbox_app, sandbox_service, take_possession
from ndi.settings import Settings

HOST: Final = "127.0.0.1"
PORT: Final = 8740


def sandbox(
    settings: Settings, *, port: int, types: Sequence[str] | None, database: str | None, fresh: bool, quiet: bool
) -> None:
    """Serves the sandbox until SIGINT or SIGTERM.

    `database`: address of a database to use instead of the embedded one. Raises `CommandError`, `EmbeddedError`.
    """
    try:
        served = len(sandbox_service(types).resources)
    except ValueError as error:
        raise CommandError(str(error)) from None
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with listening(HOST, port) as listener, opened(settings, database, fresh=fresh) as url:
            # Not the deployment's format: these lines are read by the one who tries things out.
            logs.set_up("warning" if quiet else settings.log_level, "text")
            engine = create_engine(url, size=settings.database_connections)
            base = f"http://{HOST}:{listener.getsockname()[1]}/fhir"
            app = sandbox_app(engine, types, folder=settings.data / "sandbox-bulk", packages=settings.packages_folder)
            work = background(app)
            parts = () if work is None else (running("jobs", work),)
            _say(f"SANDBOX WITHOUT LOGIN at {base}: invented data only. {served} resource types. Ctrl-C ends it.")
            run(House(engine, {"/fhir": app}, app, parts), listener)
    except KeyboardInterrupt:
        return


@contextmanager
def opened(settings: Settings, given: str | None, *, fresh: bool = False) -> Iterator[str]:
    """The address of the sandbox's database with its tables made; `given` and `fresh` as of `sandbox`."""
    with _database(settings, given) as url:
        asyncio.run(_prepare(url, fresh=fresh))
        yield url


@contextmanager
def _database(settings: Settings, given: str | None) -> Iterator[str]:
    """The address of the database; the embedded server runs in a folder of its own while the block does."""
    if given is not None:
        if not given.startswith(("postgresql://", "postgres://")):
            raise CommandError("--database takes postgresql://user:password@host/database")
        yield given
        return
    # Not the services' server: its folder goes with the keys of their data.
    server = EmbeddedPostgres(settings.data / "sandbox")
    with server.used() as url:
        asyncio.run(_ensure_database(url))
        yield server.url(DATABASE)


async def _ensure_database(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
    except asyncpg.DuplicateDatabaseError:
        return  # a second sandbox started at the same moment
    finally:
        await connection.close()


async def _prepare(url: str, *, fresh: bool) -> None:
    engine = create_engine(url, size=1)
    try:
        await take_possession(engine, fresh=fresh)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        where = make_url(url).render_as_string(hide_password=True)
        raise CommandError(f"the database {where} does not answer: {first_line(error)}") from None
    finally:
        await engine.dispose()


def _say(text: str) -> None:
    line = f" {text} "
    if sys.stderr.isatty():
        line = f"\x1b[1;41;97m{line}\x1b[0m"
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
