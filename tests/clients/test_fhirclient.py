# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""fhirclient, SMART's: https://github.com/smart-on-fhir/client-py. Its models are strict about what they read."""

import asyncio
from typing import Any

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException
import pytest
import requests

SYSTEM = "urn:fhirclient"


def connected(base: str) -> Any:
    """Its server object; it reads the capability statement first."""
    client = FHIRClient(settings={"app_id": "ndi-test", "api_base": base})
    assert client.prepare(), "a server without login is ready at once"
    assert client.server.capabilityStatement.fhirVersion == "4.0.1"
    return client.server


def patient(number: str, **more: Any) -> Any:
    return Patient({"identifier": [{"system": SYSTEM, "value": number}], **more})


def answer_to(error: requests.HTTPError) -> requests.Response:
    """What the server answered: where a user of the client looks when a call failed."""
    assert error.response is not None
    return error.response


async def test_a_resource_from_create_to_delete(base: str) -> None:
    def work() -> None:
        server = connected(base)
        made = patient("life", name=[{"family": "Ek"}]).create(server)
        read = Patient.read(made["id"], server)
        assert (read.name[0].family, read.meta.versionId) == ("Ek", "1")
        read.active = True
        assert read.update(server)["meta"]["versionId"] == "2"
        history = Bundle.read_from(f"Patient/{read.id}/_history", server)
        assert (history.type, [entry.request.method for entry in history.entry]) == ("history", ["PUT", "POST"])
        read.delete(server)
        with pytest.raises(requests.HTTPError) as gone:
            Patient.read(read.id, server)
        assert answer_to(gone.value).status_code == 410
        assert answer_to(gone.value).json()["issue"][0]["code"] == "deleted"

    await asyncio.to_thread(work)


async def test_conditional_update(base: str) -> None:
    def work() -> None:
        server = connected(base)
        address = f"Patient?identifier={SYSTEM}|cond"
        first = server.put_json(address, patient("cond").as_json())
        second = server.put_json(address, patient("cond", active=True).as_json())
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]

    await asyncio.to_thread(work)


async def test_search_with_paging(base: str) -> None:
    def work() -> None:
        server = connected(base)
        subject = patient("pages").create(server)["id"]
        for number in range(12):
            Observation(
                {"status": "final", "code": {"text": "w"}, "subject": {"reference": f"Patient/{subject}"},
                 "valueQuantity": {"value": number + 0.5}}
            ).create(server)  # fmt: skip
        search = Observation.where({"subject": f"Patient/{subject}", "_count": "5"})
        assert [len(page.entry) for page in search.perform_iter(server)] == [5, 5, 2]
        found = list(search.perform_resources_iter(server))
        assert sorted(each.valueQuantity.value for each in found) == [number + 0.5 for number in range(12)]
        along = Observation.where({"subject": f"Patient/{subject}", "_count": "100"}).include("subject")
        assert [each.resource_type for each in along.perform_resources_iter(server)].count("Patient") == 1

    await asyncio.to_thread(work)


async def test_a_transaction(base: str) -> None:
    def work() -> None:
        server = connected(base)
        urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
        entries = [
            {"fullUrl": urn, "resource": patient("tx").as_json(), "request": {"method": "POST", "url": "Patient"}},
            {"resource": {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": urn}},
             "request": {"method": "POST", "url": "Basic"}},
        ]  # fmt: skip
        # It posts to the base with a slash at its end.
        answered = Bundle(Bundle({"type": "transaction", "entry": entries}).create(server))
        assert [entry.response.status for entry in answered.entry] == ["201 Created"] * 2

    await asyncio.to_thread(work)


async def test_outcomes_reach_the_user(base: str) -> None:
    def work() -> None:
        server = connected(base)
        with pytest.raises(requests.HTTPError) as refused:
            server.post_json("Patient", {"resourceType": "Patient", "gender": "nope"})
        [issue] = answer_to(refused.value).json()["issue"]
        assert issue["expression"] == ["Patient.gender"]
        with pytest.raises(FHIRNotFoundException) as absent:
            Patient.read("absent", server)
        assert absent.value.response.json()["resourceType"] == "OperationOutcome"
        with pytest.raises(requests.HTTPError) as unknown:
            next(Patient.where({"colour": "red"}).perform_iter(server))
        assert "unknown search parameter colour" in answer_to(unknown.value).text

    await asyncio.to_thread(work)
