# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The RESTful interactions over real HTTP on a real database (https://hl7.org/fhir/R4/http.html)."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from identifiers.person_key import PersonKey
from tests.fhir_server.conftest import Toy
from tests.support.callers import OPERATOR, SOURCE_NORR, bearer, patient

pytestmark = pytest.mark.servers
JSON = {"Content-Type": "application/fhir+json"}
HEADERS = {**bearer(OPERATOR), **JSON}
ASTRID, BERTIL = PersonKey(b"a" * 16), PersonKey(b"b" * 16)


def organization(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "identifier": [{"system": "urn:x", "value": value}], **more}


def consent(person: PersonKey, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"text": "privacy"},
        "category": [{"text": "test"}],
        "patient": {"reference": f"Patient/{person.hex()}"},
        "policyRule": {"text": "test"},
        **more,
    }


def issue(answer: httpx2.Response) -> dict[str, Any]:
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    found: dict[str, Any] = body["issue"][0]
    return found


async def put(toy: Toy, value: str, **more: Any) -> httpx2.Response:
    return await toy.http.put(
        toy.url(f"Organization?identifier=urn:x|{value}"), json=organization(value, **more), headers=HEADERS
    )


async def test_what_was_created_is_read_back_with_its_version(toy: Toy) -> None:
    created = await toy.http.post(toy.url("Organization"), json=organization("1", name="Ett"), headers=HEADERS)
    assert created.status_code == 201
    assert created.headers["ETag"] == 'W/"1"'
    assert created.headers["Location"].endswith("/_history/1")
    read = await toy.http.get(created.headers["Location"].partition("/_history")[0], headers=HEADERS)
    assert read.json()["name"] == "Ett"
    assert read.json()["meta"]["versionId"] == "1"
    unchanged = await toy.http.get(
        toy.url(f"Organization/{read.json()['id']}"), headers={**HEADERS, "If-None-Match": read.headers["ETag"]}
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_decimals_and_order_survive(toy: Toy) -> None:
    body = b'{"resourceType":"Organization","extension":[{"url":"http://a","valueDecimal":1.500}],"name":"A"}'
    created = await toy.http.post(toy.url("Organization"), content=body, headers=HEADERS)
    assert b'"valueDecimal":1.500' in created.content
    assert created.content.index(b"extension") < created.content.index(b'"name"')


async def test_conditional_update_creates_once_and_then_updates(toy: Toy) -> None:
    first, second = await put(toy, "2", name="A"), await put(toy, "2", name="B")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    history = await toy.http.get(toy.url(f"Organization/{first.json()['id']}/_history"), headers=HEADERS)
    assert [entry["resource"]["name"] for entry in history.json()["entry"]] == ["B", "A"]
    old = await toy.http.get(toy.url(f"Organization/{first.json()['id']}/_history/1"), headers=HEADERS)
    assert old.json()["name"] == "A"


async def test_64_equal_conditional_updates_at_once_make_one_resource(toy: Toy) -> None:
    answers = await asyncio.gather(*(put(toy, "3") for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] * 63 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_criteria_in_the_url_of_a_create_are_not_left_out(toy: Toy) -> None:
    """fhirpy sends them there; a server that ignores them makes a duplicate each time."""
    url = toy.url("Organization?identifier=urn:x|8&_format=json")
    answers = [await toy.http.post(url, json=organization("8"), headers=HEADERS) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    other = {**HEADERS, "If-None-Exist": "identifier=urn:x|9"}
    assert (await toy.http.post(url, json=organization("9"), headers=other)).status_code == 201, "the header counts"
    plain = await toy.http.post(toy.url("Organization?_format=json"), json=organization("8"), headers=HEADERS)
    assert plain.status_code == 201
    refused = await toy.http.post(toy.url("Organization?colour=red"), json=organization("8"), headers=HEADERS)
    assert (refused.status_code, issue(refused)["code"]) == (400, "not-supported")


async def test_a_condition_that_matches_two_is_refused(toy: Toy) -> None:
    for _ in range(2):
        await toy.http.post(toy.url("Organization"), json=organization("5"), headers=HEADERS)
    refused = await put(toy, "5")
    assert refused.status_code == 412
    assert issue(refused)["code"] == "multiple-matches"


async def test_the_id_in_body_and_url_must_agree(toy: Toy) -> None:
    answer = await toy.http.put(toy.url("Organization/x"), json={**organization("7"), "id": "y"}, headers=HEADERS)
    assert answer.status_code == 400
    assert issue(answer)["details"]["coding"][0]["code"] == "id-mismatch"


async def test_a_crawl_during_writes_neither_loses_nor_repeats(toy: Toy) -> None:
    for number in range(12):
        await put(toy, f"c{number}", name="crawl")
    seen: list[str] = []
    url: str | None = toy.url("Organization?name=crawl&_count=5")
    while url is not None:
        page = (await toy.http.get(url, headers=HEADERS)).json()
        seen += [entry["resource"]["identifier"][0]["value"] for entry in page.get("entry", [])]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        await put(toy, f"new{len(seen)}", name="crawl")
    assert sorted(seen) == sorted(f"c{number}" for number in range(12))


async def test_a_changed_or_foreign_cursor_is_refused(toy: Toy) -> None:
    for number in range(3):
        await put(toy, f"d{number}", name="D")
    page = (await toy.http.get(toy.url("Organization?_count=1"), headers=HEADERS)).json()
    following = next(link["url"] for link in page["link"] if link["relation"] == "next")
    assert (await toy.http.get(following + "x", headers=HEADERS)).status_code == 400
    assert (await toy.http.get(following + "&name=d", headers=HEADERS)).status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("identifier=urn:x|s1", ["s1"]),
        ("identifier=s1,s2", ["s1", "s2"]),
        ("identifier=|s1", []),
        ("name=öst", ["s1"]),
        ("name=OST", ["s1"]),
        ("name:contains=vast", ["s2"]),
        ("active=true", ["s1"]),
        ("active:missing=true", ["s2"]),
        ("type=http://t|prov", ["s2"]),
        ("partof=Organization/p1", ["s2"]),
        ("partof:identifier=urn:h|H1", ["s1"]),
        ("name=öst&active=true", ["s1"]),
        ("_lastUpdated=gt2999-01-01", []),
    ],
)
async def test_search(toy: Toy, query: str, found: list[str]) -> None:
    await put(toy, "s1", name="Öster", active=True, partOf={"identifier": {"system": "urn:h", "value": "H1"}})
    await put(
        toy,
        "s2",
        name="Norr och Väst",
        type=[{"coding": [{"system": "http://t", "code": "prov"}]}],
        partOf={"reference": "Organization/p1"},
    )
    answer = await toy.http.get(toy.url(f"Organization?{query}&_total=accurate"), headers=HEADERS)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert sorted(e["resource"]["identifier"][0]["value"] for e in bundle.get("entry", [])) == found
    assert bundle["total"] == len(found)
    by_post = await toy.http.post(
        toy.url("Organization/_search"),
        content=query,
        headers={**bearer(OPERATOR), "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert len(by_post.json().get("entry", [])) == len(found)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("nmae=x", "unknown-parameter"),
        ("name:like=x", "unknown-modifier"),
        ("_lastUpdated=yesterday", "invalid-value"),
        ("_count=-1", "invalid-value"),
        ("name=", "invalid-value"),
        ("active:missing=maybe", "invalid-value"),
    ],
)
async def test_a_search_that_is_not_understood_is_refused(toy: Toy, query: str, code: str) -> None:
    answer = await toy.http.get(toy.url(f"Organization?{query}"), headers=HEADERS)
    assert answer.status_code == 400
    assert issue(answer)["details"]["coding"][0]["code"] == code


async def test_lenient_handling_leaves_out_what_is_unknown_and_says_so(toy: Toy) -> None:
    answer = await toy.http.get(
        toy.url("Organization?nmae=x&name=y"), headers={**HEADERS, "Prefer": "handling=lenient"}
    )
    (self_link,) = answer.json()["link"]
    assert "name=y" in self_link["url"]
    assert "nmae" not in self_link["url"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/fhir+json", 400),
        (b"[]", "application/fhir+json", 400),
        (b'{"resourceType":"Endpoint"}', "application/fhir+json", 400),
        (b'{"resourceType":"Organization","name":5}', "application/fhir+json", 422),
        (b'{"resourceType":"Organization","nam":"x"}', "application/fhir+json", 422),
        (b"<Organization/>", "application/fhir+xml", 415),
        (b"[" * 5000, "application/fhir+json", 400),
        (b" " * 100_001, "application/fhir+json", 413),
    ],
)
async def test_a_bad_body_is_told_and_stores_nothing(toy: Toy, body: bytes, kind: str, status: int) -> None:
    answer = await toy.http.post(toy.url("Organization"), content=body, headers={**HEADERS, "Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert issue(answer)["diagnostics"]
    total = await toy.http.get(toy.url("Organization?_count=0"), headers=HEADERS)
    assert total.json()["total"] == 0


async def test_xml_answers_are_refused_clearly(toy: Toy) -> None:
    answer = await toy.http.get(toy.url("Organization"), headers={**HEADERS, "Accept": "application/fhir+xml"})
    assert answer.status_code == 406


async def test_a_person_reaches_only_her_own_resources(toy: Toy) -> None:
    own, other = {**bearer(patient(ASTRID)), **JSON}, {**bearer(patient(BERTIL)), **JSON}
    created = await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers=own)
    assert created.status_code == 201, created.text
    url = toy.url(f"Consent/{created.json()['id']}")
    assert (await toy.http.get(url, headers=own)).status_code == 200
    assert (await toy.http.get(url, headers=other)).status_code == 403
    taken = {**consent(BERTIL), "id": created.json()["id"]}
    assert (await toy.http.put(url, json=taken, headers=other)).status_code == 403
    found = await toy.http.post(toy.url("Consent/_search"), headers=other)
    assert "entry" not in found.json()
    found = await toy.http.post(toy.url("Consent/_search"), headers=own)
    assert len(found.json()["entry"]) == 1


async def test_a_write_and_its_audit_event_are_kept_together(toy: Toy) -> None:
    created = await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers={**bearer(patient(ASTRID)), **JSON})
    assert created.status_code == 201
    async with toy.engine.begin() as connection:
        rows = (await connection.execute(text("SELECT operation, person_key FROM audit.event"))).all()
    assert [(row.operation, bytes(row.person_key)) for row in rows] == [("create Consent", ASTRID.value)]


async def test_capabilities_say_what_is_served(toy: Toy) -> None:
    statement = (await toy.http.get(toy.url("metadata"))).json()
    (rest,) = statement["rest"]
    by_type = {each["type"]: each for each in rest["resource"]}
    assert {each["code"] for each in by_type["Organization"]["interaction"]} == {
        "read", "vread", "create", "update", "patch", "delete", "search-type", "history-instance",
        "history-type",
    }  # fmt: skip
    assert {each["name"] for each in rest["operation"]} >= {"echo", "tell"}


async def test_unknown_addresses_and_methods(toy: Toy) -> None:
    assert (await toy.http.get("/toy/fhir/Nothing", headers=HEADERS)).status_code == 404
    answer = await toy.http.delete(toy.url("metadata"), headers=HEADERS)
    assert answer.status_code == 405
    assert issue(answer)["code"] == "not-supported"


async def test_a_source_without_the_scope_is_refused(toy: Toy) -> None:
    answer = await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers={**bearer(SOURCE_NORR), **JSON})
    assert answer.status_code == 403
    assert issue(answer)["details"]["coding"][0]["code"] == "insufficient-scope"
