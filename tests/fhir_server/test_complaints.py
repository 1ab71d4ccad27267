# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What users of other servers complain of, each a test; the threads are named by server and number.

Those of plans and of large searches stand in search/test_complaints.py, on a population of their own.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from fhir_server.search.order import select_page
from fhir_server.search.parameters import parameters_for
from fhir_server.search.query import parse_query
from fhir_server.search.sight import Sight
from fhir_server.storage.schema import tables
from tests.fhir_server.conftest import SCHEMA, Toy
from tests.fhir_server.test_bundle import count, entry, read, send, statuses
from tests.fhir_server.test_interactions import ASTRID, BERTIL, HEADERS, JSON, consent, issue, organization, put
from tests.support.callers import bearer, patient

pytestmark = pytest.mark.servers
AT_ONCE = 64
SOME = 3000
THREADS = {
    "HAPI": "3141 4597 459 5288 4843 7095 6033 1869 536 860 6109 8247",
    "Medplum": "4212 4923",
    "HFS": "224 260 279",
    "WSO2": "169",
    "IBM": "1665",
    "MS": "896 1175 5592",
    "Spark": "714",
}
"""All that were read."""


def test_every_thread_is_named_by_a_test() -> None:
    here = Path(__file__)
    texts = here.read_text() + here.with_name("search").joinpath(here.name).read_text()
    named = "".join(re.findall(r'def test_\w+\([^"]*?"""(.+?)"""', texts, re.DOTALL))
    for server, numbers in THREADS.items():
        for number in numbers.split():
            assert re.search(rf"{server}[^.:;]* #{number}\b|{server}[^.:;]*, #{number}\b", named), (server, number)


async def test_64_conditional_creates_at_once_make_one_and_later_ones_still_work(toy: Toy) -> None:
    """HAPI #3141, #4597, #459: parallel conditional creates make duplicates, then every call matches two."""
    headers = {**HEADERS, "If-None-Exist": "identifier=urn:x|4"}

    async def create() -> Any:
        return await toy.http.post(toy.url("Organization"), json=organization("4"), headers=headers)

    answers = await asyncio.gather(*(create() for _ in range(AT_ONCE)))
    assert sorted(answer.status_code for answer in answers) == [200] * (AT_ONCE - 1) + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await create()).status_code == 200
    assert await count(toy) == 1


async def test_parallel_conditional_creates_in_bundles_make_one(toy: Toy) -> None:
    """HAPI #3141, #4597: parallel conditional creates make duplicates."""
    once = entry("POST", "Organization", organization("1"), ifNoneExist="identifier=urn:x|1")
    answers = await asyncio.gather(*(send(toy, once) for _ in range(16)))
    assert sorted(statuses(answer) for answer in answers) == [["200"]] * 15 + [["201"]]
    assert await count(toy) == 1


async def test_updates_at_once_leave_a_resource_that_can_be_updated(toy: Toy) -> None:
    """HAPI #5288, #4843: two updates at once leave a resource that can never be updated again."""
    url = toy.url("Organization/x")
    for _ in range(3):  # the first makes it
        answers = await asyncio.gather(
            *(toy.http.put(url, json={**organization("1", name=str(n)), "id": "x"}, headers=HEADERS) for n in range(16))
        )
        assert {answer.status_code for answer in answers} <= {200, 201}
    versions = [
        each["response"]["etag"] for each in (await toy.http.get(f"{url}/_history", headers=HEADERS)).json()["entry"]
    ]
    assert versions == [f'W/"{number}"' for number in range(48, 0, -1)]
    assert (await toy.http.get(f"{url}", headers=HEADERS)).headers["etag"] == 'W/"48"'


async def test_of_updates_from_one_version_one_wins_and_the_rest_are_412(toy: Toy) -> None:
    """HAPI #5288: of updates that met, each was told that it had won."""
    created = (await put(toy, "6")).json()
    url = toy.url(f"Organization/{created['id']}")
    answers = await asyncio.gather(
        *(
            toy.http.put(url, json={**organization("6"), "id": created["id"]}, headers={**HEADERS, "If-Match": 'W/"1"'})
            for _ in range(AT_ONCE)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * (AT_ONCE - 1)


async def test_the_same_id_elsewhere_overwrites_nothing(toy: Toy) -> None:
    """HAPI #7095: a PUT with the same id in one partition overwrites another's."""
    own = {**consent(ASTRID), "id": "same"}
    astrid, bertil = {**bearer(patient(ASTRID)), **JSON}, {**bearer(patient(BERTIL)), **JSON}
    assert (await toy.http.put(toy.url("Consent/same"), json=own, headers=astrid)).status_code == 201
    other_type = {**organization("1"), "id": "same"}
    assert (await toy.http.put(toy.url("Organization/same"), json=other_type, headers=HEADERS)).status_code == 201
    foreign = {**consent(BERTIL), "id": "same"}
    assert (await toy.http.put(toy.url("Consent/same"), json=foreign, headers=bertil)).status_code == 403
    kept = (await toy.http.get(toy.url("Consent/same"), headers=astrid)).json()
    assert (kept["patient"], kept["meta"]["versionId"]) == (own["patient"], "1")


async def test_conditional_writes_stay_within_what_the_caller_may_find(toy: Toy) -> None:
    """HAPI #6033, #1869: conditional operations look into other partitions, or fail for them."""
    made = {}
    for person in (ASTRID, BERTIL):
        headers = {**bearer(patient(person)), **JSON, "If-None-Exist": "status=active"}
        answers = [await toy.http.post(toy.url("Consent"), json=consent(person), headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 200]
        made[person] = answers[1].json()["id"]
    headers = {**bearer(patient(BERTIL)), **JSON}
    changed = await toy.http.put(toy.url("Consent?status=active"), json=consent(BERTIL), headers=headers)
    assert (changed.status_code, changed.json()["id"]) == (200, made[BERTIL])
    assert (await toy.http.delete(toy.url("Consent?status=active"), headers=headers)).status_code == 204
    left = await toy.http.get(toy.url("Consent/" + made[ASTRID]), headers=bearer(patient(ASTRID)))
    assert left.status_code == 200


async def test_a_late_page_reads_no_more_than_the_first(toy: Toy) -> None:
    """HAPI #860, #6109: paging keeps the whole result and is slow at the 2,000th row."""
    made = (
        f"INSERT INTO {SCHEMA}.resource (type, id, version, last_updated, deleted, body, created) "
        "SELECT 'Organization', n::text, 1, now(), false, '{}', timestamptz '2026-01-01' - n * interval '1 s' "
        "FROM generate_series(0, :n) n"
    )
    async with toy.engine.begin() as connection:
        await connection.execute(text(made), {"n": SOME})
        await connection.execute(text(f"ANALYZE {SCHEMA}.resource"))
    query = parse_query([("_count", "10")], parameters_for("Organization", ()))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for place in (None, 5, SOME - 20):
        after = None if place is None else (start - timedelta(seconds=place), str(place))
        statement = select_page(tables(SCHEMA), "Organization", query, Sight(), after)
        compiled = statement.compile(dialect=toy.engine.dialect, compile_kwargs={"literal_binds": True})
        async with toy.engine.begin() as connection:
            rows = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {compiled}")
            plan = "\n".join(row[0] for row in rows)
        assert max(float(each) for each in re.findall(r"actual rows=([\d.]+)", plan)) == 11, plan
        assert "Rows Removed" not in plan


async def test_a_total_is_given_on_demand_and_counts_only_what_may_be_seen(toy: Toy) -> None:
    """HAPI #536: totals are counted before consent is asked, and tell what may not be seen."""
    for person in (ASTRID, BERTIL, BERTIL):
        headers = {**bearer(patient(person)), **JSON}
        assert (await toy.http.post(toy.url("Consent"), json=consent(person), headers=headers)).status_code == 201
    asked = toy.url("Consent?status=active")
    assert "total" not in (await toy.http.get(asked, headers=bearer(patient(ASTRID)))).json()
    for person, number in ((ASTRID, 1), (BERTIL, 2)):
        for form in ("_total=accurate", "_summary=count", "_count=0", "_total=estimate"):
            found = (await toy.http.get(f"{asked}&{form}", headers=bearer(patient(person)))).json()
            assert found["total"] == number


async def test_every_connection_ends_a_statement_that_takes_too_long(toy: Toy) -> None:
    """HFS #260: the time of statements was limited on some connections of the pool only."""

    async def limit() -> str:
        async with toy.engine.connect() as connection:
            shown = (await connection.execute(text("SHOW statement_timeout"))).scalar_one()
            await connection.execute(text("SELECT pg_sleep(0.1)"))  # so that each has a connection of its own
            return str(shown)

    assert set(await asyncio.gather(*(limit() for _ in range(12)))) == {"30s"}


async def test_ids_are_in_the_order_of_time(toy: Toy) -> None:
    """IBM: random ids scatter the writes over the whole index."""
    made = []
    for number in range(5):
        answer = await toy.http.post(toy.url("Organization"), json=organization(str(number)), headers=HEADERS)
        made.append(answer.json()["id"])
        await asyncio.sleep(0.002)  # their time counts milliseconds
    assert made == sorted(made)
    assert {UUID(each).version for each in made} == {7}


@pytest.mark.parametrize(
    ("bad", "status", "expression"),
    [
        (
            entry("POST", "Organization", {"resourceType": "Organization", "nam": "x"}),
            422,
            "Bundle.entry[1].resource.nam",
        ),
        (entry("POST", "Organization"), 400, "Bundle.entry[1]"),
        (entry("POST", "Nothing", {"resourceType": "Nothing"}), 404, "Bundle.entry[1]"),
        (entry("GET", "Organization/never"), 404, "Bundle.entry[1]"),
        (entry("GET", "Organization?nmae=x"), 400, "Bundle.entry[1]"),
        (entry("DELETE", "metadata"), 405, "Bundle.entry[1]"),
        (entry("PUT", "Organization/x", {**organization("1"), "id": "y"}), 400, "Bundle.entry[1].resource.id"),
        (entry("POST", "Patient/$echo", {"resourceType": "Parameters"}), 400, "Bundle.entry[1]"),
        (entry("JUMP", "Organization"), 400, "Bundle.entry[1]"),
        ({"resource": organization("1")}, 400, "Bundle.entry[1]"),
        ("no entry", 400, "Bundle.entry[1]"),
    ],
)
async def test_errors_of_a_transaction_name_the_entry(toy: Toy, bad: Any, status: int, expression: str) -> None:
    """MS #896: transaction errors do not say which entry."""
    answer = await send(toy, entry("POST", "Organization", organization("1")), bad)
    assert answer.status_code == status, answer.text
    told = issue(answer)
    assert told["expression"] == [expression]
    assert "Bundle.entry[1]" in told["diagnostics"]
    assert await count(toy) == 0


async def test_a_conditional_reference_to_an_entry_in_the_same_bundle_works(toy: Toy) -> None:
    """MS #1175: a conditional reference to an entry in the same bundle fails."""
    answer = await send(
        toy,
        entry("POST", "Organization", organization("c", partOf={"reference": "Organization?identifier=urn:x|b"})),
        entry("POST", "Organization", organization("b", partOf={"reference": "Organization?identifier=urn:x|a"})),
        entry("PUT", "Organization/a", {**organization("a"), "id": "a"}),
    )
    assert statuses(answer) == ["201", "201", "201"]
    middle = await read(toy, answer, 1)
    assert middle["partOf"]["reference"] == "Organization/a"
    assert (await read(toy, answer, 0))["partOf"]["reference"] == f"Organization/{middle['id']}"
    found = await toy.http.get(toy.url("Organization?partof=Organization/a&_total=accurate"), headers=HEADERS)
    assert found.json()["total"] == 1


async def test_a_conflict_inside_a_bundle_is_409(toy: Toy) -> None:
    """MS #5592: a conflict inside a bundle surfaced as 500."""
    same = {**organization("1"), "id": "x"}
    for second in (
        entry("PUT", "Organization/x", same),
        entry("DELETE", "Organization/x"),
        entry("PATCH", "Organization/x", {"resourceType": "Parameters"}),
        entry("PUT", "Organization?identifier=urn:x|9", same),
    ):
        answer = await send(toy, entry("PUT", "Organization/x", same), second)
        assert answer.status_code == 409, answer.text
        assert "Bundle.entry[" in issue(answer)["expression"][0]
    twice = entry("POST", "Organization", organization("2"), ifNoneExist="identifier=urn:x|2")
    assert (await send(toy, twice, twice)).status_code == 409
    assert await count(toy) == 0


async def test_if_match_in_a_transaction_entry_is_honoured(toy: Toy) -> None:
    """Spark #714: ifMatch in transaction entries is ignored, updates are lost."""
    made = (await put(toy, "1", name="A")).json()["id"]
    body = {**organization("1", name="B"), "id": made}
    for method, resource in (("PUT", body), ("DELETE", None), ("PATCH", {"resourceType": "Parameters"})):
        answer = await send(
            toy,
            entry("POST", "Organization", organization("2")),
            entry(method, f"Organization/{made}", resource, ifMatch='W/"7"'),
        )
        assert (answer.status_code, issue(answer)["expression"]) == (412, ["Bundle.entry[1]"])
    answers = await asyncio.gather(
        *(send(toy, entry("PUT", f"Organization/{made}", body, ifMatch='W/"1"')) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert await count(toy) == 1
