# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Fresh migrated databases for tests: one template a version of the migrations, copied for each test.

Copying a template is many times faster than migrating, and the tests still see what the migrations made.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import hashlib
import os
from pathlib import Path
import re
import secrets
import time
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from ndi import migrate

ROOT = Path(__file__).parents[2]
SERVER_URL = os.environ.get("NDI_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")

_TEMPLATE = "ndi_template_"
_TEST = "ndi_test_"
_LOCK = 0x6E646974
_KEPT = 6 * 3600


def with_database(url: str, name: str) -> str:
    """The address of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def fingerprint() -> str:
    """Changes whenever something changes that migrations are made of."""
    digest = hashlib.sha256()
    for service, folder in migrate.with_migrations():
        files = [*folder.rglob("*.py"), *(folder.parent / name for name in ("store.py", "client.py", "model.py"))]
        for file in sorted(files):
            if file.is_file():
                digest.update(f"{service}/{file.name}".encode())
                digest.update(file.read_bytes())
    kernel = ROOT / "fhir_server"
    for file in [*sorted((kernel / "storage").glob("*.py")), kernel / "subscriptions" / "schema.py"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


async def answers(url: str) -> bool:
    """Whether a server can be reached there."""
    try:
        connection = await asyncpg.connect(url, timeout=3)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def ensure_template(url: str) -> str:
    """The name of the template for the present migrations, made if needed; removes what crashed runs left."""
    admin = await asyncpg.connect(url)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", _LOCK)
        name = _TEMPLATE + fingerprint()
        await _sweep(admin, name)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            building = f"{_TEST}{int(time.time())}_building_{secrets.token_hex(4)}"
            await admin.execute(f"CREATE DATABASE \"{building}\" TEMPLATE template0 ENCODING 'UTF8'")
            try:
                await migrate.upgrade(with_database(url, building))
            except BaseException:
                await admin.execute(f'DROP DATABASE "{building}" WITH (FORCE)')
                raise
            await admin.execute(f'ALTER DATABASE "{building}" RENAME TO "{name}"')
        await admin.execute(f"COMMENT ON DATABASE \"{name}\" IS '{int(time.time())}'")
        return name
    finally:
        await admin.close()


@asynccontextmanager
async def fresh_database(url: str, template: str) -> AsyncIterator[str]:
    """A copy of the template while the block runs; gives its address."""
    name = f"{_TEST}{int(time.time())}_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield with_database(url, name)
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


async def _sweep(admin: asyncpg.Connection, keep: str) -> None:
    rows = await admin.fetch(
        "SELECT datname, shobj_description(oid, 'pg_database') AS used FROM pg_database WHERE datname LIKE 'ndi\\_%'"
    )
    for row in rows:
        name = row["datname"]
        stamp = row["used"] if name.startswith(_TEMPLATE) else (re.findall(rf"^{_TEST}([0-9]+)_", name) or [None])[0]
        if name != keep and stamp is not None and int(stamp) < time.time() - _KEPT:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
