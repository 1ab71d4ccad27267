# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What users of other servers complain of in search, each held here; the threads are named by server and number."""

from collections.abc import Iterator
import re
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.limits import LIMITS
from fhir_server.search.order import select_page
from fhir_server.search.parameters import codes_of, parameters_for
from fhir_server.search.query import parse_query
from fhir_server.search.sight import Sight
from fhir_server.storage.schema import tables
from identifiers.person_key import PersonKey
from tests.fhir_server.search.holdings import LOINC, concept, observation, pressure
from tests.fhir_server.search.library import SCHEMA, TYPES, Library, link
from tests.support.callers import OPERATOR, bearer, patient

pytestmark = pytest.mark.servers
ASTRID, BERTIL = PersonKey(b"a" * 16), PersonKey(b"b" * 16)
SOME = 4000


async def test_500_tokens_in_one_parameter_are_found(library: Library) -> None:
    """HAPI #8247: an OR of 113 tokens hangs PostgreSQL."""
    await library.load(observation(f"o{number}", code=concept("urn:c", f"c{number}")) for number in range(SOME))
    for form in ("c{}", "urn:c|c{}"):
        values = ",".join(form.format(number) for number in range(0, 1000, 2))
        bundle = await library.post("Observation", [("code", values), ("_count", "1000")])
        assert len(bundle["entry"]) == 500


async def test_a_statement_has_the_same_text_for_two_values_and_for_many() -> None:
    one, many = (
        str(_statement("Observation", [("code", ",".join(f"{form}{n}" for n in range(count)))]).compile(
            dialect=postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
        ))
        for form, count in (("c", 2), ("c", 500))
    )  # fmt: skip
    assert one == many
    assert " OR " not in many.replace("base IS NULL OR", "")


async def test_components_of_a_composite_match_in_one_group(library: Library) -> None:
    """HFS #279: components as separate rows are slow, and match across groups."""
    await library.load([pressure("right", 150, 80), pressure("crossed", 80, 150)])
    query = f"Observation?component-code-value-quantity={LOINC}|8480-6$gt140"
    assert await library.ids(query) == ["right"]


async def test_components_of_a_blood_pressure_are_found_by_combo_code(library: Library) -> None:
    """`code=8480-6` finds no panels, by the specification; combo-code does."""
    await library.load([pressure("panel", 120, 80)])
    assert await library.ids("Observation?code=8480-6") == []
    assert await library.ids("Observation?combo-code=8480-6") == ["panel"]


async def test_a_crawl_by_creation_loses_nothing_that_is_changed_before_it_is_reached(library: Library) -> None:
    """Paging by last change misses what moves to the front."""
    for number in range(9):
        await library.put(observation(f"o{number}"))
    seen: list[str] = []
    bundle = await library.search("Observation?_count=2")
    for number in range(9):
        seen += [each["resource"]["id"] for each in bundle["entry"]]
        await library.put(observation(f"o{number}", note=[{"text": "changed"}]))
        await library.put(observation(f"new{number}"))
        following = link(bundle, "next")
        if following is None:
            break
        bundle = (await library.http.get(following, headers=bearer(OPERATOR))).json()
    assert seen == [f"o{number}" for number in reversed(range(9))]


async def test_a_misspelled_parameter_does_not_eat_the_filter(library: Library) -> None:
    """Servers that ignore what they do not know answer with everything."""
    assert await library.refused("Observation?satus=final") == "unknown-parameter"


@pytest.fixture
async def population(lasting_library: Library) -> Library:
    """Enough rows that a plan by sequence would cost more."""
    if lasting_library.content == "population":
        return lasting_library
    await lasting_library.empty()
    await lasting_library.load(_population())
    async with lasting_library.engine.begin() as connection:
        for table in tables(SCHEMA).metadata.sorted_tables:
            await connection.execute(text(f"ANALYZE {SCHEMA}.{table.name}"))
    lasting_library.content = "population"
    return lasting_library


def _population() -> Iterator[dict[str, Any]]:
    for number in range(SOME):
        day = f"20{10 + number % 10}-{1 + number % 12:02}-{1 + number % 28:02}"
        yield {
            "resourceType": "Patient", "id": f"p{number}", "birthDate": day, "name": [{"family": f"n{number}ss"}],
            "identifier": [{"system": "urn:a", "value": str(number)}],
        }  # fmt: skip
        yield pressure(
            f"o{number}", number, number / 2, subject={"reference": f"Patient/p{number}"}, effectiveDateTime=day,
            valueQuantity={"value": number}, identifier=[{"system": "urn:o", "value": str(number)}],
        )  # fmt: skip
        yield {
            "resourceType": "ValueSet", "id": f"v{number}", "status": "active",
            "url": f"http://x/{number % 99}/{number}",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "query", "index"),
    [
        ("Patient", "identifier=urn:a|17", "token_by_value"),
        ("Patient", "identifier=17,18,19", "token_by_value"),
        ("Patient", "identifier=" + ",".join(f"urn:a|{n}" for n in range(20)), "token_by_value"),
        ("Patient", "family=n17s", "string_by_value"),
        ("Patient", "family:exact=n17ss", "string_by_value"),
        ("Observation", "subject=Patient/p17", "reference_by_target"),
        ("Observation", "subject:identifier=urn:a|17", "reference_by_identifier"),
        ("Patient", "birthdate=2011-02-18", "date_by_"),
        ("Observation", "value-quantity=17", "quantity_by_"),
        ("Observation", "component-code-value-quantity=8480-6$ge3999", "composite_by_"),
        ("ValueSet", "url=http://x/17/17", "token_by_value"),
        ("ValueSet", "url:below=http://x/17/17", "token_by_value"),
        ("Observation", "subject.identifier=urn:a|17", "token_by_value"),
        ("Observation", "patient.family=n17s", "string_by_value"),
        ("Patient", "_has:Observation:patient:identifier=urn:o|17", "token_by_value"),
        ("Patient", "_id=p17", "resource_pkey"),
    ],
)
async def test_each_value_table_is_entered_by_its_index(population: Library, kind: str, query: str, index: str) -> None:
    """HFS #224: one wide index table read by sequence took seconds."""
    name, _, value = query.partition("=")
    plan = await _plan(population.engine, kind, [(name, value)])
    assert index in plan
    assert "Seq Scan" not in plan


async def test_what_a_resource_left_in_the_index_is_found_by_its_source(population: Library) -> None:
    """WSO2 #169: a rewrite scanned the index tables for the old values of its resource."""
    async with population.engine.begin() as connection:
        for table in tables(SCHEMA).value_tables:
            # A type that has many rows there: where it has none, any index that begins with the type does.
            kind, name = ("Patient", "p17") if table.name == "string_value" else ("Observation", "o17")
            statement = f"EXPLAIN DELETE FROM {table.fullname} WHERE type = '{kind}' AND id = '{name}'"
            plan = "\n".join(row[0] for row in await connection.execute(text(statement)))
            assert f"{table.name}_by_source" in plan, plan


async def test_a_date_is_bounded_from_both_sides(population: Library) -> None:
    """IBM #1665: a search bounded on one side only read half of all dates."""
    plan = await _plan(population.engine, "Patient", [("birthdate", "2011-02-18")])
    condition = next(line for line in plan.splitlines() if "Index Cond" in line and ("low" in line or "high" in line))
    assert ">" in condition
    assert "<" in condition


async def test_a_chain_reads_a_handful_of_rows(population: Library) -> None:
    """Medplum #4212, #4923: chained searches timed out on joins of texts."""
    query = [("patient.family", "n17ss"), ("date", "ge2001")]
    assert len((await population.post("Observation", query))["entry"]) == 1
    plan = await _plan(population.engine, "Observation", query, analyse=True)
    rows = [int(each) for each in re.findall(r"actual rows=(\d+)", plan)]
    assert rows
    assert max(rows) < 100


async def test_include_of_many_is_one_step_and_bounded(population: Library) -> None:
    query = [("_include", "Observation:patient"), ("_count", "1000")]
    bundle = await population.post("Observation", query)
    modes = [each["search"]["mode"] for each in bundle["entry"]]
    assert (modes.count("match"), modes.count("include"), modes.count("outcome")) == (1000, LIMITS.included, 0)


def consent(name: str, person: PersonKey, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent", "id": name, "status": "active", "scope": {"text": "privacy"},
        "category": [{"text": "test"}], "patient": {"reference": f"Patient/{person.hex()}"},
        "policyRule": {"text": "test"}, **more,
    }  # fmt: skip


async def _two_persons(library: Library) -> None:
    for name, person, other in (("a", ASTRID, "b"), ("b", BERTIL, "a")):
        source = {"sourceReference": {"reference": f"Consent/{other}"}}
        organization = [{"reference": "Organization/o"}]
        given = consent(name, person, organization=organization, identifier=[{"system": "urn:n", "value": name}])
        await library.put({**given, **source}, patient(person))
    await library.put({"resourceType": "Organization", "id": "o", "name": "O"})


@pytest.mark.parametrize(
    "query",
    [
        "Consent?_include=Consent:source-reference",
        "Consent?_revinclude=Consent:source-reference",
        "Consent?_include:iterate=Consent:source-reference",
        "Consent?_include=Consent:organization&_revinclude:iterate=Consent:organization",
        "Organization?_revinclude=Consent:organization",
        "Consent?_include=Consent:source-reference&_summary=true",
    ],
)
async def test_nothing_of_another_person_is_included(library: Library, query: str) -> None:
    await _two_persons(library)
    bundle = await library.search(query, patient(ASTRID))
    found = {each["resource"]["id"] for each in bundle["entry"]}
    assert "b" not in found
    assert found <= {"a", "o"}
    assert "a" in found
    assert all(each["search"]["mode"] != "outcome" for each in bundle["entry"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Consent?source-reference.status=active", []),
        ("Consent?source-reference.identifier=urn:n|b", []),
        ("Consent?source-reference.identifier:not=x", []),
        ("Consent?source-reference._id=b", []),
        ("Consent?_has:Consent:source-reference:status=active", []),
        ("Organization?_has:Consent:organization:identifier=urn:n|b", []),
        ("Organization?_has:Consent:organization:identifier=urn:n|a", ["o"]),
        ("Consent?organization.name=o", ["a"]),
    ],
)
async def test_nothing_of_another_person_is_told_by_a_chain(library: Library, query: str, found: list[str]) -> None:
    """HAPI #536: totals counted before consent told what may not be seen."""
    await _two_persons(library)
    bundle = await library.search(f"{query}&_total=accurate", patient(ASTRID))
    assert [each["resource"]["id"] for each in bundle.get("entry", [])] == found
    assert bundle["total"] == len(found)


async def test_what_is_reached_through_persons_data_is_in_the_access_log(library: Library) -> None:
    await _two_persons(library)
    library.audit.entries.clear()
    await library.search("Organization?_has:Consent:organization:status=active", patient(ASTRID))
    (recorded,) = library.audit.entries
    assert (recorded[1].person, recorded[1].count) == (ASTRID, 1)
    await library.search("Organization", patient(ASTRID))
    assert len(library.audit.entries) == 1


async def test_a_persons_identifier_is_sealed_in_links_and_the_links_still_work(library: Library) -> None:
    for name in ("a1", "a2", "a3"):
        identifier = [{"system": "urn:n", "value": "191212121212"}]
        await library.put(consent(name, ASTRID, identifier=identifier), patient(ASTRID))
    bundle = await library.post("Consent", [("identifier", "urn:n|191212121212"), ("_count", "2")], patient(ASTRID))
    following = link(bundle, "next") or ""
    assert "191212121212" not in following + (link(bundle, "self") or "")
    assert "identifier=sealed-" in following
    page = (await library.http.get(following, headers=bearer(patient(ASTRID)))).json()
    assert [each["resource"]["id"] for each in page["entry"]] == ["a1"]
    changed = following.replace("sealed-", "sealed-AA")
    assert (await library.http.get(changed, headers=bearer(patient(ASTRID)))).status_code == 400


def _statement(kind: str, given: list[tuple[str, str]]) -> Any:
    types = {each: parameters_for(each, codes_of(each)) for each in TYPES}
    return select_page(tables(SCHEMA), kind, parse_query(given, types[kind], types=types), Sight(), None)


async def _plan(engine: AsyncEngine, kind: str, given: list[tuple[str, str]], *, analyse: bool = False) -> str:
    compiled = _statement(kind, given).compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)" if analyse else "EXPLAIN (COSTS OFF)"
    async with engine.begin() as connection:
        rows = await connection.exec_driver_sql(f"{explain} {compiled}")
        return "\n".join(row[0] for row in rows)
