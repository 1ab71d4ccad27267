# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The bare minimum of the same stack: ASGI, asyncpg, one statement, the same bytes out. No token, no checks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Self
import uuid

import asyncpg

from bench.kernel_data import SCHEMA, observation, values

_NUMERIC = frozenset({"low", "high", "low_3", "high_3"})


@dataclass
class Connections:
    """Pinned connections, the one used last first; generic plans, no reset."""

    some: list[Any]
    gate: asyncio.Semaphore

    @classmethod
    async def open(cls, url: str, size: int) -> Self:
        """So many connections."""
        settings = {"plan_cache_mode": "force_generic_plan", "timezone": "UTC"}
        some = [await asyncpg.connect(url, server_settings=settings) for _ in range(size)]
        return cls(some, asyncio.Semaphore(size))

    async def close(self) -> None:
        """Closes them."""
        for each in self.some:
            await each.close()

    @asynccontextmanager
    async def one(self) -> Any:
        """A connection, waited for where all are used."""
        async with self.gate:
            connection = self.some.pop()
            try:
                yield connection
            finally:
                self.some.append(connection)


def read(connections: Connections) -> Any:
    """The stored bytes after one select by key."""
    sql = f"SELECT body FROM {SCHEMA}.resource WHERE type = 'Observation' AND id = $1"

    async def answer(scope: Any, body: bytes) -> bytes:
        async with connections.one() as connection:
            return bytes(await connection.fetchval(sql, scope["path"].rpartition("/")[2]))

    return _app(answer)


def search(connections: Connections) -> Any:
    """Ten resources by one indexed select, spliced into a Bundle."""
    sql = (
        f"SELECT r.id, r.body FROM {SCHEMA}.token_value v JOIN {SCHEMA}.resource r ON r.type = v.type AND r.id = v.id "
        "WHERE v.type = 'Observation' AND v.parameter = 'code' AND v.code = $1 AND v.system = $2 "
        "ORDER BY r.created DESC, r.id DESC LIMIT 10"
    )

    async def answer(scope: Any, body: bytes) -> bytes:
        system, _, code = scope["query_string"].decode().partition("code=")[2].partition("&")[0].partition("|")
        async with connections.one() as connection:
            rows = await connection.fetch(sql, code, system)
        base = "http://x/bench/fhir/Observation"
        return _bundle(
            b'{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"' + base.encode() + b'"}]',
            [
                b'{"fullUrl":"' + f"{base}/{row[0]}".encode() + b'","resource":' + row[1]
                + b',"search":{"mode":"match"}}'
                for row in rows
            ],
        )  # fmt: skip

    return _app(answer)


def history(connections: Connections) -> Any:
    """Ten versions by one select, spliced into a Bundle."""
    sql = (
        f"SELECT version, last_updated, body FROM {SCHEMA}.resource_history WHERE type = 'Observation' AND id = $1 "
        "ORDER BY last_updated DESC, type DESC, id DESC, version DESC LIMIT 10"
    )

    async def answer(scope: Any, body: bytes) -> bytes:
        async with connections.one() as connection:
            rows = await connection.fetch(sql, scope["path"].split("/")[-2])
        head = b'{"resourceType":"Bundle","type":"history","link":[{"relation":"self","url":"http://x"}]'
        return _bundle(
            head,
            [
                b'{"fullUrl":"http://x","resource":' + row[2] + b',"request":{"method":"PUT","url":"Observation/x"},'
                b'"response":{"status":"200 OK","etag":"W/\\"' + str(row[0]).encode() + b'\\"","lastModified":"'
                + row[1].isoformat().encode() + b'"}}'
                for row in rows
            ],
        )  # fmt: skip

    return _app(answer)


def create(connections: Connections) -> Any:
    """One statement that writes resource, history and the search values."""
    found = list(values(1).by_table())
    sql = _insert([name for name, _ in found], {name: rows[0]._fields for name, rows in found})
    prepared = [column for _, rows in found for column in _columns(rows)]
    numbers = count()

    async def answer(scope: Any, body: bytes) -> bytes:
        identity = str(uuid.UUID(int=next(numbers) << 64 | uuid.uuid4().int >> 64))
        owners = [identity for _, rows in found for _ in rows]
        arguments: list[Any] = [[identity], [datetime.now(UTC)], [body]]
        at = 0
        for _, rows in found:
            arguments.append(owners[at : at + len(rows)])
            at += len(rows)
        async with connections.one() as connection:
            await connection.fetchval(sql, *arguments, *prepared)
        return b""

    return _app(answer, 201)


def transaction(connections: Connections) -> Any:
    """The same statement for a hundred resources."""
    found = list(values(1).by_table())
    sql = _insert([name for name, _ in found], {name: rows[0]._fields for name, rows in found})
    prepared = [column * 100 for _, rows in found for column in _columns(rows)]
    bodies = [observation(number) for number in range(100)]

    async def answer(scope: Any, body: bytes) -> bytes:
        now = datetime.now(UTC)
        stem = uuid.uuid4().hex[:28]
        ids = [f"{number:06x}-{stem}" for number in range(100)]
        owners = [[each for each in ids for _ in rows] for _, rows in found]
        async with connections.one() as connection:
            await connection.fetchval(sql, ids, [now] * 100, bodies, *owners, *prepared)
        return b'{"resourceType":"Bundle","type":"transaction-response"}'

    return _app(answer)


def _columns(rows: Sequence[Any]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _insert(names: Sequence[str], fields: dict[str, tuple[str, ...]]) -> str:
    new = "unnest($1::text[], $2::timestamptz[], $3::bytea[]) u(id, updated, body)"
    steps = [
        f"r AS (INSERT INTO {SCHEMA}.resource (type, id, version, last_updated, deleted, body) "
        f"SELECT 'Observation', id, 1, updated, false, body FROM {new})",
        f"h AS (INSERT INTO {SCHEMA}.resource_history (type, id, version, last_updated, deleted, method, body) "
        f"SELECT 'Observation', id, 1, updated, false, 'POST', body FROM {new})",
    ]
    at = 4 + len(names)
    for owner, name in enumerate(names, start=4):
        columns = fields[name]
        kinds = (_kind(name, each) for each in columns)
        arrays = ", ".join(f"${at + index}::{kind}[]" for index, kind in enumerate(kinds))
        at += len(columns)
        listed = ", ".join(columns)
        steps.append(
            f"v{owner} AS (INSERT INTO {SCHEMA}.{name}_value (type, id, {listed}) SELECT 'Observation', id, {listed} "
            f"FROM unnest(${owner}::text[], {arrays}) u(id, {listed}))"
        )
    return f"WITH {', '.join(steps)} SELECT 1"


def _kind(table: str, column: str) -> str:
    if column in ("since", "until") or (table == "date" and column in ("low", "high")):
        return "timestamptz"
    return "numeric" if column in _NUMERIC else "text"


def _bundle(head: bytes, entries: Sequence[bytes]) -> bytes:
    return head + b',"entry":[' + b",".join(entries) + b"]}"


def _app(answer: Callable[[Any, bytes], Awaitable[bytes]], status: int = 200) -> Any:
    async def app(scope: Any, receive: Any, respond: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await respond({"type": "lifespan.startup.complete"})
            await receive()
            await respond({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        content = await answer(scope, body)
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(content)).encode())]
        await respond({"type": "http.response.start", "status": status, "headers": headers})
        await respond({"type": "http.response.body", "body": content})

    return app
