# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""history of an instance, a type and the service (https://hl7.org/fhir/R4/http.html#history)."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.fhir_server.conftest import Toy
from tests.fhir_server.test_interactions import ASTRID, HEADERS, JSON, consent, issue, organization, put
from tests.support.callers import OPERATOR, bearer, patient

pytestmark = pytest.mark.servers


async def names(toy: Toy, path: str, **parameters: str) -> list[Any]:
    answer = await toy.http.get(toy.url(path), params=parameters, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    return [each.get("resource", {}).get("name") for each in answer.json().get("entry", [])]


async def test_at_gives_what_was_current_then(toy: Toy) -> None:
    moments = []
    for name in "ABC":
        made = await put(toy, "1", name=name)
        moments.append(made.json()["meta"]["lastUpdated"])
        await asyncio.sleep(0.01)
    await toy.http.delete(toy.url(f"Organization/{made.json()['id']}"), headers=HEADERS)
    path = f"Organization/{made.json()['id']}/_history"
    # Milliseconds are what a reader sees; the period of such an instant begins there.
    assert await names(toy, path, _at=moments[2]) == ["C", "B"]
    assert await names(toy, path, _at="2999-01-01") == [None]
    assert await names(toy, path, _at="2001") == []
    assert await names(toy, path, _at=str(datetime.fromisoformat(moments[0]).year)) == [None, "C", "B", "A"]
    refused = await toy.http.get(toy.url(f"{path}?_at=then"), headers=HEADERS)
    assert refused.status_code == 400


async def test_the_history_of_the_service_has_all_types_but_person_data(toy: Toy) -> None:
    for number in range(5):
        await put(toy, str(number), name=f"N{number}")
    own = {**bearer(patient(ASTRID)), **JSON}
    await toy.http.post(toy.url("Consent"), json=consent(ASTRID), headers=own)
    assert await names(toy, "_history") == ["N4", "N3", "N2", "N1", "N0"]
    seen: list[str] = []
    url: str | None = toy.url("_history?_count=2")
    while url is not None:
        page = (await toy.http.get(url, headers=HEADERS)).json()
        seen += [each["resource"]["name"] for each in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert seen == ["N4", "N3", "N2", "N1", "N0"]


async def test_the_history_of_the_service_needs_a_scope_for_a_type(toy: Toy) -> None:
    caller = bearer(replace(OPERATOR, scopes=frozenset({"system/Consent.cruds"})))
    refused = await toy.http.get(toy.url("_history"), headers=caller)
    assert (refused.status_code, issue(refused)["code"]) == (403, "forbidden")


async def test_the_history_of_all_consents_is_not_given(toy: Toy) -> None:
    refused = await toy.http.get(toy.url("Consent/_history"), headers=bearer(patient(ASTRID)))
    assert refused.status_code == 400
    (rest,) = (await toy.http.get(toy.url("metadata"))).json()["rest"]
    codes = {each["type"]: {code["code"] for code in each["interaction"]} for each in rest["resource"]}
    assert "history-type" not in codes["Consent"]
    assert {"history-type", "history-instance"} <= codes["Organization"]
    assert {each["code"] for each in rest["interaction"]} == {"batch", "transaction", "history-system"}


async def test_unknown_history_parameters_are_refused(toy: Toy) -> None:
    answer = await toy.http.get(toy.url("Organization/_history?_sort=x"), headers=HEADERS)
    assert (answer.status_code, issue(answer)["details"]["coding"][0]["code"]) == (400, "unknown-parameter")


async def test_two_updates_at_once_leave_a_resource_that_can_be_updated(toy: Toy) -> None:
    """HAPI 5288, 4843: two updates at once leave a resource that can never be updated again."""
    made = (await put(toy, "1")).json()["id"]
    url, body = toy.url(f"Organization/{made}"), {**organization("1"), "id": made}
    answers = await asyncio.gather(
        *(toy.http.put(url, json=body, headers=HEADERS) for _ in range(8)),
        *(put(toy, "1", name="by condition") for _ in range(8)),
        *(toy.http.patch(url, json={"name": "by patch"}, headers={**HEADERS, **PATCH}) for _ in range(8)),
    )
    assert {each.status_code for each in answers} == {200}
    assert (await put(toy, "1", name="last")).headers["ETag"] == 'W/"26"'
    assert len(await names(toy, f"Organization/{made}/_history")) == 26


async def test_the_first_update_at_once_with_a_conditional_one_makes_one(toy: Toy) -> None:
    url, body = toy.url("Organization/o1"), {**organization("1"), "id": "o1"}
    answers = await asyncio.gather(
        *(toy.http.put(url, json=body, headers=HEADERS) for _ in range(8)),
        *(
            toy.http.put(toy.url("Organization?identifier=urn:x|1"), json=body, headers=HEADERS) for _ in range(8)
        ),
    )  # fmt: skip
    assert {each.status_code for each in answers} <= {200, 201, 409}
    assert sum(each.status_code == 201 for each in answers) == 1
    assert (await toy.http.put(url, json=body, headers=HEADERS)).status_code == 200


PATCH = {"Content-Type": "application/merge-patch+json"}
