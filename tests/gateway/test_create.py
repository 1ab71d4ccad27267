# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import orjson
import pytest

from fhir_server.context import Caller
from gateway.settings import GatewaySettings
from provider_catalog.client import ResolvedEndpoint
from tests.gateway.records import ASTRID, allergy
from tests.gateway.toys import KEYS, Stage, entry, hang, says, staged
from tests.support.callers import DENTIST, bearer, patient

UNIT = "SE0000000044-VE1"


@pytest.fixture(scope="module")
async def everything() -> AsyncIterator[Stage]:
    async with staged(GatewaySettings(source_seconds=0.6, total_seconds=1.5)) as running:
        yield running


@pytest.fixture
def stage(everything: Stage) -> Stage:
    everything.reset()
    norr = everything.index.entries[0].endpoint
    assert norr is not None
    everything.catalog.endpoints[UNIT] = ResolvedEndpoint(norr.address, "fhir-rest", "SE0000000044-SYS", UNIT)
    return everything


def observed(**more: Any) -> dict[str, Any]:
    resource = {key: value for key, value in allergy().items() if key not in ("id", "meta", "text")}
    return {**resource, **more}


async def write(stage: Stage, body: dict[str, Any], caller: Caller = DENTIST) -> httpx2.Response:
    return await stage.http.post(
        f"{stage.base}/AllergyIntolerance",
        content=orjson.dumps(body),
        headers={**bearer(caller), "Content-Type": "application/fhir+json"},
    )


async def test_a_reaction_is_stored_at_the_writers_own_unit(stage: Stage) -> None:
    answer = await write(stage, observed())
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert answer.headers["location"] == f"{stage.base}/AllergyIntolerance/{stored['id']}"
    assert stored["meta"]["source"].endswith("#SE0000000044-SYS")
    (sent,) = [orjson.loads(each) for each in stage.norr.bodies]
    assert sent["patient"] == {
        "type": "Patient",
        "identifier": {"system": ASTRID.system, "value": ASTRID.value},
    }
    assert sent["recorder"]["identifier"]["value"] == DENTIST.user
    assert "id" not in sent and "meta" not in sent
    logged = stage.audit.entries[-1][1]
    assert (logged.operation, logged.action, logged.holders, logged.count) == ("create", "C", (UNIT,), 1)
    assert ASTRID.value not in " ".join(stage.norr.lines) + answer.headers["location"]


async def test_the_id_is_the_one_a_later_search_gives(stage: Stage) -> None:
    created = (await write(stage, observed())).json()

    address = stage.catalog.endpoints[UNIT].address
    own = replace(
        entry("SE0000000011", address, "fhir-rest", UNIT), custodian="SE0000000044-VG", source_system="SE0000000044-SYS"
    )
    stage.index.entries = [replace(own, endpoint=stage.catalog.endpoints[UNIT])]
    stage.norr.behaviour = says(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {**observed(), "id": "stored-1"}}]}
    )
    found = await stage.http.post(
        f"{stage.base}/AllergyIntolerance/_search",
        data={"patient.identifier": f"{ASTRID.system}|{ASTRID.value}"},
        headers=bearer(DENTIST),
    )
    assert found.json()["entry"][0]["resource"]["id"] == created["id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Flag"}, 400),
        (observed(patient={"display": "Astrid"}), 422),
        (observed(patient={"identifier": {"system": ASTRID.system, "value": "195701032864"}}), 400),
        (observed(nonsense=1), 422),
        (observed(reaction=[{"severity": "mild"}]), 422),
    ],
)
async def test_a_faulty_resource_is_refused_and_nothing_is_sent(
    stage: Stage, body: dict[str, Any], status: int
) -> None:
    answer = await write(stage, body)
    assert answer.status_code == status, answer.text
    assert not stage.norr.lines
    assert "19570103" not in answer.text


async def test_only_staff_of_a_unit_document(stage: Stage) -> None:
    for caller in (patient(KEYS.of(ASTRID)), replace(DENTIST, unit=None)):
        assert (await write(stage, observed(), caller)).status_code == 403
    assert not stage.norr.lines


async def test_the_decision_is_asked_and_held(stage: Stage) -> None:
    stage.consent.permits = lambda entity: False
    answer = await write(stage, observed())
    assert answer.status_code == 403
    assert stage.audit.entries[-1][1].outcome == "denied"
    assert not stage.norr.lines


async def test_a_unit_without_fhir_endpoint_is_told(stage: Stage) -> None:
    del stage.catalog.endpoints[UNIT]
    answer = await write(stage, observed())
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (422, "no-endpoint")


async def test_what_the_units_system_says_is_told(stage: Stage) -> None:
    for behaviour, status in [(says({}, 422), 422), (says({}, 500), 502), (says(b"{", 201), 502), (hang, 503)]:
        stage.norr.behaviour = behaviour
        assert (await write(stage, observed())).status_code == status
        assert stage.audit.entries[-1][1].outcome == "failed"
