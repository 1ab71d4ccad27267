# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Each limit is a setting: what is within it is served, what is beyond is refused with an outcome that names it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.app import KernelSettings, create_app
from fhir_server.limits import SearchLimits
from fhir_server.storage.database import create_engine
from fhir_server.storage.schema import tables
from tests.fhir_server.conftest import SCHEMA, toy_service
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer
from tests.support.running import running

HEADERS = {**bearer(OPERATOR), "Content-Type": "application/fhir+json"}
LIMITS = SearchLimits(parameters=3, values=3, ranges=2, chain=1, sort=2, includes=1, count=5)
ENTRY = {"request": {"method": "GET", "url": "Organization?name=x"}}


@pytest.fixture(scope="module")
async def small(lasting_engine: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    """The toy with small limits."""
    async with lasting_engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        await connection.run_sync(tables(SCHEMA).metadata.create_all)
    settings = KernelSettings(audit_function=APPEND_FUNCTION, max_body=5000, max_depth=10, max_entries=2, search=LIMITS)
    app = create_app(
        toy_service(), engine=lasting_engine, authenticator=TestAuthenticator(), audit=ListAudit(), settings=settings
    )
    async with running(app) as http:
        yield http


@pytest.mark.parametrize(
    ("within", "beyond", "code"),
    [
        ("name=a&name=b&name=c", "name=a&name=b&name=c&name=d", "too-many"),
        ("identifier=a,b,c", "identifier=a,b,c,d", "too-many"),
        ("_lastUpdated=gt2020,gt2021", "_lastUpdated=gt2020,gt2021,gt2022", "too-many"),
        ("partof.name=x", "partof.partof.name=x", "too-deep"),
        ("_has:Organization:partof:name=x", "_has:Organization:partof:_has:Organization:partof:name=x", "too-deep"),
        ("_sort=name,-active", "_sort=name,-active,_id", "too-many"),
        (
            "_include=Organization:partof",
            "_include=Organization:partof&_revinclude=Organization:partof",
            "too-many",
        ),
    ],
)
async def test_limits_of_a_search(small: httpx2.AsyncClient, within: str, beyond: str, code: str) -> None:
    assert (await small.get(f"/toy/fhir/Organization?{within}", headers=HEADERS)).status_code == 200
    assert _refused(await small.get(f"/toy/fhir/Organization?{beyond}", headers=HEADERS), 400) == code


async def test_a_conditional_write_is_within_the_limits_of_a_search(small: httpx2.AsyncClient) -> None:
    body = {"resourceType": "Organization", "name": "x"}
    answer = await small.put("/toy/fhir/Organization?identifier=a,b,c,d", json=body, headers=HEADERS)
    assert _refused(answer, 400) == "too-many"


async def test_a_page_has_at_most_so_many(small: httpx2.AsyncClient) -> None:
    for _ in range(6):
        await small.post("/toy/fhir/Organization", json={"resourceType": "Organization", "name": "p"}, headers=HEADERS)
    page = (await small.get("/toy/fhir/Organization?name=p&_count=1000", headers=HEADERS)).json()
    assert len(page["entry"]) == 5


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"resourceType":"Organization","name":"' + b"x" * 5000 + b'"}', 413, "too-large"),
        (b'{"resourceType":"Organization","extension":' + b"[" * 9 + b"]" * 9 + b"}", 422, "invalid-resource"),
        (b'{"resourceType":"Organization","extension":' + b"[" * 10 + b"]" * 10 + b"}", 400, "too-deep"),
    ],
)
async def test_limits_of_a_body(small: httpx2.AsyncClient, body: bytes, status: int, code: str) -> None:
    assert _refused(await small.post("/toy/fhir/Organization", content=body, headers=HEADERS), status) == code


@pytest.mark.parametrize("kind", ["application/json-patch+json", "application/merge-patch+json", "text/plain"])
async def test_depth_is_counted_in_every_kind_of_body(small: httpx2.AsyncClient, kind: str) -> None:
    answer = await small.patch(
        "/toy/fhir/Organization/x", content=b"[" * 4000, headers={**HEADERS, "Content-Type": kind}
    )
    assert _refused(answer, 400) == "too-deep"


async def test_a_body_that_announces_no_length_is_refused_too(small: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 1000

    answer = await small.post("/toy/fhir/Organization", content=chunks(), headers=HEADERS)
    assert _refused(answer, 413) == "too-large"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_entries_of_a_bundle(small: httpx2.AsyncClient, kind: str) -> None:
    for number, status in ((2, 200), (3, 413)):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [ENTRY] * number}
        answer = await small.post("/toy/fhir", json=bundle, headers=HEADERS)
        assert answer.status_code == status
    assert _refused(answer, 413) == "too-large"


async def test_a_query_that_takes_too_long_is_503_and_says_what_to_do(
    small: httpx2.AsyncClient, lasting_url: str, lasting_engine: AsyncEngine
) -> None:
    """Of a search, an include of a page, a read and a write: a lock stands for a plan that does not end."""
    hasty = create_engine(lasting_url, query_seconds=0.2)
    app = create_app(toy_service(), engine=hasty, authenticator=TestAuthenticator(), audit=ListAudit())
    body = {"resourceType": "Organization", "name": "late"}
    try:
        async with running(app) as http:
            await http.get("/toy/fhir/Organization?name=x", headers=HEADERS)
            async with lasting_engine.begin() as connection:
                await connection.execute(text(f"LOCK TABLE {SCHEMA}.resource IN ACCESS EXCLUSIVE MODE"))
                answers = await asyncio.gather(
                    http.get("/toy/fhir/Organization?name=x", headers=HEADERS),
                    http.get("/toy/fhir/Organization?name=x&_summary=count", headers=HEADERS),
                    http.get("/toy/fhir/Organization/x", headers=HEADERS),
                    http.post("/toy/fhir/Organization", json=body, headers=HEADERS),
                    http.put("/toy/fhir/Organization?name=late", json=body, headers=HEADERS),
                    http.post(
                        "/toy/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": [ENTRY]},
                        headers=HEADERS,
                    ),
                )  # fmt: skip
            for answer in answers:
                assert _refused(answer, 503) == "query-too-costly"
                assert "ask for less" in answer.json()["issue"][0]["diagnostics"]
            assert (await http.get("/toy/fhir/Organization?name=late", headers=HEADERS)).json().get("entry") is None
    finally:
        await hasty.dispose()


def _refused(answer: httpx2.Response, status: int) -> Any:
    body = orjson.loads(answer.content)
    assert (answer.status_code, body["resourceType"]) == (status, "OperationOutcome"), answer.text
    issue = body["issue"][0]
    assert issue["diagnostics"]
    return issue["details"]["coding"][0]["code"]
