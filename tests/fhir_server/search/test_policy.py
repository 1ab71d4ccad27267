# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a policy hides cannot be inferred: a search answers as if the hidden resources did not exist.

The oracle is a second service that holds only what the policy permits; both are asked the same over HTTP.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
import os
import random
from typing import Any

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import orjson
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.app import KernelSettings, create_app
from fhir_server.context import Access, Context
from fhir_server.outcome import NotFound
from fhir_server.policy import EVERYTHING, NOTHING, Policy
from fhir_server.search.index import extract_values
from fhir_server.search.parameters import parameters_for
from fhir_server.service import Interaction, ResourceType, Service
from fhir_server.storage.schema import tables
from identifiers.person_key import PersonKey
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer
from tests.support.running import running

EXAMPLES = 400 if os.environ.get("NDI_SOAK") else 12
SEARCHES = 12
"""Searches of each example."""
PERSONS = tuple(PersonKey(bytes([number]) * 16) for number in range(3))
CUSTODIANS = ("SE0000000011-VG", "SE0000000022-VG", "Organization/o1")
SEARCH: Mapping[str, tuple[str, ...]] = {
    "Patient": ("name", "gender", "birthdate", "organization"),
    "Observation": ("code", "date", "value-quantity", "subject", "has-member", "performer", "code-value-quantity"),
    "Organization": ("name", "active", "partof"),
    "Encounter": ("status", "date", "subject", "service-provider"),
    "List": ("status", "item"),
}
INTERACTIONS: frozenset[Interaction] = frozenset({"read", "create", "update", "delete", "search"})
HEADERS = {**bearer(OPERATOR), "Content-Type": "application/fhir+json"}


def person_of(resource: Mapping[str, Any]) -> PersonKey | None:
    found = _label(resource, "urn:person")
    return PersonKey.from_hex(found) if found else None


def custodian_of(resource: Mapping[str, Any]) -> str | None:
    return _label(resource, "urn:custodian")


def _label(resource: Mapping[str, Any], system: str) -> str | None:
    labels = resource.get("meta", {}).get("security", ())
    return next((each["code"] for each in labels if each["system"] == system), None)


@dataclass
class Set:
    """A guard whose policy the test sets."""

    policy_now: Policy = EVERYTHING

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        context.decided = True
        if interaction == "read" and (
            resource is None or not self.policy_now.permits(person_of(resource), custodian_of(resource))
        ):
            raise NotFound("nothing with this id")

    async def policy(self, context: Context) -> Policy:
        return self.policy_now


@dataclass
class Hospital:
    """Two services, the second without what the policy hides."""

    engine: AsyncEngine
    http: Mapping[str, httpx2.AsyncClient]
    guards: Mapping[str, Set]
    resources: list[dict[str, Any]] = field(default_factory=list)

    async def hide(self, policies: Mapping[str, Policy]) -> None:
        """Sets the policies of the first and fills the second accordingly."""
        for name, guard in self.guards.items():
            guard.policy_now = policies.get(name, EVERYTHING)
        await self.fill("without", [each for each in self.resources if self.permitted(each)])

    def permitted(self, resource: Mapping[str, Any]) -> bool:
        policy = self.guards[resource["resourceType"]].policy_now
        return policy.permits(person_of(resource), custodian_of(resource))

    async def fill(self, schema: str, resources: Iterable[dict[str, Any]]) -> None:
        kept = tables(schema)
        rows: dict[str, list[dict[str, Any]]] = {}
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for each in resources:
            base = {"type": each["resourceType"], "id": each["id"]}
            made = start + timedelta(minutes=each["meta"]["extension"][0]["valueInteger"] % 7)
            person = person_of(each)
            rows.setdefault("resource", []).append(
                {
                    **base, "version": 1, "last_updated": made, "created": made, "deleted": False,
                    "body": orjson.dumps(each), "person_key": person.value if person else None,
                    "custodian": custodian_of(each),
                }
            )  # fmt: skip
            parameters = parameters_for(each["resourceType"], SEARCH[each["resourceType"]]).values()
            for name, values in extract_values(each, parameters).by_table():
                rows.setdefault(name, []).extend({**base, **value._asdict()} for value in values)
        async with self.engine.begin() as connection:
            names = ", ".join(f"{schema}.{table.name}" for table in kept.metadata.sorted_tables)
            await connection.execute(text(f"TRUNCATE {names}"))
            for name, some in rows.items():
                await connection.execute(insert(getattr(kept, name)), some)

    async def crawl(self, which: str, query: str) -> list[Any]:
        """All that the pages tell: totals, entries in their order with their mode, links without host and cursor."""
        told: list[Any] = []
        url: str | None = f"/hospital/fhir/{query}"
        while url is not None:
            answer = await self.http[which].get(url, headers=HEADERS)
            body = answer.json()
            assert answer.status_code == 200, (query, body)
            entries = [
                (each["search"]["mode"], each["resource"]["resourceType"], each["resource"].get("id"))
                for each in body.get("entry", ())
            ]
            links = {each["relation"]: each["url"].partition("/fhir/")[2] for each in body["link"]}
            told.append((body.get("total"), entries, links.get("self", "").partition("_cursor")[0], "next" in links))
            url = f"/hospital/fhir/{links['next']}" if "next" in links else None
        return told


def population() -> list[dict[str, Any]]:
    """Resources that refer to each other in all directions, with few different values, so that much matches."""
    chance = random.Random(4)  # the same each time: only policies and searches vary
    made: list[dict[str, Any]] = []

    def add(kind: str, identity: str, /, **more: Any) -> None:
        labels = []
        if chance.random() < 0.8:
            labels.append({"system": "urn:person", "code": chance.choice(PERSONS).hex()})
        if chance.random() < 0.8:
            labels.append({"system": "urn:custodian", "code": chance.choice(CUSTODIANS)})
        meta = {"extension": [{"url": "urn:number", "valueInteger": len(made)}], "security": labels}
        made.append({"resourceType": kind, "id": identity, "meta": meta, **more})

    def to(kind: str, letter: str, number: int) -> dict[str, str]:
        return {"reference": f"{kind}/{letter}{chance.randrange(number)}"}

    for number in range(8):
        partof: dict[str, Any] = {"partOf": {"reference": f"Organization/o{(number - 1) // 2}"}} if number else {}
        add("Organization", f"o{number}", name=chance.choice("abc"), active=chance.random() < 0.5, **partof)
    for number in range(10):
        add(
            "Patient", f"p{number}", name=[{"family": chance.choice("abc")}], gender=chance.choice(("male", "female")),
            birthDate=f"19{chance.choice((50, 60, 70))}", managingOrganization=to("Organization", "o", 8),
        )  # fmt: skip
    for number in range(24):
        add(
            "Observation", f"b{number}", status="final",
            code={"coding": [{"system": "urn:c", "code": chance.choice("xyz")}]},
            effectiveDateTime=f"2026-01-0{chance.randrange(1, 6)}", subject=to("Patient", "p", 10),
            valueQuantity={"value": chance.randrange(4)}, performer=[to("Organization", "o", 8)],
            hasMember=[to("Observation", "b", 24)],
        )  # fmt: skip
    for number in range(10):
        add(
            "Encounter", f"e{number}", status=chance.choice(("planned", "finished")), subject=to("Patient", "p", 10),
            period={"start": f"2026-01-0{chance.randrange(1, 6)}"}, serviceProvider=to("Organization", "o", 8),
        )  # fmt: skip
    for number in range(4):
        item = [{"item": to("Observation", "b", 24)} for _ in range(6)]
        add("List", f"l{number}", status=chance.choice(("current", "retired")), entry=item)
    return made


@pytest.fixture(scope="module")
async def hospital(lasting_engine: AsyncEngine) -> AsyncIterator[Hospital]:
    guards = {kind: Set() for kind in SEARCH}

    def served(schema: str, guarded: bool) -> Any:
        types = tuple(
            ResourceType(
                kind, Access.person_data, INTERACTIONS, search, guard=guards[kind] if guarded else Set(),
                person=person_of, custodian=custodian_of,
            )
            for kind, search in SEARCH.items()
        )  # fmt: skip
        return create_app(
            Service(schema, "Hospital", "/hospital", resources=types), engine=lasting_engine,
            authenticator=TestAuthenticator(), audit=ListAudit(),
            settings=KernelSettings(audit_function=APPEND_FUNCTION),
        )  # fmt: skip

    async with lasting_engine.begin() as connection:
        for schema in ("hiding", "without"):
            await connection.execute(text(f"CREATE SCHEMA {schema}"))
            await connection.run_sync(tables(schema).metadata.create_all)
    async with running(served("hiding", True)) as hiding, running(served("without", False)) as without:
        made = Hospital(lasting_engine, {"hiding": hiding, "without": without}, guards, population())
        await made.fill("hiding", made.resources)
        yield made


_lists = st.one_of(st.none(), st.frozensets(st.sampled_from(PERSONS), max_size=2))
_policies = st.one_of(
    st.just(EVERYTHING),
    st.just(NOTHING),
    st.builds(
        Policy,
        persons=_lists,
        hidden_persons=st.frozensets(st.sampled_from(PERSONS), max_size=2),
        custodians=st.one_of(st.none(), st.frozensets(st.sampled_from(CUSTODIANS), max_size=2)),
        hidden_custodians=st.frozensets(st.sampled_from(CUSTODIANS), max_size=2),
    ),
)
_SIMPLE: Mapping[str, tuple[str, ...]] = {
    "Patient": ("name=a", "gender=male,female", "gender:not=male", "birthdate=ge1960", "organization:missing=true"),
    "Observation": (
        "code=urn:c|x", "code:not=y", "date=le2026-01-03", "value-quantity=gt1", "subject:missing=false",
        "code-value-quantity=x$ge1", "subject=Patient/p1,Patient/p2", "performer:below=Organization/o1",
        "has-member=b1,b2,b3,b4,b5", "_list=l0", "_list=l1",
    ),
    "Organization": ("name=b", "active=true", "partof:below=Organization/o0", "partof:above=Organization/o3"),
    "Encounter": ("status=planned", "date=2026-01-02", "service-provider:below=Organization/o1"),
    "List": ("status=current", "item=Observation/b1"),
}  # fmt: skip
_LINKS = (
    ("Patient", "organization", "Organization"),
    ("Observation", "subject", "Patient"),
    ("Observation", "has-member", "Observation"),
    ("Observation", "performer", "Organization"),
    ("Organization", "partof", "Organization"),
    ("Encounter", "subject", "Patient"),
    ("Encounter", "service-provider", "Organization"),
    ("List", "item", "Observation"),
)


@st.composite
def _conditions(draw: st.DrawFn, kind: str, depth: int = 0) -> str:
    out = [each for each in _LINKS if each[0] == kind]
    back = [each for each in _LINKS if each[2] == kind]
    way = draw(st.sampled_from(("plain", "chain", "has") if depth < 2 else ("plain",)))
    if way == "chain" and out:
        _, code, target = draw(st.sampled_from(out))
        return f"{code}:{target}.{draw(_conditions(target, depth + 1))}"
    if way == "has" and back:
        source, code, _ = draw(st.sampled_from(back))
        return f"_has:{source}:{code}:{draw(_conditions(source, depth + 1))}"
    plain = [each for each in _SIMPLE[kind] if depth == 0 or not each.startswith("_list")]
    return draw(st.sampled_from([*plain, "_id=" + ",".join(f"{kind[0].lower()}{n}" for n in range(6))]))


@st.composite
def _searches(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(sorted(SEARCH)))
    parts = draw(st.lists(_conditions(kind), max_size=2))
    for name, source, code, target in draw(st.lists(st.sampled_from(_includes(kind)), max_size=2)):
        parts.append(f"{name}={source}:{code}" + draw(st.sampled_from(("", f":{target}"))))
    sort = draw(st.sampled_from(("", "_id", "-_lastUpdated", *_SORTS[kind])))
    parts += [f"_sort={sort}"] if sort else []
    parts.append(draw(st.sampled_from(("_count=2", "_count=3", "_count=50", "_summary=count", "_count=0"))))
    parts.append(draw(st.sampled_from(("_total=accurate", "_total=none", "_summary=true", "_elements=status"))))
    if sum(each.startswith(("_summary", "_elements")) for each in parts) > 1:
        parts.pop()
    return f"{kind}?" + "&".join(parts)


_SORTS = {
    "Patient": ("name", "-birthdate", "organization,-name"),
    "Observation": ("code", "-date", "value-quantity,-code", "subject"),
    "Organization": ("name", "-active,name"),
    "Encounter": ("status,-date",),
    "List": ("-status",),
}


def _includes(kind: str) -> list[tuple[str, str, str, str]]:
    found = [("_include", *each) for each in _LINKS if each[0] == kind]
    found += [("_revinclude", *each) for each in _LINKS if each[2] == kind]
    return found + [(f"{name}:iterate", *each) for name in ("_include", "_revinclude") for each in _LINKS]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policies=st.fixed_dictionaries(dict.fromkeys(SEARCH, _policies)),
    searches=st.lists(_searches(), min_size=SEARCHES, max_size=SEARCHES),
)
async def test_a_search_answers_as_if_what_is_hidden_did_not_exist(
    hospital: Hospital, policies: dict[str, Policy], searches: list[str]
) -> None:
    await hospital.hide(policies)
    for query in searches:
        assert await hospital.crawl("hiding", query) == await hospital.crawl("without", query), query


@pytest.mark.parametrize(
    "query",
    [
        "Observation?_total=accurate&_count=2",
        "Observation?subject:Patient.gender=male",
        "Patient?_has:Observation:subject:code=x",
        "Observation?performer:below=Organization/o0",
        "Observation?_include=Observation:subject&_revinclude:iterate=Encounter:subject",
        "Observation?_sort=subject&_count=2",
        "Observation?_list=l0",
    ],
)
async def test_the_oracle_would_see_a_leak(hospital: Hospital, query: str) -> None:
    """The same searches do answer otherwise when nothing is hidden: else the property above could not fail."""
    hidden = Policy(hidden_custodians=frozenset(CUSTODIANS[:2]))
    await hospital.hide(dict.fromkeys(SEARCH, hidden))
    told = await hospital.crawl("without", query)
    for guard in hospital.guards.values():
        guard.policy_now = EVERYTHING
    assert await hospital.crawl("hiding", query) != told


async def test_a_cursor_stays_good_when_the_policy_changes_and_shows_only_what_it_permits(hospital: Hospital) -> None:
    """A cursor that broke would tell that something was hidden just now."""
    await hospital.hide({})
    page = (await hospital.http["hiding"].get("/hospital/fhir/Observation?_count=3", headers=HEADERS)).json()
    await hospital.hide({"Observation": Policy(custodians=frozenset(CUSTODIANS[:1]))})
    following = next(each["url"] for each in page["link"] if each["relation"] == "next")
    rest = (await hospital.http["hiding"].get(following, headers=HEADERS)).json()
    assert rest["entry"]
    assert all(custodian_of(each["resource"]) == CUSTODIANS[0] for each in rest["entry"])


async def test_a_conditional_write_does_not_tell_what_is_hidden(hospital: Hospital) -> None:
    await hospital.hide({"Organization": Policy(custodians=frozenset({"SE0000000099-VG"}))})
    label = {"system": "urn:custodian", "code": "SE0000000099-VG"}
    own = {"resourceType": "Organization", "name": "a", "meta": {"security": [label]}}
    asked = {**HEADERS, "If-None-Exist": "name=a"}
    try:
        for status in (201, 200):
            made = await hospital.http["hiding"].post("/hospital/fhir/Organization", json=own, headers=asked)
            assert made.status_code == status, made.text
        removed = await hospital.http["hiding"].delete("/hospital/fhir/Organization?name=b", headers=HEADERS)
        assert removed.status_code == 204
        hospital.guards["Organization"].policy_now = EVERYTHING
        left = await hospital.crawl("hiding", "Organization?name=b&_total=accurate")
        assert left[0][0] == sum(each.get("name") == "b" for each in hospital.resources)
    finally:
        await hospital.fill("hiding", hospital.resources)


@given(policy=_policies, person=st.sampled_from((None, *PERSONS)), custodian=st.sampled_from((None, *CUSTODIANS)))
def test_a_list_more_never_permits_more(policy: Policy, person: PersonKey | None, custodian: str | None) -> None:
    for hidden in CUSTODIANS:
        narrower = replace(policy, hidden_custodians=policy.hidden_custodians | {hidden})
        assert policy.permits(person, custodian) or not narrower.permits(person, custodian)
    assert not NOTHING.permits(person, custodian)
    assert EVERYTHING.permits(person, custodian)


async def test_a_custodian_is_kept_when_written_and_changed(hospital: Hospital) -> None:
    await hospital.hide({})
    try:
        for custodian in (CUSTODIANS[0], CUSTODIANS[1], None):
            meta = {"meta": {"security": [{"system": "urn:custodian", "code": custodian}]}} if custodian else {}
            kept = {"resourceType": "List", "id": "kept", "status": "current", "mode": "working", **meta}
            done = await hospital.http["hiding"].put("/hospital/fhir/List/kept", json=kept, headers=HEADERS)
            assert done.status_code in (200, 201), done.text
            for name in CUSTODIANS[:2]:
                hospital.guards["List"].policy_now = Policy(custodians=frozenset({name}))
                found = await hospital.crawl("hiding", "List?_id=kept&_total=accurate")
                assert found[0][0] == (1 if name == custodian else 0)
            hospital.guards["List"].policy_now = EVERYTHING
    finally:
        await hospital.fill("hiding", hospital.resources)
