# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A load writes what the same resources by PUT would, once; what cannot be taken is told, and nothing else is lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
import gzip
from pathlib import Path
import re
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
import structlog

from fhir_server.bulk.load import Line, Loader, Rejected, Tally
from fhir_server.bulk.ndjson import Unreadable, files_of, lines
from fhir_server.context import Access, Context
from fhir_server.outcome import Unprocessable
from fhir_server.service import ResourceType, Service
from fhir_server.storage.database import create_engine
from fhir_server.storage.load import BatchStore
from fhir_server.storage.schema import tables
from ndi.sandbox import SCHEMA, sandbox_app, sandbox_service, take_possession
from tests.fhir_server.clinic import ASTRID, Ward, person_of
from tests.fuzz.strategies import SEEDS, TYPES
from tests.support import databases
from tests.support.callers import OPERATOR
from tests.support.running import running

_LAST_UPDATED = re.compile('"lastUpdated":"[^"]*"')
JSON = {"Content-Type": "application/fhir+json"}


@dataclass
class Loading:
    """A database, the service that is loaded into it, and what was refused."""

    engine: AsyncEngine
    service: Service
    audit_function: str | None = None
    rejected: list[Rejected] = field(default_factory=list)

    async def load(self, *bodies: Any, trusted: bool = False, batch: int = 500) -> Tally:
        given = [each if isinstance(each, bytes) else orjson.dumps(each) for each in bodies]
        self.rejected.clear()
        store = BatchStore(self.engine, self.service.name, audit_function=self.audit_function)
        loader = Loader(
            self.service, store, context=context, trusted=trusted, batch=batch, rejected=self.rejected.append
        )  # fmt: skip
        return await loader.load(Line("test", at, body) for at, body in enumerate(given, 1))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(sql))]


def context() -> Context:
    return Context(OPERATOR, "", datetime.now(UTC), float("inf"), "0" * 32, clock=lambda: 0.0)


@pytest.fixture(scope="module")
async def url(server: str, template: str) -> AsyncIterator[str]:
    async with databases.fresh_database(server, "template0") as made:
        yield made


@pytest.fixture
async def sandbox(url: str) -> AsyncIterator[Loading]:
    engine = create_engine(url)
    await take_possession(engine, fresh=True)
    yield Loading(engine, sandbox_service(TYPES))
    await engine.dispose()


async def kept(loading: Loading) -> list[Any]:
    """All rows of all tables but what differs from one writing to another: moments."""
    found = []
    for table in tables(SCHEMA).metadata.sorted_tables:
        rows = await loading.rows(
            "SELECT CAST(to_jsonb(t) - ARRAY['last_updated', 'created', 'body'] AS text), "
            "CAST(decode(substr(to_jsonb(t) ->> 'body', 3), 'hex') AS text) "
            f"FROM {SCHEMA}.{table.name} t ORDER BY 1"
        )
        rows = [(row, _LAST_UPDATED.sub("", bytes.fromhex((body or "")[2:]).decode())) for row, body in rows]
        found.append((table.name, rows))
    return found


async def test_it_writes_what_a_put_writes(sandbox: Loading, tmp_path: Path) -> None:
    """The first versions and the second ones, in every table."""
    changed = [{**each, "language": "sv"} for each in SEEDS]
    for given in (SEEDS, changed):
        tally = await sandbox.load(*given)
        assert (tally.rejected, tally.stored) == (0, len(SEEDS)), sandbox.rejected
    loaded = await kept(sandbox)
    await take_possession(sandbox.engine, fresh=True)
    async with running(sandbox_app(sandbox.engine, TYPES, folder=tmp_path)) as http:
        for given in (SEEDS, changed):
            for each in given:
                await put(http, each)
    assert loaded == await kept(sandbox)


async def put(http: httpx2.AsyncClient, resource: Mapping[str, Any]) -> None:
    url = f"/fhir/{resource['resourceType']}/{resource['id']}"
    answer = await http.put(url, content=orjson.dumps(resource), headers=JSON)
    assert answer.status_code in (200, 201), answer.text


async def test_again_it_changes_nothing_and_a_change_is_a_version(sandbox: Loading) -> None:
    first = await sandbox.load(*SEEDS)
    assert first.new.total() == len(SEEDS)
    before = await kept(sandbox)
    again = await sandbox.load(*SEEDS, trusted=True)
    assert (again.new.total(), again.changed.total(), again.same.total()) == (0, 0, len(SEEDS))
    assert await kept(sandbox) == before
    tally = await sandbox.load(*SEEDS[1:], {**SEEDS[0], "active": False})
    assert (tally.changed, tally.same.total()) == ({"Patient": 1}, len(SEEDS) - 1)
    assert await sandbox.rows(f"SELECT version FROM {SCHEMA}.resource_history WHERE id = 'p1' ORDER BY 1") == [
        (1,),
        (2,),
    ]


async def test_an_id_that_comes_twice_and_one_that_was_deleted(sandbox: Loading, tmp_path: Path) -> None:
    basic = {"resourceType": "Location", "id": "x", "name": "a"}
    tally = await sandbox.load(basic, basic, {**basic, "name": "b"})
    assert (tally.new, tally.same, tally.changed) == ({"Location": 1}, {"Location": 1}, {"Location": 1})
    async with running(sandbox_app(sandbox.engine, TYPES, folder=tmp_path)) as http:
        assert (await http.delete("/fhir/Location/x")).status_code in (200, 204)
        assert (await sandbox.load(basic)).changed == {"Location": 1}
        read = await http.get("/fhir/Location/x")
        assert (read.status_code, read.headers["etag"]) == (200, 'W/"4"')
        assert (await http.get("/fhir/Location?name=a&_total=accurate")).json()["total"] == 1


@pytest.mark.parametrize("batch", [1, 3, 500])
async def test_every_line_that_is_not_taken_is_told(sandbox: Loading, batch: int) -> None:
    bad = {
        2: b"{",
        3: b"[]",
        4: b'{"resourceType":"Nobody","id":"1"}',
        5: b'{"resourceType":"Patient"}',
        6: b'{"resourceType":"Patient","id":"a b"}',
        7: b'{"resourceType":"Patient","id":"y","gender":"none"}',
        8: b'{"resourceType":"Patient","id":"y","active":true,"active":false}',
        9: b'{"resourceType":"Patient","id":"y","extension":' + b"[" * 100 + b"]" * 100 + b"}",
        10: b'{"resourceType":"Organization","id":"o"}',
    }
    bodies = [SEEDS[0], *bad.values(), SEEDS[1]]
    tally = await sandbox.load(*bodies, batch=batch)
    assert tally.new == {"Patient": 1, "Observation": 1}
    assert [each.line.number for each in sandbox.rejected] == list(bad)
    for each in sandbox.rejected:
        assert each.outcome["issue"][0]["diagnostics"]
        assert each.line.body == bad[each.line.number]


async def test_trusted_is_logged_and_still_refuses_what_cannot_be_kept(sandbox: Loading) -> None:
    wrong = {"resourceType": "Patient", "id": "w", "gender": "none", "name": "no list", "birthDate": {"a": 1}}
    with structlog.testing.capture_logs() as logged:
        tally = await sandbox.load(wrong, b"{", {"resourceType": "Patient"}, trusted=True)
    assert (tally.new.total() + tally.rejected, tally.rejected >= 2) == (3, True)
    assert logged[0]["event"] == "trusted load: nothing is validated"
    assert (logged[-1]["event"], logged[-1]["trusted"]) == ("load finished", True)


@pytest.fixture
async def hooked(url: str) -> AsyncIterator[Loading]:
    """A service with every hook: it completes, derives rows, names persons, and refuses what it does not like."""

    async def prepare(context: Context, resource: dict[str, Any]) -> dict[str, Any]:
        if resource.get("status") == "unknown":
            raise Unprocessable("not with this status")
        return {**resource, "language": "sv"}

    async def within(connection: Any, context: Context, resource: Mapping[str, Any]) -> None:
        if resource["id"] == "broken":
            raise Unprocessable("no row can be derived")
        await connection.execute(text("INSERT INTO ward.derived VALUES (:id)"), {"id": resource["id"]})

    kind = ResourceType(
        "Observation", Access.person_data, frozenset({"read", "update"}), ("code",), guard=Ward(), prepare=prepare,
        within=within, person=person_of, custodian=lambda resource: "SE-1",
    )  # fmt: skip
    engine = create_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA IF EXISTS ward CASCADE"))
        await connection.execute(text("CREATE SCHEMA ward"))
        await connection.run_sync(tables("ward").metadata.create_all)
        await connection.execute(text("CREATE TABLE ward.derived (id text)"))
        await connection.execute(text("CREATE TABLE ward.event (told jsonb)"))
        await connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION ward.keep(events jsonb) RETURNS void LANGUAGE sql AS "
                "'INSERT INTO ward.event SELECT * FROM jsonb_array_elements(events)'"
            )
        )
    yield Loading(engine, Service("ward", "Ward", "/ward", resources=(kind,)), "ward.keep")
    await engine.dispose()


@pytest.mark.parametrize("trusted", [False, True])
async def test_the_hooks_of_a_service_are_called(hooked: Loading, trusted: bool) -> None:
    def made(identity: str, **more: Any) -> dict[str, Any]:
        subject = {"reference": f"Patient/{ASTRID.hex()}"}
        return {
            "resourceType": "Observation", "id": identity, "status": "final", "code": {"text": "x"}, "subject": subject,
            **more,
        }  # fmt: skip

    nobody = made("nobody")
    del nobody["subject"]
    given = [made("a"), made("b", status="unknown"), made("broken"), nobody, made("c")]
    tally = await hooked.load(*given, trusted=trusted)
    assert tally.new == {"Observation": 2}
    assert sorted(each.line.number for each in hooked.rejected) == [2, 3, 4]
    rows = await hooked.rows(
        "SELECT id, person_key, custodian, convert_from(body, 'UTF8') FROM ward.resource ORDER BY id"
    )
    assert [(row[0], bytes(row[1]), row[2]) for row in rows] == [
        ("a", ASTRID.value, "SE-1"),
        ("c", ASTRID.value, "SE-1"),
    ]
    assert all('"language":"sv"' in row[3] for row in rows)
    assert await hooked.rows("SELECT id FROM ward.derived ORDER BY 1") == [("a",), ("c",)]
    events = [row[0] for row in await hooked.rows("SELECT told FROM ward.event")]
    assert [(each["operation"], each["action"], each["detail"]) for each in events] == [
        ("load Observation", "C", {"trusted": trusted})
    ] * 2
    assert (await hooked.load(made("a"), made("c"))).same == {"Observation": 2}


async def test_another_writer_at_the_same_time_loses_nothing(sandbox: Loading) -> None:
    """Two loads of the same lines at once: each resource has one version."""
    bodies = [{"resourceType": "Location", "id": f"l{at}", "name": str(at)} for at in range(300)]
    other = replace(sandbox, rejected=[])
    one, two = await asyncio.gather(sandbox.load(*bodies, batch=40), other.load(*reversed(bodies), batch=70))
    assert (one.stored, two.stored, one.rejected + two.rejected) == (300, 300, 0)
    assert await sandbox.rows(f"SELECT count(*), max(version) FROM {SCHEMA}.resource_history") == [(300, 1)]


def test_files_are_found_and_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.ndjson").write_bytes(b"\xef\xbb\xbf{}\r\n\n {} ")
    with gzip.open(tmp_path / "in" / "b.ndjson.gz", "wb") as file:
        file.write(b'{"b":1}\n' * 3)
    heard: list[int] = []
    found = list(lines(files_of([tmp_path]), heard.append))
    assert [(Path(each.source).name, each.number, each.body) for each in found] == [
        ("a.ndjson", 1, b"{}"), ("a.ndjson", 3, b"{}"), *(("b.ndjson.gz", at, b'{"b":1}') for at in (1, 2, 3)),
    ]  # fmt: skip
    assert heard == sorted(heard)
    assert heard[-1] == sum(each.stat().st_size for each in files_of([tmp_path]))
    with pytest.raises(Unreadable):
        files_of([tmp_path / "none"])
    damaged = tmp_path / "c.ndjson.gz"
    damaged.write_bytes((tmp_path / "in" / "b.ndjson.gz").read_bytes()[:-9])
    with pytest.raises(Unreadable, match="damaged"):
        list(lines([damaged], heard.append))
