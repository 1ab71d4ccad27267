# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""kill -9 of the worker in the middle of an export: it is begun again, and nobody sees a half file before."""

import asyncio
import os
from pathlib import Path
import random

import pytest
from sqlalchemy import text

from fhir_server.storage.database import create_engine
from tests.fhir_server.bulk.exporting import Exporter
from tests.fhir_server.bulk.working import WorkerProcess
from tests.fhir_server.clinic import NURSE, SCHEMA, opened
from tests.support.callers import bearer

ROUNDS = 50 if os.environ.get("NDI_SOAK") else 3
ROWS = 150_000
_FILL = f"""
    INSERT INTO {SCHEMA}.resource (type, id, version, last_updated, deleted, body)
    SELECT 'Organization', 'r' || n, 1, now(), false,
           convert_to('{{"resourceType":"Organization","id":"r' || n || '","name":"' || repeat(md5(n::text), 8)
                      || '"}}', 'UTF8')
    FROM generate_series(1, {ROWS}) n
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_killed_export_is_begun_again(database_url: str, tmp_path: Path) -> None:
    engine = create_engine(database_url)
    chance = random.Random(24)
    async with opened(engine, tmp_path, working=False) as clinic:
        async with engine.begin() as connection:
            await connection.execute(text(_FILL))
        exporter = Exporter(clinic)
        job = (await exporter.order("$export?_type=Organization")).headers["content-location"]
        folder = tmp_path / SCHEMA / job.rpartition("/")[2]
        for _ in range(ROUNDS):
            process = WorkerProcess(database_url, tmp_path)
            await process.start()
            name = await _first_file(folder)
            await asyncio.sleep(chance.random() * 0.1)
            await process.kill()
            assert (await clinic.http.get(job, headers=bearer(NURSE))).status_code == 202
            await clinic.get(f"{job}/{name}", status=404)
            before = set(folder.iterdir()) if folder.exists() else set()
            assert len(before) == 1, "an attempt does not remove what the one before left"
        process = WorkerProcess(database_url, tmp_path)
        await process.start()
        manifest = (await exporter.finished(job)).json()
        await process.kill()
        found = {each["id"] for each in await exporter.lines(manifest)}
        assert found == {f"r{number}" for number in range(1, ROWS + 1)}
        assert sum(each["count"] for each in manifest["output"]) == ROWS
        async with engine.connect() as connection:
            attempts = (await connection.execute(text(f"SELECT attempts FROM {SCHEMA}.job"))).scalar_one()
        assert attempts == ROUNDS + 1
        assert [each.name for each in folder.iterdir()] == [str(attempts)]
    await engine.dispose()


async def _first_file(folder: Path) -> str:
    """The name of a file that an attempt has completed, while it works on the next: seen in the newest attempt."""
    known = {each.name for each in folder.iterdir()} if folder.exists() else set()
    for _ in range(3000):
        for attempt in folder.iterdir() if folder.exists() else ():
            if attempt.name not in known and len(list(attempt.iterdir())) > 1:
                return "Organization-1.ndjson"
        await asyncio.sleep(0.005)
    raise AssertionError("the worker wrote nothing")
