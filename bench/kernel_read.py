# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel's read by id against the bare minimum of the same stack.

Floor: an ASGI callable that selects the same 2 kB resource by key on a prepared statement and sends it.
Ours: the same through routes, limits, a token, access class, ETag and Last-Modified.

    python -m bench.kernel_read
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text
import structlog

from bench.figures import Figure, write
from bench.load import Load, send
from fhir_server.app import KernelSettings, create_app
from fhir_server.context import Access
from fhir_server.service import ResourceType, Service
from fhir_server.storage.database import create_engine
from fhir_server.storage.schema import tables
from ndi.embedded import EmbeddedPostgres
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer
from tests.support.databases import fresh_database
from tests.support.running import serving

COUNT = 1000
SCHEMA = "bench"


def main() -> None:
    """Measures and prints both, and writes the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    write("kernel-read", "Read by id, 2 kB, 16 connections, one worker", asyncio.run(measure()))


async def measure() -> list[Figure]:
    """Floor and ours, alternating, the best of three rounds each."""
    async with _database() as url:
        engine = create_engine(url)
        await _fill(engine)
        service = Service(
            SCHEMA, "Bench", "/bench", resources=(ResourceType("Organization", Access.directory, frozenset({"read"})),)
        )
        app = create_app(
            service, engine=engine, authenticator=TestAuthenticator(), audit=ListAudit(), settings=KernelSettings()
        )
        pool = await asyncpg.create_pool(url, min_size=8, max_size=8)
        token = bearer(OPERATOR)["Authorization"]
        floor: list[Load] = []
        ours: list[Load] = []
        async with serving(app) as base, serving(_floor(pool)) as floor_base:
            for _ in range(3):
                floor.append(await _load(floor_base, "/bench/fhir/Organization/", token))
                ours.append(await _load(base, "/bench/fhir/Organization/", token))
        await pool.close()
        await engine.dispose()
    best_floor, best = max(floor, key=lambda each: each.rate), max(ours, key=lambda each: each.rate)
    return [
        Figure("bare ASGI, one keyed select", best_floor, None),
        Figure("kernel: routes, token, access class, ETag", best, best.rate / best_floor.rate),
    ]


async def _load(base: str, path: str, token: str) -> Load:
    port = int(base.rpartition(":")[2])
    requests = [
        f"GET {path}{number} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode() for number in range(COUNT)
    ]
    return await asyncio.to_thread(send, port, requests)


def _floor(pool: Any) -> Any:
    sql = f"SELECT body FROM {SCHEMA}.resource WHERE type = 'Organization' AND id = $1"

    async def app(scope: Any, receive: Any, respond: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await respond({"type": "lifespan.startup.complete"})
            await receive()
            await respond({"type": "lifespan.shutdown.complete"})
            return
        async with pool.acquire() as connection:
            body = await connection.fetchval(sql, scope["path"].rpartition("/")[2])
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(body)).encode())]
        await respond({"type": "http.response.start", "status": 200, "headers": headers})
        await respond({"type": "http.response.body", "body": body})

    return app


async def _fill(engine: Any) -> None:
    kept = tables(SCHEMA)
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        await connection.run_sync(kept.metadata.create_all)
        await connection.execute(
            text(
                f"INSERT INTO {SCHEMA}.resource (type, id, version, last_updated, deleted, body) "
                "SELECT 'Organization', i::text, 1, now(), false, convert_to(:body, 'UTF8') "
                "FROM generate_series(0, :last) i"
            ),
            {"body": _resource(), "last": COUNT - 1},
        )


def _resource() -> str:
    resource = {"resourceType": "Organization", "id": "1", "name": "x" * 1900}
    return orjson.dumps(resource).decode()


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    with EmbeddedPostgres(Path("var/bench/postgres")).used() as server:
        async with fresh_database(server, "template1") as url:
            yield url


if __name__ == "__main__":
    main()
