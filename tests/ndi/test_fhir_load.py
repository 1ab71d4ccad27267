# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi fhir load` as it is called: into the sandbox and into a service, killed in the middle and run again."""

import asyncio
from collections.abc import AsyncIterator
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
from typing import Any

import asyncpg
import orjson
import pytest

from provider_catalog.model import KIND_SYSTEM
from tests.support import databases

ROUNDS = 40 if os.environ.get("NDI_SOAK") else 3
COUNT = 2000
COUNTED = ("resource", "resource_history", "token_value", "string_value", "reference_value", "date_value")


@pytest.fixture
async def empty(server: str) -> AsyncIterator[str]:
    async with databases.fresh_database(server, "template0") as url:
        yield url


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    given = {**os.environ, "NDI_DATA": str(folder / "data"), "NDI_CONFIG": "", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "ndi", "fhir", "load", *arguments],
        env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def run(folder: Path, *arguments: str, code: int = 0, given: str = "", **environment: str) -> tuple[str, str]:
    process = start(folder, *arguments, **environment)
    out, err = await asyncio.to_thread(process.communicate, given)
    assert process.returncode == code, out + err
    return out, err


def written(path: Path, resources: Any) -> Path:
    path.write_bytes(b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in resources))
    return path


def patients(count: int) -> list[dict[str, Any]]:
    return [
        {
            "resourceType": "Patient", "id": f"p{at}", "identifier": [{"system": "urn:x", "value": str(at)}],
            "name": [{"family": f"Exempel{at}", "given": ["A"]}], "birthDate": "1970-01-01",
            "managingOrganization": {"reference": "Organization/1"},
        }
        for at in range(count)
    ]  # fmt: skip


async def counts(connection: asyncpg.Connection) -> dict[str, int]:
    return {name: await connection.fetchval(f"SELECT count(*) FROM sandbox.{name}") for name in COUNTED}


@pytest.mark.slow
async def test_killed_in_the_middle_and_run_again(empty: str, tmp_path: Path) -> None:
    """Everything there once, each with exactly one version; whole batches, never a part of one."""
    file = written(tmp_path / "all.ndjson", patients(COUNT))
    arguments = (str(file), "--database", empty, "--batch", "40")
    chance = random.Random(7)
    await run(tmp_path, "-", "--database", empty)  # makes the tables
    connection = await asyncpg.connect(empty)
    reached = 0
    for _ in range(ROUNDS):
        process = start(tmp_path, *arguments)
        goal = reached + 1 if reached < COUNT else reached
        while process.poll() is None and await connection.fetchval("SELECT count(*) FROM sandbox.resource") < goal:
            await asyncio.sleep(0.002)
        await asyncio.sleep(chance.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.communicate)
        found = await counts(connection)
        reached = found["resource"]
        assert reached % 40 == 0 or reached == COUNT
        assert found["resource_history"] == reached
        assert found["date_value"] == reached, "search values are of the same transaction"
    out, _ = await run(tmp_path, *arguments)
    assert f"Patient: {COUNT - reached} new, 0 changed, {reached} unchanged" in out
    whole = await counts(connection)
    versions = await connection.fetch("SELECT id, max(version) AS v FROM sandbox.resource_history GROUP BY id")
    assert (len(versions), {row["v"] for row in versions}) == (COUNT, {1})
    assert (whole["resource"], whole["resource_history"]) == (COUNT, COUNT)
    await connection.execute(f"TRUNCATE {', '.join(f'sandbox.{name}' for name in COUNTED)}")
    await run(tmp_path, *arguments)
    assert await counts(connection) == whole, "as many rows as of a run that was left alone"
    await connection.close()


async def test_what_is_refused_is_kept_with_its_line(empty: str, tmp_path: Path) -> None:
    file = written(tmp_path / "in.ndjson", [*patients(3), {"resourceType": "Patient", "id": "x", "gender": "?"}])
    wrong = tmp_path / "wrong.ndjson"
    out, err = await run(tmp_path, str(file), "--database", empty, "--rejected", str(wrong), code=1)
    assert "Patient: 3 new, 0 changed, 0 unchanged" in out
    assert f"rejected: 1, kept in {wrong}" in out
    assert f"{file}:4: " in err
    assert "(Patient.gender)" in err
    (kept,) = (orjson.loads(line) for line in wrong.read_bytes().splitlines())
    assert (kept["file"], kept["line"]) == (str(file), 4)
    assert kept["outcome"]["issue"][0]["expression"] == ["Patient.gender"]
    assert orjson.loads(kept["text"])["id"] == "x"
    assert wrong.stat().st_mode & 0o777 == 0o600


async def test_trusted_is_said_loudly_and_logged(empty: str, tmp_path: Path) -> None:
    given = "".join(orjson.dumps(each).decode() + "\n" for each in patients(2))
    out, err = await run(tmp_path, "-", "--trusted", "--database", empty, given=given)
    assert "Patient: 2 new" in out
    assert "TRUSTED LOAD" in err
    events = [orjson.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert (events[0]["event"], events[0]["level"]) == ("trusted load: nothing is validated", "warning")
    assert events[-1]["trusted"] is True


async def test_into_a_service_its_rules_hold(database_url: str, tmp_path: Path) -> None:
    """Derived rows come along, what the service refuses is refused, and its access log says who loaded."""
    hsa = {"system": "urn:oid:1.2.752.29.4.19", "value": "SE0000000011-VG"}
    kind = [{"coding": [{"system": KIND_SYSTEM, "code": "care-provider"}]}]
    organization = {"resourceType": "Organization", "id": "vg", "active": True, "name": "Region Norr", "type": kind}
    organizations = [
        {**organization, "identifier": [hsa]},
        {**organization, "id": "two", "identifier": [hsa, {**hsa, "value": "SE0000000022-VG"}]},
        {"resourceType": "Patient", "id": "p"},
    ]
    file = written(tmp_path / "units.ndjson", organizations)
    arguments = (str(file), "--into", "provider_catalog")
    out, err = await run(tmp_path, *arguments, code=1, NDI_DATABASE_URL=database_url)
    assert "Organization: 1 new" in out, out + err
    assert "rejected: 2" in out
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM provider_catalog.unit") == 1
    assert await connection.fetchval("SELECT count(*) FROM audit.event WHERE operation = 'load Organization'") == 1
    await connection.close()
    out, _ = await run(tmp_path, *arguments, code=1, NDI_DATABASE_URL=database_url)
    assert "Organization: 0 new, 0 changed, 1 unchanged" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.ndjson", "--into", "nobody"), "there is no service nobody"),
        (("none.ndjson", "--into", "audit"), "keeps no resources to load"),
        (("none.ndjson", "--into", "consent", "--database", "postgresql://x/y"), "--database is the sandbox's"),
        (("-", "none.ndjson"), "stands alone"),
    ],
)
async def test_called_in_a_wrong_way(database_url: str, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    _, err = await run(tmp_path, *arguments, code=1, NDI_DATABASE_URL=database_url)
    assert said in err
