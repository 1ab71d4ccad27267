# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Brings the schemas of the services to their newest revision, and tells where they stand."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from fhir_server.storage.migrations import VERSION_TABLE, configuration, upgrade_engine

SERVICES: Final = (
    "security",
    "audit",
    "patient_index",
    "provider_catalog",
    "consent",
    "terminology",
    "gateway",
    "transfer",
    "portal",
)
"""In the order of upgrading: writes of the others call functions of `audit`."""

# Alembic keeps the running upgrade in variables of its module: one at a time in a process.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where one service's schema stands."""

    service: str
    current: str | None
    """The revision in the database; None where there is none yet."""
    head: str | None
    """The newest revision in the code; None where there is none yet."""

    @property
    def up_to_date(self) -> bool:
        """Whether nothing is left to upgrade."""
        return self.current == self.head


def migrations_folder(service: str) -> Path | None:
    """The service's `migrations` folder; None for a service without tables."""
    spec = find_spec(service)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "migrations"
    return folder if (folder / "env.py").is_file() else None


def with_migrations(services: Sequence[str] | None = None) -> list[tuple[str, Path]]:
    """Services that have migrations, with their folders, in the order of upgrading.

    Raises `ValueError` on a name that is no service.
    """
    unknown = set(services or ()) - set(SERVICES)
    if unknown:
        raise ValueError(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(SERVICES)}")
    chosen = [service for service in SERVICES if services is None or service in services]
    return [(service, folder) for service in chosen if (folder := migrations_folder(service)) is not None]


async def upgrade(url: str, services: Sequence[str] | None = None) -> list[SchemaState]:
    """Upgrades the services' schemas, all by default, each in one transaction; answers the states before.

    Safe to call from several processes at once and as often as one likes.
    """
    engine = upgrade_engine(url)
    before = []
    try:
        for service, folder in with_migrations(services):
            async with _turn(), engine.begin() as connection:
                state = await connection.run_sync(_state, service, folder)
                before.append(state)
                await connection.run_sync(_upgrade, folder)
    finally:
        await engine.dispose()
    return before


async def status(url: str, services: Sequence[str] | None = None) -> list[SchemaState]:
    """Where the services' schemas stand; changes nothing."""
    engine = upgrade_engine(url)
    try:
        async with engine.connect() as connection:
            return [await connection.run_sync(_state, service, folder) for service, folder in with_migrations(services)]
    finally:
        await engine.dispose()


def _turn() -> asyncio.Lock:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _upgrade(connection: Connection, folder: Path) -> None:
    config = configuration(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _state(connection: Connection, service: str, folder: Path) -> SchemaState:
    head = ScriptDirectory.from_config(configuration(folder)).get_current_head()
    table = f'"{service}".{VERSION_TABLE}'
    present = connection.scalar(text("SELECT to_regclass(:table)"), {"table": table})
    current = None if present is None else connection.scalar(text(f"SELECT version_num FROM {table}"))
    return SchemaState(service, current, head)
