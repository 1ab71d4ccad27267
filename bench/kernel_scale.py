# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel with ten thousand and with a million resources: read, search, the ten thousandth page, memory of a worker.

    python -m bench.kernel_scale [RESOURCES]

A real `ndi sandbox` process over HTTP. The rows are made in the database, with twelve search values a resource.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
import random
import statistics
import sys
import time
from typing import Any

import asyncpg
import httpx2
import psutil

from bench.figures import write_rows
from bench.kernel import database
from bench.load import Load, send
from fhir_server.storage.database import create_engine
from ndi.sandbox import SCHEMA, take_possession
from tests.support.running import free_port

FEW, MANY = 10_000, 1_000_000
PAGE = 100
_MADE = "generate_series($1::int, $2::int) i"
_MOMENT = "timestamptz '2026-01-01' + i * interval '1 second'"
_BODY = """
    convert_to('{"resourceType":"Observation","id":"o' || i || '","status":"final","code":{"coding":[{"system":'
    || '"http://loinc.org","code":"c' || i / 10 || '"}]},"subject":{"reference":"Patient/p' || i % 1000
    || '"},"note":[{"text":"' || repeat('x', 300) || '"}]}', 'UTF8')
"""
_VALUES: dict[str, list[tuple[str, ...]]] = {
    "token_value (type, parameter, system, code, id)": [
        ("code", "'http://loinc.org'", "'c' || i / 10"), ("combo-code", "'http://loinc.org'", "'c' || i / 10"),
        ("status", "'http://hl7.org/fhir/observation-status'", "'final'"), ("identifier", "'urn:x'", "i::text"),
    ],
    "string_value (type, parameter, value, exact, id)": [
        ("code:text", "'text ' || i / 10", "'Text'"), ("combo-code:text", "'text ' || i / 10", "'Text'"),
    ],
    "reference_value (type, parameter, target_type, target, id)": [
        ("subject", "'Patient'", "'p' || i % 1000"), ("patient", "'Patient'", "'p' || i % 1000"),
    ],
    "date_value (type, parameter, low, high, id)": [("date", _MOMENT, f"{_MOMENT} + interval '1 second'")],
    "quantity_value (type, parameter, code, low, high, id)": [
        ("value-quantity", "'mm'", "i % 1000", "i % 1000"), ("combo-value-quantity", "'mm'", "i % 1000", "i % 1000"),
    ],
    "composite_value (type, parameter, system, code, low, high, id)": [
        ("code-value-quantity", "'http://loinc.org'", "'c' || i / 10", "i % 1000", "i % 1000"),
    ],
}  # fmt: skip


def main() -> None:
    """Measures, prints and writes the table."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    asyncio.run(measure(many))


async def measure(many: int) -> None:
    """The same at both sizes, on one database."""
    async with database() as url:
        engine = create_engine(url)
        await take_possession(engine)
        await engine.dispose()
        connection = await asyncpg.connect(url)
        rows: list[tuple[str, float, float]] = []
        before: dict[str, float] = {}
        memory = 0.0
        for first, last in ((0, FEW), (FEW, many)):
            await _fill(connection, first, last)
            async with _sandbox(url) as (port, process):
                p50 = {
                    "read by id": _p50(await _load(port, [f"/Observation/o{n}" for n in _some(last)])),
                    "search by token, 10 found": _p50(
                        await _load(
                            port, [f"/Observation?code=http://loinc.org|c{n // 10}&_count=10" for n in _some(last)]
                        )
                    ),
                }
                if before:
                    rows += [(name, before[name], value) for name, value in p50.items()]
                    early, late = await _pages(port, last // PAGE)
                    rows.append((f"page 1 and page {last // PAGE:,}, {PAGE} resources each", early, late))
                    memory = process.memory_info().rss / 1_048_576
                before = p50
        await connection.close()
    title = f"{FEW:,} and {many:,} resources: p50 in ms, one connection; the worker then has {memory:.0f} MB"
    write_rows("kernel-scale", title, ("what", f"{FEW:,}", f"{many:,}", "ratio"),
               [(name, f"{one:.2f}", f"{other:.2f}", f"{other / one:.2f}") for name, one, other in rows])  # fmt: skip


def _some(last: int) -> list[int]:
    return random.Random(last).sample(range(last), min(last, 5_000))


def _p50(load: Load) -> float:
    if load.errors:
        raise SystemExit(f"{load.errors} errors; the run is void")
    return load.p50


async def _load(port: int, paths: Sequence[str]) -> Load:
    requests = [f"GET /fhir{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths]
    await asyncio.to_thread(send, port, requests, connections=1, seconds=2.0)
    return await asyncio.to_thread(send, port, requests, connections=1, seconds=5.0)


async def _pages(port: int, last: int) -> tuple[float, float]:
    """Milliseconds of a page at the beginning and at the end of a crawl through all, the median of fifty."""
    taken: list[float] = []
    url: str | None = f"http://127.0.0.1:{port}/fhir/Observation?_count={PAGE}"
    async with httpx2.AsyncClient(timeout=60, trust_env=False, headers={"Accept-Encoding": "identity"}) as http:
        while url is not None:
            began = time.perf_counter()
            body = (await http.get(url)).content
            taken.append((time.perf_counter() - began) * 1000)
            following = body.partition(b'"relation":"next","url":"')[2].partition(b'"')[0].decode()
            url = following or None
    if len(taken) not in (last, last + 1):
        raise SystemExit(f"{len(taken)} pages instead of {last}; the run is void")
    return statistics.median(taken[5:55]), statistics.median(taken[-55:-5])


async def _fill(connection: Any, first: int, last: int) -> None:
    columns = "type, id, version, last_updated, deleted, body"
    for table, more, value in (("resource", "created", _MOMENT), ("resource_history", "method", "'PUT'")):
        await connection.execute(
            f"INSERT INTO {SCHEMA}.{table} ({columns}, {more}) "
            f"SELECT 'Observation', 'o' || i, 1, {_MOMENT}, false, {_BODY}, {value} FROM {_MADE}",
            first, last - 1, timeout=3600,
        )  # fmt: skip
    for table, some in _VALUES.items():
        for parameter, *values in some:
            await connection.execute(
                f"INSERT INTO {SCHEMA}.{table} SELECT 'Observation', '{parameter}', {', '.join(values)}, 'o' || i "
                f"FROM {_MADE}",
                first, last - 1, timeout=3600,
            )  # fmt: skip
    await connection.execute("VACUUM ANALYZE", timeout=3600)
    await connection.execute("CHECKPOINT", timeout=3600)


@asynccontextmanager
async def _sandbox(url: str) -> AsyncIterator[tuple[int, psutil.Process]]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ndi", "sandbox", "--port", str(port), "--database", url, "--quiet"
    )
    try:
        async with httpx2.AsyncClient(trust_env=False) as http:
            for _ in range(600):
                try:
                    await http.get(f"http://127.0.0.1:{port}/fhir/metadata")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
