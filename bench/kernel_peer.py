# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel against a Python peer, fhirstarter, on the same tables: read, and create with validation on both sides.

    python -m bench.kernel_peer

The peer (`peer_app.py`) runs in an environment of its own, made from `peer.lock` at the first run.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
import subprocess
import sys

import asyncpg
import httpx2
import structlog
import uvloop

from audit.local import AuditBatcher
from bench.figures import Figure, write
from bench.kernel import BASE, bench_app, creates, database, make_tables, reads
from bench.kernel_data import fill
from bench.load import Load, send
from fhir_server.storage.database import create_engine
from tests.support.running import free_port, serving

ROUNDS = 3
FOLDER = Path(__file__).parent
PYTHON = FOLDER / ".venv" / "bin" / "python"


def main() -> None:
    """Measures, prints and writes the tables."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if not PYTHON.exists():
        uv = [str(Path(sys.executable).parent / "uv")]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(FOLDER / ".venv")], check=True)
        subprocess.run(
            [*uv, "pip", "install", "--quiet", "--python", str(PYTHON), "--require-hashes", "-r",
             str(FOLDER / "peer.lock")], check=True,
        )  # fmt: skip
    uvloop.run(measure())


async def measure() -> None:
    """Peer and ours in turn, the round with the median ratio."""
    async with database() as url:
        engine = create_engine(url)
        await make_tables(engine)
        connection = await asyncpg.connect(url)
        await fill(connection)
        await connection.close()
        app = bench_app(engine, AuditBatcher(url), person_data=False, validate=True)
        async with serving(app) as ours, _peer(url) as peer:
            await _compare("read", "Read by id, 2 kB", reads, ours, peer)
            await _compare("create", "Create with validation, 2 kB", creates, ours, peer)
        await engine.dispose()


async def _compare(key: str, title: str, requests: Callable[[str], Sequence[bytes]], ours: str, peer: str) -> None:
    rounds: list[tuple[Load, Load]] = []
    for _ in range(ROUNDS):
        theirs = await _load(peer, requests(""))
        rounds.append((theirs, await _load(ours, requests(BASE))))
    rounds.sort(key=lambda each: each[1].rate / each[0].rate)
    theirs, kernel = rounds[ROUNDS // 2]
    rows = [
        Figure("fhirstarter 4.2.0, without search values", theirs, None),
        Figure("kernel, with token and search values", kernel, kernel.rate / theirs.rate),
    ]
    write(f"peer-{key}", f"{title}, beside a Python peer, 16 connections, one worker", rows)


async def _load(base: str, requests: Sequence[bytes]) -> Load:
    return await asyncio.to_thread(send, int(base.rpartition(":")[2]), requests)


@asynccontextmanager
async def _peer(url: str) -> AsyncIterator[str]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(PYTHON), "-W", "ignore", str(FOLDER / "peer_app.py"), url, str(port)
    )
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient(trust_env=False) as http:
            for _ in range(600):
                try:
                    answer = await http.get(f"{base}/Observation/o1")
                    answer.raise_for_status()
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield base
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
