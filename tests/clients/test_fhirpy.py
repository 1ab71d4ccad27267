# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""fhirpy: https://github.com/beda-software/fhir-py. It sends `application/json`, and merge patches as such."""

import asyncio
import json
from typing import Any

from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
import pytest

SYSTEM = "urn:fhirpy"


@pytest.fixture
def client(base: str) -> AsyncFHIRClient:
    return AsyncFHIRClient(base)


def patient(client: AsyncFHIRClient, number: str, **more: Any) -> Any:
    return client.resource("Patient", identifier=[{"system": SYSTEM, "value": number}], **more)


async def test_a_resource_from_create_to_delete(client: AsyncFHIRClient) -> None:
    made = patient(client, "life", name=[{"family": "Berg"}])
    await made.save()
    assert made["meta"]["versionId"] == "1"
    made["active"] = True
    await made.save()
    await made.patch(birthDate="1990-01-01")
    assert (made["meta"]["versionId"], made["birthDate"], made["active"]) == ("3", "1990-01-01", True)
    await made.patch(active=None)
    assert "active" not in made
    # The client keeps its copy on 304, which it gets for a version number without quotes.
    _, status = await client._do_request(
        "get", made.reference, extra_headers={"If-None-Match": made["meta"]["versionId"]}, returning_status=True
    )
    assert status == 304
    history = await made.execute("_history", method="get")
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PATCH", "PATCH", "PUT", "POST"]
    await made.delete()
    with pytest.raises(ResourceNotFound, match="deleted"):
        await client.get("Patient", made.id)


async def test_conditional_create_and_update(client: AsyncFHIRClient) -> None:
    found = client.resources("Patient").search(identifier=f"{SYSTEM}|cond")
    first, made = await found.get_or_create(patient(client, "cond"))
    assert made
    again, made = await found.get_or_create(patient(client, "cond"))
    assert not made, "its criteria stand in the URL of the POST"
    assert again.id == first.id
    changed, made = await found.update(patient(client, "cond", active=True))
    assert (changed.id, made, changed["active"]) == (first.id, False, True)
    assert await found.count() == 1
    await patient(client, "cond").save()
    with pytest.raises(MultipleResourcesFound, match="OperationOutcome"):
        await found.update(patient(client, "cond"))


async def test_equal_creates_at_once_make_one(client: AsyncFHIRClient) -> None:
    found = client.resources("Patient").search(identifier=f"{SYSTEM}|race")
    answers = await asyncio.gather(*(found.get_or_create(patient(client, "race")) for _ in range(8)))
    assert len({one.id for one, _ in answers}) == 1
    assert [made for _, made in answers].count(True) == 1


async def test_search_with_paging(client: AsyncFHIRClient) -> None:
    subject = patient(client, "pages", name=[{"family": "Sida"}])
    await subject.save()
    for number in range(12):
        await client.resource(
            "Observation", status="final", code={"text": "w"}, subject=subject.to_reference(),
            valueQuantity={"value": number},
        ).save()  # fmt: skip
    found = client.resources("Observation").search(subject=subject)
    every = await found.sort("-_lastUpdated").limit(5).fetch_all()
    assert [each["valueQuantity"]["value"] for each in every] == list(range(11, -1, -1))
    assert len(await client.resources("Observation").search(patient__Patient__family="Sida").fetch()) == 12
    assert len(await client.resources("Patient").has("Observation", "subject", status="final").fetch()) == 1
    bundle = await found.include("Observation", "subject").limit(3).fetch_raw()
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["Observation"] * 3 + ["Patient"]
    short = await found.elements("status").first()
    assert short is not None
    assert "code" in short, "mandatory elements stay"
    assert "valueQuantity" not in short


async def test_a_transaction(client: AsyncFHIRClient) -> None:
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {"fullUrl": urn, "resource": patient(client, "tx").serialize(),
             "request": {"method": "POST", "url": "/Patient"}},
            {"resource": {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": urn}},
             "request": {"method": "POST", "url": "/Basic"}},
        ],
    )  # fmt: skip
    answered = await bundle.save()
    assert [entry["response"]["status"] for entry in answered["entry"]] == ["201 Created"] * 2
    [basic] = await client.resources("Basic").fetch_all()
    [subject] = await client.resources("Patient").search(identifier=f"{SYSTEM}|tx").fetch_all()
    assert basic["subject"]["reference"] == f"Patient/{subject.id}"


async def test_outcomes_reach_the_user(client: AsyncFHIRClient) -> None:
    wrong = patient(client, "wrong", gender="nope")
    assert not await wrong.is_valid()
    with pytest.raises(OperationOutcome) as refused:
        await wrong.save()
    [issue] = refused.value.resource["issue"]
    assert issue["expression"] == ["Patient.gender"]
    assert "female, male" in issue["diagnostics"]
    with pytest.raises(OperationOutcome, match="unknown search parameter colour"):
        await client.resources("Patient").search(colour="red").fetch()
    with pytest.raises(ResourceNotFound) as absent:
        await client.get("Patient", "absent")
    assert json.loads(str(absent.value))["resourceType"] == "OperationOutcome"


async def test_the_synchronous_client(base: str) -> None:
    def work() -> tuple[Any, ...]:
        client = SyncFHIRClient(base)
        made = client.resource("Patient", identifier=[{"system": SYSTEM, "value": "sync"}])
        made.save()
        found = client.resources("Patient").search(identifier=f"{SYSTEM}|sync")
        changed, created = found.update(client.resource("Patient", identifier=made["identifier"], active=True))
        made.refresh()
        return found.count(), changed["active"], created, made["meta"]["versionId"]

    assert await asyncio.to_thread(work) == (1, True, False, "2")
