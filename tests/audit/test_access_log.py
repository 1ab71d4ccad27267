# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The person's own access log: over HTTP and in process, hers alone, newest first, page by page."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

from fhir.resources.R4B.auditevent import AuditEvent
import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.app import create_service
from audit.client import AccessLog, AuditClient, HttpAudit
from audit.local import AuditBatcher, LocalAudit
from audit.model import Position, read_cursor, write_cursor
from fhir_server.app import create_app
from fhir_server.context import AuditEntry
from fhir_server.ids import uuid7
from fhir_server.outcome import Forbidden, Invalid, Unavailable
from identifiers.person_key import PersonKey
from tests.audit.conftest import ASTRID, BERTIL, context, events, read
from tests.support.callers import DENTIST, OPERATOR, TRANSFER, TestAuthenticator, bearer, patient, token_of
from tests.support.running import free_port, running

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
async def http(engine: AsyncEngine, batcher: AuditBatcher) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(create_service(engine=engine), engine=engine, authenticator=TestAuthenticator(), audit=batcher)
    async with running(app) as client:
        yield client


@pytest.fixture(params=["local", "http"])
async def log(
    request: pytest.FixtureRequest, engine: AsyncEngine, batcher: AuditBatcher, http: httpx2.AsyncClient
) -> AuditClient:
    """Both ways to the log, held by the same tests."""
    return LocalAudit(engine, batcher) if request.param == "local" else HttpAudit(http, "/audit/fhir")


def as_patient(person: PersonKey = ASTRID) -> Any:
    caller = patient(person)
    return replace_token(context(caller), token_of(caller))


def replace_token(made: Any, token: str) -> Any:
    made.token = token
    return made


async def search(http: httpx2.AsyncClient, caller: Any, **form: str) -> httpx2.Response:
    return await http.post("/audit/fhir/AuditEvent/_search", data=form, headers=bearer(caller))


async def test_who_where_why_and_when(log: AuditClient, batcher: AuditBatcher) -> None:
    await batcher.append(context(now=START), [read()])
    denied = read(outcome="denied", ground=None, law=None, holders=(), count=None, decision=None, information_type=None)
    await batcher.append(context(now=START + timedelta(hours=1)), [denied])
    await batcher.append(
        context(TRANSFER, now=START + timedelta(hours=2)), [read(operation="submit", ground="lawful-basis")]
    )
    found = await log.access_log(as_patient())
    assert found.cursor is None
    submit, refused, first = found.rows
    assert (first.operation, first.outcome, first.recorded) == ("read", "success", START)
    assert (first.organisation, first.organisation_name) == (DENTIST.organisation, DENTIST.organisation_name)
    assert (first.unit, first.unit_name) == (DENTIST.unit, DENTIST.unit_name)
    assert (first.user, first.user_name, first.purpose) == (DENTIST.user, DENTIST.user_name, "TREAT")
    assert (first.ground, first.reason, first.law) == ("consent", "CONSENT", "SVOD 3 kap. 1 §")
    assert (first.information_type, first.count) == ("alert", 3)
    assert first.holders == ("SE0000000011-VE1", "SE0000000022-VE1")
    assert not first.automatic
    assert (refused.outcome, refused.holders, refused.count, refused.law) == ("denied", (), None, None)
    assert (submit.automatic, submit.user, submit.user_name, submit.ground) == (True, None, None, "lawful-basis")


async def test_both_ways_tell_the_same(engine: AsyncEngine, batcher: AuditBatcher, http: httpx2.AsyncClient) -> None:
    for number, caller in enumerate(
        (DENTIST, OPERATOR, TRANSFER, patient(ASTRID), replace(DENTIST, unit=None, user=None))
    ):
        at = START + timedelta(microseconds=number)
        await batcher.append(context(caller, now=at), [read(), AuditEntry("locate", person=ASTRID)])
    local = await LocalAudit(engine, batcher).access_log(as_patient(), limit=200)
    remote = await HttpAudit(http, "/audit/fhir").access_log(as_patient(), limit=200)
    assert len(local.rows) == 10
    assert remote.rows[1:] == local.rows


async def test_pages_hold_everything_once(log: AuditClient, batcher: AuditBatcher) -> None:
    same_moment = [read(reason=str(number)) for number in range(25)]
    await batcher.append(context(now=START), same_moment)
    for number in range(25, 60):
        await batcher.append(context(now=START + timedelta(seconds=number)), [read(reason=str(number))])
    seen: list[str | None] = []
    page: AccessLog | None = None
    while page is None or page.cursor is not None:
        page = await log.access_log(as_patient(), page.cursor if page else None, limit=7)
        assert len(page.rows) <= 7
        seen += [row.reason for row in page.rows if row.operation == "read"]
    assert sorted(int(each or -1) for each in seen) == list(range(60))
    assert seen[:35] == [str(number) for number in range(59, 24, -1)]


async def test_nobody_elses(log: AuditClient, batcher: AuditBatcher) -> None:
    await batcher.append(context(now=START), [read(BERTIL), read(None), read(ASTRID)])
    found = await log.access_log(as_patient())
    assert len(found.rows) == 1
    for caller in (DENTIST, OPERATOR, replace(DENTIST, person=ASTRID)):
        with pytest.raises(Forbidden):
            await log.access_log(replace_token(context(caller), token_of(caller)))


async def test_a_cursor_of_another_opens_only_ones_own(log: AuditClient, batcher: AuditBatcher) -> None:
    for number in range(5):
        at = START + timedelta(seconds=number)
        await batcher.append(context(now=at), [read(BERTIL, reason="his"), read(ASTRID, reason="hers")])
    theirs = (await log.access_log(as_patient(BERTIL), limit=2)).cursor
    found = await log.access_log(as_patient(), theirs)
    assert {row.reason for row in found.rows} == {"hers"}
    for wrong in ("", "x", "é", "A" * 32, "A" * 33, "_" * 32, "'; --", "\x00"):
        try:
            await log.access_log(as_patient(), wrong)
        except Invalid as error:
            assert "_cursor" in error.message


async def test_reading_ones_own_log_is_kept_as_that(
    log: AuditClient, batcher: AuditBatcher, engine: AsyncEngine
) -> None:
    await batcher.append(context(now=START), [read()])
    await log.access_log(as_patient())
    (row,) = await events(engine, "operation = 'access-log-read'")
    assert (bytes(row["person_key"]), row["ground"], row["count"]) == (ASTRID.value, "self", 1)
    second = await log.access_log(as_patient())
    assert [each.automatic for each in second.rows] == [True, False]


async def test_another_log_cannot_be_asked_for(http: httpx2.AsyncClient, batcher: AuditBatcher) -> None:
    """AT-57: a patient asks for another's log; staff follow up themselves."""
    await batcher.append(context(now=START), [read(BERTIL), read(ASTRID)])
    own = await search(http, patient(ASTRID), patient=f"Patient/{ASTRID.hex()}")
    assert len(own.json()["entry"]) == 1
    assert (await search(http, patient(ASTRID), patient=f"Patient/{BERTIL.hex()}")).status_code == 403
    assert (await search(http, patient(ASTRID), patient="Patient/1")).status_code == 403
    assert (await search(http, DENTIST)).status_code == 403
    assert (await search(http, DENTIST, agent=str(DENTIST.user))).status_code == 403
    assert (await search(http, OPERATOR, patient=f"Patient/{ASTRID.hex()}")).status_code == 403
    assert (await search(http, replace(patient(ASTRID), scopes=frozenset({"patient/AuditEvent.r"})))).status_code == 403
    assert (await http.post("/audit/fhir/AuditEvent/_search")).status_code == 401
    event = own.json()["entry"][0]["resource"]["id"]
    assert (await http.get(f"/audit/fhir/AuditEvent/{event}", headers=bearer(patient(BERTIL)))).status_code == 404


@pytest.mark.parametrize(
    "form",
    [{"_count": "0"}, {"_count": "-1"}, {"_count": "x"}, {"_count": "9" * 50}, {"_count": "٣"}, {"_sort": "date"},
     {"date": "gt2020"}, {"patient.name": "x"}, {"_include": "AuditEvent:patient"}, {"_has:Consent:patient:x": "y"},
     {"_cursor": "x"}],
)  # fmt: skip
async def test_a_wrong_search_is_told(http: httpx2.AsyncClient, form: dict[str, str]) -> None:
    answer = await search(http, patient(ASTRID), **form)
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_twice_is_told(http: httpx2.AsyncClient) -> None:
    headers = {**bearer(patient(ASTRID)), "Content-Type": "application/x-www-form-urlencoded"}
    answer = await http.post("/audit/fhir/AuditEvent/_search", content=b"_count=1&_count=2", headers=headers)
    assert answer.status_code == 400


async def test_a_page_is_limited_and_its_link_works(http: httpx2.AsyncClient, batcher: AuditBatcher) -> None:
    await batcher.append(context(now=START), [read() for _ in range(250)])
    answer = (await search(http, patient(ASTRID), _count="1000")).json()
    assert len(answer["entry"]) == 200
    (link,) = answer["link"]
    assert ASTRID.hex() not in link["url"]
    following = await http.get(link["url"], headers=bearer(patient(ASTRID)))
    assert len(following.json()["entry"]) == 50
    assert "link" not in following.json()


async def test_events_are_valid_fhir_with_the_slices_of_balp(
    http: httpx2.AsyncClient, batcher: AuditBatcher, shared: Path
) -> None:
    await batcher.append(context(now=START), [read()])
    await batcher.append(context(TRANSFER, now=START), [AuditEntry("submit", "C", "failed", person=ASTRID)])
    await batcher.append(context(patient(ASTRID), now=START), [AuditEntry("block-set", "C", person=ASTRID)])
    bundle = (await search(http, patient(ASTRID))).json()
    resources = [entry["resource"] for entry in bundle["entry"]]
    for resource in resources:
        AuditEvent.model_validate(resource)
    example = json.loads((shared / "consent/balp/auditevent/AuditEvent-ex-auditBasicQueryPost.json").read_text())
    ours = next(each for each in resources if each["subtype"][0]["code"] == "read")

    def codes(resource: dict[str, Any]) -> set[tuple[str, str]]:
        return {(c["system"], c["code"]) for agent in resource["agent"] for c in agent["type"]["coding"]}

    def person(resource: dict[str, Any]) -> list[tuple[str, str]]:
        return [(e["type"]["code"], e["role"]["code"]) for e in resource["entity"] if "role" in e][-1:]

    assert codes(example) <= codes(ours)
    assert ours["type"]["code"] == example["type"]["code"]
    assert ours["source"]["type"] == example["source"]["type"]
    assert person(example) == [("1", "1")]
    assert (ours["entity"][0]["type"]["code"], ours["entity"][0]["role"]["code"]) == ("1", "1")
    assert [agent["requestor"] for agent in ours["agent"]].count(True) == 1


async def test_one_partition_is_read(engine: AsyncEngine, batcher: AuditBatcher) -> None:
    for number in range(40):
        await batcher.append(context(now=START), [read(PersonKey(bytes([number]) * 16)) for _ in range(50)])
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE audit.event"))
        await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        await connection.execute(
            text(
                "PREPARE page (bytea) AS SELECT * FROM audit.event WHERE person_key = $1 "
                "ORDER BY recorded DESC, id DESC LIMIT 51"
            )
        )
        plan = await connection.execute(text(f"EXPLAIN (ANALYZE, COSTS OFF) EXECUTE page ('\\x{ASTRID.hex()}')"))
        lines = "\n".join(plan.scalars())
        await connection.execute(text("DEALLOCATE page"))
    assert "Subplans Removed: 7" in lines
    assert "recorded" in lines and "Seq Scan" not in lines


async def test_a_service_that_is_away(engine: AsyncEngine) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        away = HttpAudit(http, f"http://127.0.0.1:{free_port()}/audit/fhir")
        with pytest.raises(Unavailable):
            await away.access_log(as_patient())


async def test_no_page_without_its_own_event(engine: AsyncEngine) -> None:
    """AT-63: where the log cannot be written, it is not read either."""
    closed = AuditBatcher(f"postgresql://postgres@127.0.0.1:{free_port()}/none")
    with pytest.raises(Unavailable):
        await LocalAudit(engine, closed).access_log(as_patient())


def test_cursors_read_back() -> None:
    for moment in (START, START + timedelta(microseconds=1), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)):
        position = Position(moment, uuid7(START))
        assert read_cursor(write_cursor(position)) == position


async def test_the_log_is_in_the_capability_statement(http: httpx2.AsyncClient) -> None:
    statement = (await http.get("/audit/fhir/metadata")).json()
    assert [each["type"] for each in statement["rest"][0]["resource"]] == ["AuditEvent"]
