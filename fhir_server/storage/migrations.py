# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The body of every service's `migrations/env.py`: one schema per service, its version table inside it.

Two processes may start at the same moment and both want to upgrade: an advisory lock of the transaction
makes the second wait, and it then finds nothing to do. A revision that fails leaves nothing behind, since
schema, tables and version are written in one transaction.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from alembic import context
from alembic.config import Config
from sqlalchemy import Connection, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

VERSION_TABLE: Final = "alembic_version"

_LOCK: Final = 0x6E6469  # "ndi": any number, the same for all processes that upgrade one database


def async_url(url: str) -> URL:
    """The address with the asyncpg driver: `postgresql://…` is what people and other tools write."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+asyncpg") if parsed.drivername in ("postgresql", "postgres") else parsed


def upgrade_engine(url: str) -> AsyncEngine:
    """An engine for a single piece of work: no pool is kept, so the database can be copied or dropped after it."""
    return create_async_engine(async_url(url), poolclass=NullPool)


def configuration(folder: Path) -> Config:
    """Alembic's configuration for a service's `migrations` folder."""
    config = Config()
    # Alembic interpolates %: a folder name may hold one.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def run(schema: str) -> None:
    """Runs the revisions of one service into `schema`, which is created if it is absent.

    `ndi.migrate` hands over an open connection; `alembic` called by hand opens one to `NDI_DATABASE_URL`.
    Raises `RuntimeError` if neither is there or if only SQL text is asked for (`--sql`).
    """
    if context.is_offline_mode():
        raise RuntimeError("revisions read the database they change: --sql is not offered")
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _upgrade(connection, schema)
        return
    url = os.environ.get("NDI_DATABASE_URL")
    if not url:
        raise RuntimeError("set NDI_DATABASE_URL, or use `ndi db upgrade`")
    asyncio.run(_upgrade_at(url, schema))


async def _upgrade_at(url: str, schema: str) -> None:
    engine = upgrade_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, schema)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, schema: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    present = connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema})
    if present is None:
        # Not "if not exists": an account without the right to create schemas may still upgrade one that is there.
        connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        version_table_schema=schema,
        include_schemas=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
