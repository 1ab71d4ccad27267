# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""delete and conditional delete, conditional read (https://hl7.org/fhir/R4/http.html#delete and #cread)."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import routes_of
from fhir_server.endpoint import KernelSettings
from fhir_server.service import Service
from tests.fhir_server.conftest import Toy, toy_service
from tests.fhir_server.test_interactions import ASTRID, BERTIL, HEADERS, JSON, consent, issue, organization, put
from tests.support.callers import bearer, patient

pytestmark = pytest.mark.servers


async def test_what_is_deleted_is_gone_but_its_history_stays(toy: Toy) -> None:
    url = toy.url(f"Organization/{(await put(toy, '1', name='A')).json()['id']}")
    deleted = await toy.http.delete(url, headers=HEADERS)
    assert (deleted.status_code, deleted.content, deleted.headers["ETag"]) == (204, b"", 'W/"2"')
    read = await toy.http.get(url, headers=HEADERS)
    assert (read.status_code, read.headers["ETag"], issue(read)["code"]) == (410, 'W/"2"', "deleted")
    assert (await toy.http.get(f"{url}/_history/2", headers=HEADERS)).status_code == 410
    assert (await toy.http.get(f"{url}/_history/1", headers=HEADERS)).json()["name"] == "A"
    history = (await toy.http.get(f"{url}/_history", headers=HEADERS)).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT"]
    assert "resource" not in history["entry"][0]
    assert history["entry"][0]["response"]["status"] == "204 No Content"
    found = await toy.http.get(toy.url("Organization?identifier=urn:x|1&_total=accurate"), headers=HEADERS)
    assert found.json()["total"] == 0
    async with toy.engine.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM toy.token_value"))).scalar_one() == 0


async def test_a_delete_of_nothing_writes_nothing(toy: Toy) -> None:
    url = toy.url("Organization/nothing")
    assert (await toy.http.delete(url, headers=HEADERS)).status_code == 204
    assert (await toy.http.get(url, headers=HEADERS)).status_code == 404
    url = toy.url(f"Organization/{(await put(toy, '1')).json()['id']}")
    for _ in range(2):
        assert (await toy.http.delete(url, headers=HEADERS)).headers["ETag"] == 'W/"2"'


async def test_a_deleted_resource_comes_back_by_update(toy: Toy) -> None:
    created = (await put(toy, "1")).json()
    url = toy.url(f"Organization/{created['id']}")
    await toy.http.delete(url, headers=HEADERS)
    again = await toy.http.put(url, json={**organization("1"), "id": created["id"]}, headers=HEADERS)
    assert (again.status_code, again.headers["ETag"]) == (201, 'W/"3"')
    assert (await put(toy, "1")).json()["id"] == created["id"]


@pytest.mark.parametrize(("tag", "status"), [('W/"1"', 204), ('W/"9"', 412), ("*", 204), ("yesterday", 400)])
async def test_delete_honours_if_match(toy: Toy, tag: str, status: int) -> None:
    url = toy.url(f"Organization/{(await put(toy, '1')).json()['id']}")
    assert (await toy.http.delete(url, headers={**HEADERS, "If-Match": tag})).status_code == status


async def test_if_match_of_a_deleted_version_is_no_match(toy: Toy) -> None:
    created = (await put(toy, "1")).json()
    url = toy.url(f"Organization/{created['id']}")
    await toy.http.delete(url, headers=HEADERS)
    body = {**organization("1"), "id": created["id"]}
    assert (await toy.http.put(url, json=body, headers={**HEADERS, "If-Match": 'W/"1"'})).status_code == 412


async def test_conditional_delete_takes_one_match(toy: Toy) -> None:
    url = toy.url("Organization?identifier=urn:x|1")
    assert (await toy.http.delete(url, headers=HEADERS)).status_code == 204
    created = (await put(toy, "1")).json()
    assert (await toy.http.delete(url, headers=HEADERS)).status_code == 204
    assert (await toy.http.get(toy.url(f"Organization/{created['id']}"), headers=HEADERS)).status_code == 410
    for _ in range(2):
        await toy.http.post(toy.url("Organization"), json=organization("2"), headers=HEADERS)
    refused = await toy.http.delete(toy.url("Organization?identifier=urn:x|2"), headers=HEADERS)
    assert (refused.status_code, issue(refused)["code"]) == (412, "multiple-matches")
    assert (await toy.http.delete(toy.url("Organization"), headers=HEADERS)).status_code == 400


async def test_nobody_deletes_another_persons_resource(toy: Toy) -> None:
    own, other = {**bearer(patient(ASTRID)), **JSON}, {**bearer(patient(BERTIL)), **JSON}
    created = await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers=own)
    url = toy.url(f"Consent/{created.json()['id']}")
    assert (await toy.http.delete(url, headers=other)).status_code == 403
    assert (await toy.http.delete(toy.url("Consent?status=active"), headers=other)).status_code == 204
    assert (await toy.http.get(url, headers=own)).status_code == 200
    assert (await toy.http.delete(url, headers=own)).status_code == 204
    assert (await toy.http.get(url, headers=own)).status_code == 410
    assert (await toy.http.get(url, headers=other)).status_code == 403
    async with toy.engine.begin() as connection:
        rows = (await connection.execute(text("SELECT operation, action, person_key FROM audit.event"))).all()
    assert ("delete Consent", "D", ASTRID.value) in [(row[0], row[1], bytes(row[2])) for row in rows]


async def test_delete_needs_its_scope_and_role(toy: Toy) -> None:
    created = (await put(toy, "1")).json()
    without = replace(patient(ASTRID), scopes=frozenset({"patient/Organization.crus"}))
    answer = await toy.http.delete(toy.url(f"Organization/{created['id']}"), headers=bearer(without))
    assert answer.status_code == 403


def test_derived_rows_must_be_removable(engine: AsyncEngine) -> None:
    async def derive(connection: Any, context: Any, resource: Any) -> None:
        raise AssertionError("never called")

    organization_type = replace(toy_service().resources[0], within=derive)
    service = Service("bad", "Bad", "/bad", resources=(organization_type,))
    with pytest.raises(ValueError, match="must remove them"):
        routes_of(service, engine, KernelSettings())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": '"7", W/"1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": "1"}, 304),
        ({"If-None-Match": '"7", 1'}, 304),
        ({"If-None-Match": "7"}, 200),
        ({"If-None-Match": "W/1"}, 200),
        ({"If-None-Match": 'W/"11"'}, 200),
        ({"If-Modified-Since": "Fri, 01 Jan 2999 00:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "the day before"}, 200),
        ({"If-Modified-Since": "Fri, 01 Jan 2999 00:00:00 GMT", "If-None-Match": 'W/"2"'}, 200),
    ],
)
async def test_conditional_read(toy: Toy, headers: dict[str, str], status: int) -> None:
    url = toy.url(f"Organization/{(await put(toy, '1')).json()['id']}")
    answer = await toy.http.get(url, headers={**HEADERS, **headers})
    assert answer.status_code == status
    assert answer.headers["ETag"] == 'W/"1"'
    assert bool(answer.content) == (status == 200)


async def test_last_modified_may_be_sent_back(toy: Toy) -> None:
    url = toy.url(f"Organization/{(await put(toy, '1')).json()['id']}")
    modified = (await toy.http.get(url, headers=HEADERS)).headers["Last-Modified"]
    assert (await toy.http.get(url, headers={**HEADERS, "If-Modified-Since": modified})).status_code == 304


async def test_an_update_that_must_create_does_not_replace(toy: Toy) -> None:
    only_new = {**HEADERS, "If-None-Match": "*"}
    body = {**organization("1"), "id": "o1"}
    assert (await toy.http.put(toy.url("Organization/o1"), json=body, headers=only_new)).status_code == 201
    assert (await toy.http.put(toy.url("Organization/o1"), json=body, headers=only_new)).status_code == 412
