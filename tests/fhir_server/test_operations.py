# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$meta, $validate, and the parameters every read takes (https://hl7.org/fhir/R4/operations.html)."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.fhir_server.conftest import Toy
from tests.fhir_server.test_interactions import ASTRID, BERTIL, HEADERS, JSON, consent, issue, organization, put
from tests.support.callers import OPERATOR, bearer, patient

pytestmark = pytest.mark.servers
TAG = {"system": "urn:t", "code": "x"}
WRONG = {"resourceType": "Organization", "nam": "x"}


async def validate(toy: Toy, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx2.Response:
    return await toy.http.post(toy.url(path), json=body, headers=headers or HEADERS)


def parameters(resource: Any, mode: str | None = None) -> dict[str, Any]:
    made: list[dict[str, Any]] = [{"name": "resource", "resource": resource}]
    if mode is not None:
        made.append({"name": "mode", "valueCode": mode})
    return {"resourceType": "Parameters", "parameter": made}


async def test_meta_of_an_instance(toy: Toy) -> None:
    url = f"Organization/{(await put(toy, '1', meta={'tag': [TAG]})).json()['id']}"
    for method in ("GET", "POST"):
        answer = await toy.http.request(method, toy.url(f"{url}/$meta"), headers=HEADERS)
        (parameter,) = answer.json()["parameter"]
        assert parameter["name"] == "return"
        assert (parameter["valueMeta"]["tag"], parameter["valueMeta"]["versionId"]) == ([TAG], "1")
    assert (await toy.http.get(toy.url("Organization/never/$meta"), headers=HEADERS)).status_code == 404
    await toy.http.delete(toy.url(url), headers=HEADERS)
    assert (await toy.http.get(toy.url(f"{url}/$meta"), headers=HEADERS)).status_code == 410


async def test_meta_is_for_who_may_read(toy: Toy) -> None:
    own = {**bearer(patient(ASTRID)), **JSON}
    created = await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers=own)
    url = toy.url(f"Consent/{created.json()['id']}/$meta")
    assert (await toy.http.get(url, headers=own)).status_code == 200
    assert [each.operation for _, each in toy.audit.entries] == ["meta Consent"]
    assert (await toy.http.get(url, headers=bearer(patient(BERTIL)))).status_code == 403


@pytest.mark.parametrize("mode", [None, "create"])
async def test_validate_tells_what_a_write_would_be_refused_for(toy: Toy, mode: str | None) -> None:
    fine = await validate(toy, "Organization/$validate", parameters(organization("1"), mode))
    assert (fine.status_code, issue(fine)["severity"]) == (200, "information")
    wrong = await validate(toy, "Organization/$validate", parameters(WRONG, mode))
    assert (wrong.status_code, issue(wrong)["severity"]) == (200, "error")
    assert issue(wrong)["expression"] == ["Organization.nam"]
    found = await toy.http.get(toy.url("Organization?_count=0&_total=accurate"), headers=HEADERS)
    assert found.json()["total"] == 0


async def test_validate_takes_the_resource_itself(toy: Toy) -> None:
    assert issue(await validate(toy, "Organization/$validate", organization("1")))["severity"] == "information"
    assert issue(await validate(toy, "Organization/$validate", WRONG))["severity"] == "error"
    other = await validate(toy, "Organization/$validate", {"resourceType": "Endpoint"})
    assert issue(other)["expression"] == ["resourceType"]
    assert (await validate(toy, "Organization/$validate")).status_code == 400


async def test_validate_of_an_instance(toy: Toy) -> None:
    made = (await put(toy, "1")).json()["id"]
    url = f"Organization/{made}/$validate"
    assert issue(await toy.http.get(toy.url(url), headers=HEADERS))["severity"] == "information"
    right = parameters({**organization("1"), "id": made}, "update")
    assert issue(await validate(toy, url, right))["severity"] == "information"
    assert issue(await validate(toy, url, parameters(organization("1"), "update")))["expression"] == ["id"]
    assert issue(await validate(toy, f"{url}?mode=delete", None))["severity"] == "information"
    assert (await validate(toy, "Organization/never/$validate", right)).status_code == 404


async def test_validate_does_not_tell_more_than_the_write(toy: Toy) -> None:
    own, other = {**bearer(patient(ASTRID)), **JSON}, {**bearer(patient(BERTIL)), **JSON}
    assert (await validate(toy, "Consent/$validate", parameters(consent(ASTRID), "create"), own)).status_code == 200
    assert (await validate(toy, "Consent/$validate", parameters(consent(ASTRID), "create"), other)).status_code == 403
    made = (await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers=own)).json()["id"]
    assert (await validate(toy, f"Consent/{made}/$validate", parameters(consent(BERTIL)), other)).status_code == 403
    reader = bearer(replace(OPERATOR, scopes=frozenset({"system/Organization.r"})))
    refused = await validate(toy, "Organization/$validate", parameters(organization("1"), "create"), {**reader, **JSON})
    assert refused.status_code == 403


@pytest.mark.parametrize("mode", ["profile", "everything"])
async def test_modes_and_profiles_that_are_not_offered_are_told(toy: Toy, mode: str) -> None:
    assert (await validate(toy, "Organization/$validate", parameters(organization("1"), mode))).status_code == 400
    named = parameters(organization("1"))
    named["parameter"].append({"name": "profile", "valueUri": "http://example.org/p"})
    assert (await validate(toy, "Organization/$validate", named)).status_code == 400


async def test_operations_stand_in_the_capability_statement(toy: Toy) -> None:
    (rest,) = (await toy.http.get(toy.url("metadata"))).json()["rest"]
    for each in rest["resource"]:
        assert {operation["name"] for operation in each["operation"]} == {"meta", "validate"}


async def test_a_part_of_a_resource_may_be_read(toy: Toy) -> None:
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A</div>'}
    url = toy.url(f"Organization/{(await put(toy, '1', name='A', text=text)).json()['id']}")
    some = (await toy.http.get(f"{url}?_elements=name", headers=HEADERS)).json()
    assert (some["name"], "identifier" in some) == ("A", False)
    assert some["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "text" not in (await toy.http.get(f"{url}?_summary=data", headers=HEADERS)).json()
    assert (await toy.http.get(f"{url}?_summary=count", headers=HEADERS)).status_code == 400
    assert (await toy.http.get(f"{url}?name=A", headers=HEADERS)).status_code == 400


async def test_pretty_answers_keep_the_text_of_numbers(toy: Toy) -> None:
    body = b'{"resourceType":"Organization","id":"d","extension":[{"url":"http://a","valueDecimal":1.500}],"name":"A"}'
    await toy.http.put(toy.url("Organization/d"), content=body, headers=HEADERS)
    answer = await toy.http.get(toy.url("Organization/d?_pretty=true&_format=json"), headers=HEADERS)
    assert '\n      "valueDecimal": 1.500' in answer.text
    missing = await toy.http.get(toy.url("Organization/never?_pretty=true"), headers=HEADERS)
    assert "\n  " in missing.text
    assert "\n" not in (await toy.http.get(toy.url("Organization/d"), headers=HEADERS)).text
