# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Region Norr and the clinic Anemonen: FHIR R4 in and out, and what they tell the network."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
import time
from typing import Any

from fhir.resources.R4B.allergyintolerance import AllergyIntolerance
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.documentreference import DocumentReference
from fhir.resources.R4B.endpoint import Endpoint
from fhir.resources.R4B.organization import Organization
from joserfc.jwk import ECKey
import pytest

from demo.people import ASTRID, BERTIL
from demo.regions import fhir
from demo.scenario.documents import record_text
from tests.demo.network import STAFF, RunningSource, source

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def norr(tmp_path: Path) -> AsyncIterator[RunningSource]:
    async with source("norr", fhir.app, tmp_path) as running:
        yield running


def record() -> dict[str, Any]:
    return dict(json.loads(record_text("norr")))


async def search(norr: RunningSource, identifier: str) -> dict[str, Any]:
    answer = await norr.http.post(
        "/fhir/AllergyIntolerance/_search",
        data={"patient.identifier": identifier},
        headers=norr.network.bearer(),
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_it_registers_provider_unit_and_endpoint(norr: RunningSource) -> None:
    await norr.settled()
    told = {path: body for path, _, body in norr.network.resources if "catalog" in path}
    assert set(told) == {"/provider-catalog/fhir/Organization", "/provider-catalog/fhir/Endpoint"}
    bodies = [body for path, _, body in norr.network.resources if "catalog" in path]
    Organization.model_validate(bodies[0])
    assert bodies[1]["partOf"]["identifier"]["value"] == "SE0000000011-VG"
    Endpoint.model_validate(bodies[2])
    assert bodies[2]["connectionType"]["code"] == "fhir-rest"


async def test_a_documented_allergy_is_found_and_told(norr: RunningSource) -> None:
    answer = await norr.http.post("/document", json=record(), headers=STAFF)
    assert answer.status_code == 201
    AllergyIntolerance.model_validate(answer.json())
    await norr.settled()
    bundle = await search(norr, ASTRID.identifier)
    Bundle.model_validate(bundle)
    assert [each["resource"]["code"]["text"] for each in bundle["entry"]] == ["Penicillin"]
    entry = norr.network.entries()[-1]
    DocumentReference.model_validate(entry)
    assert entry["subject"]["identifier"]["value"] == ASTRID.number
    assert entry["extension"][1]["valueUnsignedInt"] == 1
    assert all(ASTRID.number not in query for _, query, _ in norr.network.resources)


async def test_the_same_again_is_told_again_but_makes_nothing_new(norr: RunningSource) -> None:
    first = await norr.http.post("/document", json=record(), headers=STAFF)
    await norr.settled()
    second = await norr.http.post("/document", json=record(), headers=STAFF)
    await norr.settled()
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["etag"] == second.headers["etag"]
    assert len((await search(norr, ASTRID.identifier))["entry"]) == 1
    one, two = norr.network.entries()
    assert one == two


async def test_what_is_entered_in_error_leaves_the_index(norr: RunningSource) -> None:
    await norr.http.post("/document", json=record(), headers=STAFF)
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
    gone = record() | {"verificationStatus": {"coding": [{"system": system, "code": "entered-in-error"}]}}
    del gone["clinicalStatus"]
    answer = await norr.http.post("/document", json=gone, headers=STAFF)
    assert answer.status_code == 200
    await norr.settled()
    assert norr.network.entries()[-1]["status"] == "entered-in-error"
    assert (await search(norr, ASTRID.identifier))["total"] == 0


async def test_the_index_is_told_again_until_it_takes_it(norr: RunningSource) -> None:
    await norr.settled()
    norr.network.refusals = 2
    await norr.http.post("/document", json=record(), headers=STAFF)
    await norr.settled()
    assert len(norr.network.entries()) == 1


async def test_nobody_else_is_found(norr: RunningSource) -> None:
    await norr.http.post("/document", json=record(), headers=STAFF)
    assert (await search(norr, BERTIL.identifier))["total"] == 0
    assert (await search(norr, f"urn:other|{ASTRID.number}"))["total"] == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"exp": int(time.time()) - 5}, 401),
        ({"aud": "other"}, 401),
        ({"typ": "JWT"}, 401),
        ({"key": ECKey.generate_key("P-256", parameters={"kid": "as-1"})}, 401),
        ({"ndi": {"kind": "staff"}}, 403),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(norr: RunningSource, changes: dict[str, Any], status: int) -> None:
    answer = await norr.http.post(
        "/fhir/AllergyIntolerance/_search",
        data={"patient.identifier": ASTRID.identifier},
        headers=norr.network.bearer(**changes),
    )
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert ASTRID.number not in answer.text


async def test_only_the_house_writes(norr: RunningSource) -> None:
    answer = await norr.http.post("/fhir/AllergyIntolerance", json=record(), headers=norr.network.bearer())
    assert answer.status_code == 403
    own = norr.network.bearer(ndi={"kind": "staff", "organisation": "SE0000000011-VG"})
    answer = await norr.http.post("/fhir/AllergyIntolerance", json=record(), headers=own)
    assert answer.status_code == 201
    location = answer.headers["location"].partition("/fhir/")[2]
    assert (await norr.http.get(f"/fhir/{location}", headers=own)).json() == answer.json()
    assert (await norr.http.post("/document", json=record())).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (json.dumps({"resourceType": "Observation"}).encode(), 400),
        (json.dumps({"resourceType": "AllergyIntolerance"}).encode(), 422),
        (json.dumps(record() | {"criticality": "very"}).encode(), 422),
        (json.dumps(record() | {"colour": "red"}).encode(), 422),
        (json.dumps(record() | {"patient": {"reference": "Patient/N-9"}}).encode(), 422),
        (json.dumps(record() | {"reaction": [{"severity": "mild"}]}).encode(), 422),
        (b'{"a":' + b"[" * 100_000, 400),
        (b" " * (1 << 20) + b" ", 413),
    ],
)
async def test_a_wrong_body_is_told_and_nothing_stored(norr: RunningSource, body: bytes, status: int) -> None:
    answer = await norr.http.post("/document", content=body, headers=STAFF)
    assert answer.status_code == status
    assert answer.json()["issue"][0]["diagnostics"]
    await norr.settled()
    assert norr.network.entries() == []
    assert (await search(norr, ASTRID.identifier))["total"] == 0


async def test_updates_by_id_and_by_condition(norr: RunningSource) -> None:
    own = norr.network.bearer(ndi={"kind": "staff", "organisation": "SE0000000011-VG"})
    given = record()
    condition = {"identifier": f"{given['identifier'][0]['system']}|{given['identifier'][0]['value']}"}
    created = await norr.http.put("/fhir/AllergyIntolerance", params=condition, json=given, headers=own)
    assert created.status_code == 201
    id_ = created.json()["id"]
    changed = given | {"id": id_, "criticality": "low"}
    stale = await norr.http.put(f"/fhir/AllergyIntolerance/{id_}", json=changed, headers=own | {"If-Match": 'W/"7"'})
    assert stale.status_code == 412
    updated = await norr.http.put(f"/fhir/AllergyIntolerance/{id_}", json=changed, headers=own | {"If-Match": 'W/"1"'})
    assert (updated.status_code, updated.json()["meta"]["versionId"]) == (200, "2")
    first = await norr.http.get(f"/fhir/AllergyIntolerance/{id_}/_history/1", headers=own)
    assert first.json()["criticality"] == "high"
    person = await norr.http.get("/fhir/Patient/N-1001", headers=own)
    assert person.json()["name"][0]["family"] == "Exempel"


async def test_a_search_by_anything_else_is_refused(norr: RunningSource) -> None:
    for form in ({}, {"patient.identifier": ASTRID.identifier, "code": "x"}, {"patient": "Patient/N-1001"}):
        answer = await norr.http.post(
            "/fhir/AllergyIntolerance/_search", data=form, headers=norr.network.bearer() | FORM
        )
        assert answer.status_code == 400
    assert (await norr.http.get("/fhir/metadata")).json()["fhirVersion"] == "4.0.1"
