# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""batch and transaction over real HTTP (https://hl7.org/fhir/R4/http.html#transaction)."""

import asyncio
import base64
from dataclasses import replace
import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.fhir_server.conftest import Toy
from tests.fhir_server.test_interactions import ASTRID, BERTIL, HEADERS, JSON, consent, issue, organization, put
from tests.support.callers import OPERATOR, bearer, patient

pytestmark = pytest.mark.servers
URN = "urn:uuid:3fdc72f4-a11d-4a9d-9260-a9f745779e1d"
OTHER_URN = "urn:uuid:3fdc72f4-a11d-4a9d-9260-a9f745779e1e"


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


async def send(toy: Toy, *entries: Any, kind: str = "transaction", **headers: str) -> httpx2.Response:
    body = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await toy.http.post("/toy/fhir", content=json.dumps(body), headers={**HEADERS, **headers})


def statuses(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["response"]["status"].partition(" ")[0] for each in answer.json().get("entry", [])]


async def read(toy: Toy, answer: httpx2.Response, index: int) -> dict[str, Any]:
    location = answer.json()["entry"][index]["response"]["location"]
    found: dict[str, Any] = (await toy.http.get(location, headers=HEADERS)).json()
    return found


async def count(toy: Toy) -> int:
    found = await toy.http.get(toy.url("Organization?_count=0&_total=accurate"), headers=HEADERS)
    return int(found.json()["total"])


async def test_a_transaction_does_every_interaction_in_the_order_of_the_specification(toy: Toy) -> None:
    updated, patched, gone = [(await put(toy, value, name="old")).json()["id"] for value in ("u", "p", "d")]
    change = base64.b64encode(b'[{"op":"replace","path":"/name","value":"new"}]').decode()
    answer = await send(
        toy,
        entry("GET", "Organization?name=new&_total=accurate"),
        entry("PUT", f"Organization/{updated}", {**organization("u", name="new"), "id": updated}, ifMatch='W/"1"'),
        entry("PATCH", f"Organization/{patched}", {
            "resourceType": "Binary", "contentType": "application/json-patch+json", "data": change,
        }),
        entry("POST", "Organization", organization("c", name="new")),
        entry("PUT", "Organization?identifier=urn:x|d", organization("d", name="new")),
        entry("DELETE", f"Organization/{gone}"),
        entry("GET", f"Organization/{updated}"),
        entry("HEAD", f"Organization/{patched}"),
    )  # fmt: skip
    # The DELETE goes first, so the conditional PUT finds nothing and creates.
    assert statuses(answer) == ["200", "200", "200", "201", "201", "204", "200", "200"]
    assert answer.json()["type"] == "transaction-response"
    entries = answer.json()["entry"]
    assert entries[0]["resource"]["total"] == 4
    assert entries[6]["resource"]["name"] == "new"
    assert "resource" not in entries[7]
    assert entries[3]["response"]["location"].endswith("/_history/1")
    assert entries[1]["response"]["etag"] == 'W/"2"'
    assert entries[1]["response"]["lastModified"]
    assert (await toy.http.get(toy.url(f"Organization/{gone}"), headers=HEADERS)).status_code == 410


async def test_references_by_full_url_are_rewritten_wherever_they_stand(toy: Toy) -> None:
    child = organization("c", partOf={"reference": URN}, contact=[{"name": {"text": URN}}])
    child["identifier"].append({"system": "urn:ietf:rfc:3986", "value": URN})
    child["extension"] = [{"url": "http://a", "valueUri": URN}]
    link = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}">the parent</a></div>'
    child["text"] = {"status": "generated", "div": link}
    answer = await send(
        toy, entry("POST", "Organization", child), entry("POST", "Organization", organization("p"), full_url=URN)
    )
    assert statuses(answer) == ["201", "201"]
    made, parent = await read(toy, answer, 0), await read(toy, answer, 1)
    target = f"Organization/{parent['id']}"
    assert made["partOf"]["reference"] == target
    assert made["extension"][0]["valueUri"] == target
    assert f'href="{target}"' in made["text"]["div"]
    # Business identifiers and texts are not links.
    assert made["identifier"][1]["value"] == URN
    assert made["contact"][0]["name"]["text"] == URN
    found = await toy.http.get(toy.url(f"Organization?partof={target}&_total=accurate"), headers=HEADERS)
    assert found.json()["total"] == 1


async def test_relative_references_are_read_against_the_full_url(toy: Toy) -> None:
    answer = await send(
        toy,
        entry("POST", "Organization", organization("p"), full_url="https://elsewhere.example/Organization/1"),
        entry("POST", "Organization", organization("c", partOf={"reference": "Organization/1"}),
              full_url="https://elsewhere.example/Organization/2"),
    )  # fmt: skip
    parent, child = await read(toy, answer, 0), await read(toy, answer, 1)
    assert child["partOf"]["reference"] == f"Organization/{parent['id']}"


async def test_references_in_a_circle_work_by_full_url(toy: Toy) -> None:
    answer = await send(
        toy,
        entry("POST", "Organization", organization("1", partOf={"reference": OTHER_URN}), full_url=URN),
        entry("POST", "Organization", organization("2", partOf={"reference": URN}), full_url=OTHER_URN),
    )
    first, second = await read(toy, answer, 0), await read(toy, answer, 1)
    assert first["partOf"]["reference"] == f"Organization/{second['id']}"
    assert second["partOf"]["reference"] == f"Organization/{first['id']}"


async def test_a_urn_that_names_no_entry_is_refused(toy: Toy) -> None:
    answer = await send(toy, entry("POST", "Organization", organization("1", partOf={"reference": URN})))
    assert (answer.status_code, issue(answer)["expression"]) == (400, ["Bundle.entry[0]"])


async def test_decimals_and_order_survive_a_transaction(toy: Toy) -> None:
    resource = '{"resourceType":"Organization","extension":[{"url":"http://a","valueDecimal":1.500}],"name":"A"}'
    request = '{"method":"POST","url":"Organization"}'
    body = f'{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{request},"resource":{resource}}}]}}'
    answer = await toy.http.post("/toy/fhir", content=body, headers={**HEADERS, "Prefer": "return=representation"})
    assert '"extension":[{"url":"http://a","valueDecimal":1.500}],"name":"A"' in answer.text


async def test_a_transaction_is_all_or_nothing_with_its_audit_events(toy: Toy) -> None:
    await send(toy, entry("POST", "Organization", organization("1")), entry("POST", "Organization", organization("2")))
    async with toy.engine.begin() as connection:
        events = (await connection.execute(text("SELECT operation FROM audit.event"))).scalars().all()
    assert events == ["create Organization"] * 2
    failed = await send(
        toy,
        entry("POST", "Organization", organization("3")),
        entry("DELETE", "Organization?identifier=urn:x|1"),
        entry("POST", "Organization", {"resourceType": "Organization", "nam": "x"}),
    )
    assert failed.status_code == 422
    assert await count(toy) == 2
    async with toy.engine.begin() as connection:
        assert len((await connection.execute(text("SELECT 1 FROM audit.event"))).all()) == 2


async def test_a_conditional_reference_that_matches_none_or_many_is_refused(toy: Toy) -> None:
    reference = {"reference": "Organization?name=same"}
    answer = await send(toy, entry("POST", "Organization", organization("c", partOf=reference)))
    assert (answer.status_code, issue(answer)["expression"]) == (412, ["Bundle.entry[0]"])
    await put(toy, "1", name="same")
    answer = await send(
        toy,
        entry("POST", "Organization", organization("c", partOf=reference)),
        entry("POST", "Organization", organization("2", name="same")),
    )
    assert (answer.status_code, issue(answer)["code"]) == (412, "multiple-matches")
    assert await count(toy) == 1


async def test_transactions_at_once_over_the_same_resources_make_each_once(toy: Toy) -> None:
    def both(first: str, second: str) -> list[dict[str, Any]]:
        return [
            entry("PUT", f"Organization?identifier=urn:x|{value}", organization(value)) for value in (first, second)
        ]

    answers = await asyncio.gather(*(send(toy, *(both("a", "b") if n % 2 else both("b", "a"))) for n in range(16)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sum(answer.status_code == 200 for answer in answers) >= 15
    assert await count(toy) == 2


async def test_if_none_exist_and_if_none_match_of_an_entry(toy: Toy) -> None:
    made = (await put(toy, "1", name="A")).json()["id"]
    answer = await send(
        toy,
        entry("POST", "Organization", organization("1"), full_url=URN, ifNoneExist="identifier=urn:x|1"),
        entry("POST", "Organization", organization("2", partOf={"reference": URN})),
        entry("GET", f"Organization/{made}", ifNoneMatch='W/"1"'),
        entry("POST", "Organization?identifier=urn:x|1", organization("1")),
    )
    assert statuses(answer) == ["200", "201", "304", "200"]
    assert (await read(toy, answer, 1))["partOf"]["reference"] == f"Organization/{made}"
    assert await count(toy) == 2


async def test_the_entries_of_a_batch_stand_alone(toy: Toy) -> None:
    answer = await send(
        toy,
        entry("POST", "Organization", organization("1")),
        entry("POST", "Organization", {"resourceType": "Organization", "nam": "x"}),
        entry("GET", "Organization/never"),
        entry("GET", "Organization?identifier=urn:x|1"),
        entry("GET", "metadata"),
        entry("JUMP", "x"),
        kind="batch",
    )
    assert statuses(answer) == ["201", "422", "404", "200", "200", "400"]
    assert answer.json()["type"] == "batch-response"
    outcome = answer.json()["entry"][1]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1].resource.nam"]
    assert len(answer.json()["entry"][3]["resource"]["entry"]) == 1
    assert await count(toy) == 1


async def test_the_entries_of_a_batch_cannot_refer_to_each_other(toy: Toy) -> None:
    answer = await send(
        toy,
        entry("POST", "Organization", organization("p"), full_url=URN),
        entry("POST", "Organization", organization("c", partOf={"reference": URN})),
        kind="batch",
    )
    assert statuses(answer) == ["201", "400"]


async def test_an_operation_may_be_part_of_a_batch(toy: Toy) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "say", "valueString": "hej"}]}
    answer = await send(toy, entry("POST", "Patient/$echo", body), entry("POST", "Patient/$forgetful"), kind="batch")
    assert statuses(answer) == ["200", "500"]
    assert "should never leave" not in answer.text
    assert [each.operation for _, each in toy.audit.entries] == ["echo"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_cannot_do_what_its_parts_cannot(toy: Toy, kind: str) -> None:
    own, other = bearer(patient(ASTRID)), bearer(patient(BERTIL))
    created = await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers={**own, **JSON})
    url = f"Consent/{created.json()['id']}"
    theirs = {**consent(BERTIL), "id": created.json()["id"]}
    reader = bearer(replace(OPERATOR, scopes=frozenset({"system/Organization.rs"})))
    attempts: list[tuple[dict[str, str], dict[str, Any]]] = [
        (other, entry("GET", url)),
        (other, entry("GET", f"{url}/_history")),
        (other, entry("PUT", url, theirs)),
        (other, entry("DELETE", url)),
        (other, entry("PATCH", url, {"resourceType": "Parameters"})),
        (other, entry("POST", "Consent", consent(ASTRID))),
        (bearer(OPERATOR), entry("GET", "Consent?status=active")),
        (reader, entry("POST", "Organization", organization("1"))),
        (reader, entry("DELETE", "Organization/1")),
        (reader, entry("GET", "Consent?status=active")),
    ]
    for headers, attempt in attempts:
        alone = await toy.http.request(
            attempt["request"]["method"],
            toy.url(attempt["request"]["url"]),
            json=attempt.get("resource"),
            headers={**headers, **JSON},
        )
        together = await send(toy, attempt, kind=kind, **headers)
        assert alone.status_code == 403
        if kind == "batch":
            assert statuses(together) == ["403"]
        else:
            assert together.status_code == 403, together.text
    assert (await send(toy, entry("GET", url), kind=kind, **own)).status_code == 200
    denied = [each for _, each in toy.audit.entries if each.outcome == "denied"]
    assert len(denied) == 2 * len([1 for _, attempt in attempts if "Consent" in attempt["request"]["url"]])


async def test_a_conditional_reference_needs_the_scope_to_search(toy: Toy) -> None:
    await put(toy, "p")
    writer = bearer(replace(OPERATOR, scopes=frozenset({"system/Organization.cru"})))
    child = organization("c", partOf={"reference": "Organization?identifier=urn:x|p"})
    assert (await send(toy, entry("POST", "Organization", child), **writer)).status_code == 403
    assert statuses(await send(toy, entry("POST", "Organization", child))) == ["201"]


async def test_a_read_in_a_transaction_is_recorded_and_a_failed_one_is_not(toy: Toy) -> None:
    own = {**bearer(patient(ASTRID)), **JSON}
    url = f"Consent/{(await toy.http.post(toy.url('Consent'), json=consent(ASTRID), headers=own)).json()['id']}"
    assert statuses(await send(toy, entry("GET", url), **own)) == ["200"]
    assert [(each.operation, each.person) for _, each in toy.audit.entries] == [("read Consent", ASTRID)]
    assert (await send(toy, entry("GET", url), entry("GET", "Consent/never"), **own)).status_code == 404
    assert len(toy.audit.entries) == 1


async def test_bundles_that_are_none(toy: Toy) -> None:
    assert (await toy.http.post("/toy/fhir", json=organization("1"), headers=HEADERS)).status_code == 400
    assert issue(await send(toy, kind="collection"))["expression"] == ["Bundle.type"]
    assert (await toy.http.post("/toy/fhir", json={}, headers=JSON)).status_code == 401
    many = [entry("GET", "metadata")] * 1001
    assert (await send(toy, *many, kind="batch")).status_code == 413
    assert statuses(await send(toy)) == []
    assert statuses(await send(toy, kind="batch")) == []


async def test_capabilities_say_that_bundles_are_taken(toy: Toy) -> None:
    (rest,) = (await toy.http.get(toy.url("metadata"))).json()["rest"]
    assert {each["code"] for each in rest["interaction"]} >= {"batch", "transaction"}
