# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""kill -9 under load, of a worker, of all, of the database: no acknowledged write is lost, no transaction is halved.

The oracle is what the clients were told. What was not answered may have been done or not, but not in part.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
import os
from pathlib import Path
import random
import shutil
import signal
import sys
import tempfile
from typing import Any

import asyncpg
import httpx2
import pytest

from fhir_server.storage.database import create_engine
from ndi.embedded import EmbeddedPostgres
from ndi.sandbox import take_possession
from tests.support.running import free_port

ROUNDS = 50 if os.environ.get("NDI_SOAK") else 3
WRITERS = 8
PARTS = 5
"""Resources of a transaction."""
SYSTEM = "urn:kill"
DATABASE = "killed"


@dataclass
class Told:
    """What the clients know."""

    created: dict[str, str] = field(default_factory=dict)
    """By value of the identifier: the id that was answered."""
    counted: dict[str, set[int]] = field(default_factory=dict)
    """Of each writer's own resource: the counts whose update was answered."""
    asked: dict[str, int] = field(default_factory=dict)
    """Of each writer's own resource: the last count that was sent."""
    whole: set[str] = field(default_factory=set)
    """Transactions that were answered."""
    sent: set[str] = field(default_factory=set)
    """Transactions that were sent."""


class House:
    """Two workers on one database."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.folder, self.url = folder, self.postgres.url(DATABASE)
        self.ports = (free_port(), free_port())
        self.log = (folder / "workers.log").open("ab")
        self.workers: dict[int, asyncio.subprocess.Process] = {}

    async def start(self, port: int) -> None:
        self.workers[port] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ndi", "sandbox", "--port", str(port), "--types", "Organization", "--quiet",
            "--database", self.url, cwd=self.folder, stderr=self.log,
        )  # fmt: skip
        async with httpx2.AsyncClient(trust_env=False) as http:
            for _ in range(600):
                with suppress(httpx2.TransportError):
                    if (await http.get(f"http://127.0.0.1:{port}/fhir/metadata")).status_code == 200:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError("the worker did not start")

    async def kill(self, *ports: int) -> None:
        for port in ports:
            self.workers[port].send_signal(signal.SIGKILL)
        for port in ports:
            await self.workers[port].wait()

    async def kill_database(self) -> None:
        pid = self.postgres.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.postgres.start)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="ndi-kill-"))  # PostgreSQL's own user must reach it
    made = House(folder)
    try:
        admin = await asyncpg.connect(await asyncio.to_thread(made.postgres.start))
        await admin.execute(f"CREATE DATABASE {DATABASE}")
        await admin.close()
        engine = create_engine(made.url)
        await take_possession(engine)
        await engine.dispose()
        for port in made.ports:
            await made.start(port)
        yield made
    finally:
        await made.kill(*(port for port, each in made.workers.items() if each.returncode is None))
        await asyncio.to_thread(made.postgres.stop)
        made.log.close()
        lines = (folder / "workers.log").read_text(errors="replace").splitlines()
        print("\n".join(line for line in lines if "failure" in line))  # told when the test fails
        shutil.rmtree(folder)


def organization(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "identifier": [{"system": SYSTEM, "value": value}], "name": "x", **more}


async def write(number: int, ports: tuple[int, ...], told: Told, ends: asyncio.Event) -> None:
    """Creates, updates and sends transactions, one after the other, until the end; goes to whichever worker answers."""
    own, chance = f"w{number}", random.Random(number)
    told.counted[own] = set()
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as http:
        turn = 0
        while not ends.is_set():
            turn += 1
            base = f"http://127.0.0.1:{chance.choice(ports)}/fhir"
            value = f"{number}-{turn}"
            try:
                match turn % 3:
                    case 0:
                        answer = await http.post(f"{base}/Organization", json=organization(value))
                        if answer.status_code == 201:
                            told.created[value] = answer.json()["id"]
                    case 1:
                        told.asked[own] = turn
                        resource = organization(own, id=own, alias=[str(turn)])
                        answer = await http.put(f"{base}/Organization/{own}", json=resource)
                        if answer.status_code in (200, 201):
                            told.counted[own].add(turn)
                    case _:
                        told.sent.add(value)
                        entry = [
                            {"resource": organization(value), "request": {"method": "POST", "url": "Organization"}}
                            for _ in range(PARTS)
                        ]
                        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
                        answer = await http.post(base, json=bundle)
                        if answer.status_code == 200:
                            told.whole.add(value)
                assert answer.status_code in (200, 201, 503), answer.text
            except httpx2.TransportError:
                await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_what_was_acknowledged_is_there_whatever_was_killed() -> None:
    told, ends, chance = Told(), asyncio.Event(), random.Random(11)
    async with house() as running:
        writers = [asyncio.create_task(write(each, running.ports, told, ends)) for each in range(WRITERS)]
        for turn in range(ROUNDS):
            killed: tuple[int, ...]
            await asyncio.sleep(0.3 + chance.random())
            before = len(told.created) + len(told.whole)
            match turn % 3:
                case 0:
                    killed = (running.ports[turn // 3 % 2],)
                case 1:
                    killed = running.ports
                case _:
                    killed = ()
                    await running.kill_database()
            await running.kill(*killed)
            for port in killed:
                await running.start(port)
            await until_written(told, before)
        ends.set()
        await asyncio.gather(*writers)
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{running.ports[0]}/fhir/", timeout=60, trust_env=False
        ) as http:
            await check(http, told)


async def until_written(told: Told, before: int) -> None:
    """The load has gone on after the kill."""
    for _ in range(600):
        if len(told.created) + len(told.whole) > before + WRITERS:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing is written any more")


async def check(http: httpx2.AsyncClient, told: Told) -> None:
    assert min(len(told.created), len(told.whole)) > ROUNDS
    for value, identity in told.created.items():
        assert (await http.get(f"Organization/{identity}")).json()["identifier"][0]["value"] == value
        assert await found(http, value) == 1, "it is found by its search value, once"
    for value in told.sent:
        assert await found(http, value) in ((PARTS,) if value in told.whole else (0, PARTS))
    for own, counts in told.counted.items():
        entries = (await http.get(f"Organization/{own}/_history?_count=1000")).json()["entry"]
        kept = [int(each["resource"]["alias"][0]) for each in entries]
        versions = [int(each["resource"]["meta"]["versionId"]) for each in entries]
        assert counts <= set(kept)
        assert len(kept) == len(set(kept)), "an update that was answered once is kept once"
        assert versions == list(range(len(versions), 0, -1))
        assert kept == sorted(kept, reverse=True)
        assert max(counts) <= kept[0] <= told.asked[own]
        assert await found(http, own) == 1


async def found(http: httpx2.AsyncClient, value: str) -> int:
    answer = await http.get("Organization", params={"identifier": f"{SYSTEM}|{value}", "_summary": "count"})
    return int(answer.json()["total"])
