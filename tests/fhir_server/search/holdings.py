# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the tests of search put into the library."""

from typing import Any

from tests.fhir_server.search.library import Library

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def concept(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    coding = {"system": system, "code": code, **({"display": display} if display else {})}
    return {"coding": [coding]}


def quantity(value: float, code: str = "mm[Hg]", **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": "mmHg", "system": UCUM, "code": code, **more}


def observation(name: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": name, "status": "final", "code": concept(LOINC, "85354-9"), **more,
    }  # fmt: skip


def pressure(name: str, systolic: float, diastolic: float, **more: Any) -> dict[str, Any]:
    return observation(
        name,
        component=[
            {"code": concept(LOINC, "8480-6"), "valueQuantity": quantity(systolic)},
            {"code": concept(LOINC, "8462-4"), "valueQuantity": quantity(diastolic)},
        ],
        **more,
    )


async def fill(library: Library) -> None:
    await library.load(
        [
            {"resourceType": "Organization", "id": "o1", "name": "Region Öst", "telecom": [{"value": "1"}]},
            {"resourceType": "Organization", "id": "o2", "name": "Öst akut",
             "partOf": {"reference": "Organization/o1"}},
            {"resourceType": "Organization", "id": "o3", "name": "Golv", "partOf": {"reference": "Organization/o2"}},
            {
                "resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1950-02",
                "name": [{"family": "Åkesson", "given": ["Eva"]}],
                "identifier": [
                    {"type": concept("http://t", "MR"), "system": "urn:a", "value": "77"},
                    {"system": "urn:b", "value": "78"},
                ],
                "managingOrganization": {"reference": "Organization/o2"},
            },
            {"resourceType": "Patient", "id": "p2", "gender": "male", "name": [{"text": "akesson"}]},
            pressure("b1", 142, 80, subject={"reference": "Patient/p1"}, effectiveDateTime="2024-03-14"),
            pressure("b2", 80, 142, subject={"reference": "Patient/p2"}, effectivePeriod={"start": "2024-03-01"}),
            observation(
                "w1", code={"text": "Vikt", **concept(LOINC, "29463-7", "Body weight")},
                valueQuantity={"value": 70.5, "unit": "kg"}, subject={"identifier": {"system": "urn:a", "value": "77"}},
            ),
            {"resourceType": "List", "id": "l1", "status": "current", "mode": "working",
             "entry": [{"item": {"reference": "Observation/b2"}}]},
            {"resourceType": "ValueSet", "id": "v1", "status": "active", "url": "http://acme.org/fhir/ValueSet/1",
             "meta": {"profile": ["http://x/shareable|1.0"]}},
            {"resourceType": "ValueSet", "id": "v2", "status": "active", "url": "http://acme.org/fhirs/ValueSet/1"},
            {"resourceType": "RiskAssessment", "id": "r1", "status": "final", "subject": {"reference": "Patient/p1"},
             "prediction": [{"probabilityDecimal": 0.1}]},
            {"resourceType": "RiskAssessment", "id": "r2", "status": "final", "subject": {"reference": "Patient/p1"},
             "prediction": [{"probabilityDecimal": 0.13}]},
            {"resourceType": "DocumentReference", "id": "d1", "status": "current", "content": [],
             "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/d0"}},
                           {"code": "appends", "target": {"reference": "DocumentReference/d2"}}]},
            {"resourceType": "Encounter", "id": "e1", "status": "planned", "class": {"code": "AMB"},
             "serviceProvider": {"reference": "Organization/o3"}},
        ]
    )  # fmt: skip
