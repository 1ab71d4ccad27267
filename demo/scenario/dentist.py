# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the dentist's record system asks of the infrastructure."""

import time
from typing import Any

import httpx2

from demo.actors import PERSONNUMMER
from demo.people import Person
from demo.scenario.stage import FHIR_JSON, World

FORM = "application/x-www-form-urlencoded"


def _identifier(person: Person) -> dict[str, Any]:
    return {"name": "identifier", "valueIdentifier": {"system": PERSONNUMMER, "value": person.number}}


async def state_care_relation(world: World, person: Person, reason: str) -> httpx2.Response:
    """States a current care relation (patientrelation, SVOD 3:1) for eight hours."""
    body = {
        "resourceType": "Parameters",
        "parameter": [
            _identifier(person),
            {"name": "reason", "valueString": reason},
            {"name": "hours", "valueInteger": 8},
        ],
    }
    url = f"{world.ndi}/consent/fhir/Patient/$state-care-relation"
    return await world.http.post(url, json=body, headers={**world.as_dentist(), "Content-Type": FHIR_JSON})


async def locate(world: World, person: Person, *, base: str | None = None) -> httpx2.Response:
    """Asks the index who holds what; `base` is another process than the usual one."""
    body = {"resourceType": "Parameters", "parameter": [_identifier(person)]}
    url = f"{base or world.ndi}/patient-index/fhir/Patient/$locate"
    return await world.http.post(url, json=body, headers={**world.as_dentist(), "Content-Type": FHIR_JSON})


async def read(world: World, person: Person, *, base: str | None = None) -> tuple[httpx2.Response, float]:
    """Reads the allergies of all sources; answers how many seconds it took, too."""
    begin = time.perf_counter()
    answer = await world.http.post(
        f"{base or world.ndi}/gateway/fhir/AllergyIntolerance/_search",
        data={"patient.identifier": person.identifier},
        headers={**world.as_dentist(), "Content-Type": FORM},
    )
    if answer.status_code == 200:
        world.reads += 1
    return answer, time.perf_counter() - begin


def issues(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The issues of the Bundle's outcome entries."""
    return [
        issue
        for entry in bundle.get("entry", ())
        if entry.get("search", {}).get("mode") == "outcome"
        for issue in entry["resource"].get("issue", ())
    ]


def coded(found: list[dict[str, Any]], code: str) -> list[dict[str, Any]]:
    """The issues with this code of ours in details."""
    return [
        each
        for each in found
        if any(coding.get("code") == code for coding in each.get("details", {}).get("coding", ()))
    ]
