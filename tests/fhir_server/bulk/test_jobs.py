# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Jobs: how many at once, cancelled while they are worked, failing in part, searches that are fetched later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.storage.jobs import JobStore
from fhir_server.storage.schema import tables
from tests.fhir_server.bulk.exporting import ASYNC, Exporter
from tests.fhir_server.clinic import ASTRID, BERTIL, NURSE, OTHER, OWN, SCHEMA, observation, opened, person
from tests.support.callers import bearer


@asynccontextmanager
async def _locked(engine: AsyncEngine) -> AsyncIterator[None]:
    """Nobody reads a resource while the block runs."""
    async with engine.begin() as connection:
        await connection.execute(text(f"LOCK TABLE {SCHEMA}.resource IN ACCESS EXCLUSIVE MODE"))
        yield


async def test_a_client_has_a_limited_number_of_jobs(engine: AsyncEngine, tmp_path: Path) -> None:
    async with opened(engine, tmp_path, working=False, jobs_per_client=3) as clinic:
        url = clinic.url("$export")
        asked = [clinic.http.get(url, headers={**bearer(NURSE), **ASYNC}) for _ in range(12)]
        answers = await asyncio.gather(*asked)
        assert sorted(each.status_code for each in answers) == [202] * 3 + [429] * 9
        refused = next(each for each in answers if each.status_code == 429)
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "too-many-jobs"
        assert (await clinic.http.get(url, headers={**bearer(OTHER), **ASYNC})).status_code == 202
        taken = next(each for each in answers if each.status_code == 202).headers["content-location"]
        await clinic.http.delete(taken, headers=bearer(NURSE))
        assert (await clinic.http.get(url, headers={**bearer(NURSE), **ASYNC})).status_code == 202


async def test_a_job_is_worked_by_one(engine: AsyncEngine, tmp_path: Path) -> None:
    async with opened(engine, tmp_path, working=False) as clinic:
        await Exporter(clinic).order("$export")
        one, two = (JobStore(engine, tables(SCHEMA).job) for _ in range(2))
        async with one.claimed() as mine:
            assert mine is not None
            async with two.claimed() as nothing:
                assert nothing is None
        async with two.claimed() as again:
            assert again is not None and again.attempts == 2
            assert not await one.progress(mine, "a worker that was given up")
            assert not await one.finish(mine, "done", {}, again.created)
            assert await two.progress(again, "at work")


async def test_cancelled_while_it_is_worked(exporter: Exporter) -> None:
    clinic = exporter.clinic
    await clinic.put({"resourceType": "Organization", "id": "org", "name": "Ward 1"})
    async with _locked(clinic.engine):
        job = (await exporter.order("$export")).headers["content-location"]
        folder = clinic.folder / SCHEMA / job.rpartition("/")[2]
        await _until(folder.exists)
        assert (await clinic.http.delete(job, headers=bearer(NURSE))).status_code == 202
        await clinic.get(job, status=404)
    await _until(lambda: not folder.exists())
    assert await exporter.ids("$export?_type=Organization") == {"Organization/org"}


async def test_a_type_that_the_database_gives_up_on_is_an_error_of_the_manifest(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    async with opened(engine, tmp_path, statement=0.2) as clinic:
        exporter = Exporter(clinic)
        async with _locked(engine):
            manifest = await exporter.manifest("$export?_type=Organization,Patient")
        assert manifest["output"] == []
        issues = [each["issue"][0] for each in await exporter.lines(manifest, "error")]
        assert [each["severity"] for each in issues] == ["error", "error"]
        assert "Organization" in issues[0]["diagnostics"] and "SELECT" not in issues[0]["diagnostics"]


async def test_a_search_is_fetched_later(exporter: Exporter) -> None:
    clinic = exporter.clinic
    await clinic.put(person(ASTRID))
    for number in range(3):
        await clinic.put(observation(f"o{number}", ASTRID))
    clinic.audit.entries.clear()
    job = (await exporter.order("Observation?_count=2&_total=accurate")).headers["content-location"]
    bundle = (await exporter.finished(job)).json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "batch-response")
    (entry,) = bundle["entry"]
    assert entry["response"]["status"] == "200 OK"
    now = (await clinic.get("Observation?_count=2&_total=accurate")).json()
    assert entry["resource"] == now
    assert [entry.operation for _, entry in clinic.audit.entries] == ["search Observation"] * 2
    await clinic.get(job, OTHER, status=404)


async def test_a_search_by_post_is_fetched_later(exporter: Exporter) -> None:
    clinic = exporter.clinic
    await clinic.put(observation("o1", ASTRID))
    await clinic.put(observation("o2", BERTIL))
    headers = {**bearer(OWN), **ASYNC, "Content-Type": "application/x-www-form-urlencoded"}
    answer = await clinic.http.post(clinic.url("Observation/_search"), content="status=final", headers=headers)
    assert answer.status_code == 202
    bundle = (await exporter.finished(answer.headers["content-location"], OWN)).json()
    assert [each["resource"]["id"] for each in bundle["entry"][0]["resource"]["entry"]] == ["o1"]


@pytest.mark.parametrize(
    ("query", "caller", "status"),
    [
        ("Observation?statsu=final", NURSE, 400),
        ("Observation?code:in=http://x", NURSE, 400),
        ("Consent?status=active", NURSE, 403),
    ],
)
async def test_a_search_is_refused_when_it_is_ordered(exporter: Exporter, query: str, caller: Any, status: int) -> None:
    await exporter.order(query, caller, status=status)


async def test_an_entry_of_a_batch_is_answered_there(exporter: Exporter) -> None:
    clinic = exporter.clinic
    batch = {
        "resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Observation"}}]
    }  # fmt: skip
    headers = {**bearer(NURSE), **ASYNC, "Content-Type": "application/fhir+json"}
    answer = await clinic.http.post("/clinic/fhir", json=batch, headers=headers)
    (entry,) = answer.json()["entry"]
    assert entry["resource"]["type"] == "searchset"


async def _until(met: Any) -> None:
    for _ in range(500):
        if met():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")
