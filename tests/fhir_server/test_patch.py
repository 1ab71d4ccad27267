# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""patch and conditional patch over real HTTP (https://hl7.org/fhir/R4/http.html#patch)."""

import asyncio
from dataclasses import replace
import json
from typing import Any

import httpx2
import pytest

from tests.fhir_server.conftest import Toy
from tests.fhir_server.test_interactions import ASTRID, BERTIL, HEADERS, JSON, consent, issue, put
from tests.support.callers import OPERATOR, bearer, patient

pytestmark = pytest.mark.servers
NAME = [{"op": "replace", "path": "/name", "value": "B"}]
FHIRPATH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Organization.name"},
                {"name": "value", "valueString": "B"},
            ],
        }
    ],
}


async def patch(
    toy: Toy, path: str, body: Any, kind: str = "application/json-patch+json", **more: str
) -> httpx2.Response:
    headers = {**bearer(OPERATOR), "Content-Type": kind, **more}
    return await toy.http.patch(toy.url(path), content=json.dumps(body), headers=headers)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (NAME, "application/json-patch+json"),
        (NAME, "application/json"),
        (FHIRPATH, "application/fhir+json"),
        (FHIRPATH, "application/json"),
        ({"name": "B"}, "application/merge-patch+json"),
        ({"name": "B"}, "application/json"),
    ],
)
async def test_every_form_of_patch_makes_a_version(toy: Toy, body: Any, kind: str) -> None:
    created = (await put(toy, "1", name="A", active=True)).json()
    url = f"Organization/{created['id']}"
    answer = await patch(toy, url, body, kind)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"'), answer.text
    assert (answer.json()["name"], answer.json()["active"]) == ("B", True)
    history = (await toy.http.get(toy.url(f"{url}/_history"), headers=HEADERS)).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PATCH", "PUT"]
    found = await toy.http.get(toy.url("Organization?name=b&_total=accurate"), headers=HEADERS)
    assert found.json()["total"] == 1


async def test_decimals_and_order_survive_a_patch(toy: Toy) -> None:
    body = b'{"resourceType":"Organization","id":"d","extension":[{"url":"http://a","valueDecimal":1.500}],"name":"A"}'
    await toy.http.put(toy.url("Organization/d"), content=body, headers=HEADERS)
    added = [{"op": "add", "path": "/active", "value": True}]
    answer = await patch(toy, "Organization/d", added)
    assert b'"extension":[{"url":"http://a","valueDecimal":1.500}],"name":"A","active":true}' in answer.content


async def test_patch_honours_if_match(toy: Toy) -> None:
    url = f"Organization/{(await put(toy, '1', name='A')).json()['id']}"
    answers = await asyncio.gather(*(patch(toy, url, NAME, **{"If-Match": 'W/"1"'}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_conditional_patch(toy: Toy) -> None:
    url = "Organization?identifier=urn:x|1"
    assert (await patch(toy, url, NAME)).status_code == 404
    await put(toy, "1", name="A")
    assert (await patch(toy, url, NAME)).json()["name"] == "B"
    await put(toy, "2", name="B")
    assert (await patch(toy, "Organization?name=B", NAME)).status_code == 412


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        ([{"op": "remove", "path": "/nothing"}], "application/json-patch+json", 422, "patch-failed"),
        ([{"op": "test", "path": "/name", "value": "Z"}], "application/json-patch+json", 422, "patch-test-failed"),
        ([{"op": "add", "path": "/nam", "value": "Z"}], "application/json-patch+json", 422, "invalid-resource"),
        ([{"op": "replace", "path": "/id", "value": "z"}], "application/json-patch+json", 422, "id-mismatch"),
        ([{"op": "replace", "path": "", "value": "z"}], "application/json-patch+json", 422, "id-mismatch"),
        ({"op": "remove"}, "application/json-patch+json", 400, "malformed"),
        ({"resourceType": "Organization"}, "application/fhir+json", 400, "malformed"),
        (NAME, "application/xml-patch+xml", 415, "unsupported-media-type"),
    ],
)
async def test_a_bad_patch_is_told_and_changes_nothing(toy: Toy, body: Any, kind: str, status: int, code: str) -> None:
    url = f"Organization/{(await put(toy, '1', name='A')).json()['id']}"
    answer = await patch(toy, url, body, kind)
    assert answer.status_code == status, answer.text
    assert issue(answer)["details"]["coding"][0]["code"] == code
    assert (await toy.http.get(toy.url(url), headers=HEADERS)).headers["ETag"] == 'W/"1"'


async def test_what_is_gone_or_was_never_there_is_not_patched(toy: Toy) -> None:
    assert (await patch(toy, "Organization/never", NAME)).status_code == 404
    url = f"Organization/{(await put(toy, '1', name='A')).json()['id']}"
    await toy.http.delete(toy.url(url), headers=HEADERS)
    answer = await patch(toy, url, NAME)
    assert (answer.status_code, answer.headers["ETag"]) == (410, 'W/"2"')


async def test_nobody_patches_another_persons_resource_or_gives_hers_away(toy: Toy) -> None:
    own, other = {**bearer(patient(ASTRID)), **JSON}, bearer(patient(BERTIL))
    url = toy.url(
        f"Consent/{(await toy.http.post(toy.url('Consent'), json=consent(ASTRID), headers=own)).json()['id']}"
    )
    kind = {"Content-Type": "application/json-patch+json"}
    active = json.dumps([{"op": "replace", "path": "/status", "value": "inactive"}])
    assert (await toy.http.patch(url, content=active, headers={**other, **kind})).status_code == 403
    given = json.dumps([{"op": "replace", "path": "/patient/reference", "value": f"Patient/{BERTIL.hex()}"}])
    assert (await toy.http.patch(url, content=given, headers={**own, **kind})).status_code == 403
    assert (await toy.http.patch(url, content=active, headers={**own, **kind})).status_code == 200


async def test_patch_needs_the_scope_to_update(toy: Toy) -> None:
    url = f"Organization/{(await put(toy, '1', name='A')).json()['id']}"
    reader = bearer(replace(OPERATOR, scopes=frozenset({"system/Organization.crds"})))
    answer = await patch(toy, url, NAME, **reader)
    assert issue(answer)["details"]["coding"][0]["code"] == "insufficient-scope"
