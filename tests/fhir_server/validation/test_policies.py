# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Extensions, definitions, and what depends on who validates: merely said, or refused."""

from dataclasses import replace
import json
from typing import Any

import pytest

from fhir_server.validation import ADVICE, STRICT, WRITE, Policy, check
from fhir_server.validation.extensions import published

CORE = "http://hl7.org/fhir/StructureDefinition/"


def found(resource: dict[str, Any], policy: Policy = WRITE) -> dict[str, str]:
    return {each.path: each.severity for each in check(json.dumps(resource).encode(), policy)}


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"name": [{"extension": [{"url": f"{CORE}humanname-mothers-family", "valueString": "x"}]}]},
         "Patient.name[0].extension[0]"),
        ({"extension": [{"url": f"{CORE}patient-birthTime", "valueDateTime": "2020-01-01T00:00:00Z"}]},
         "Patient.extension[0]"),
        ({"extension": [{"url": f"{CORE}patient-birthPlace", "valueString": "x"}]},
         "Patient.extension[0].valueString"),
        ({"extension": [{"url": f"{CORE}patient-nationality", "valueString": "x"}]},
         "Patient.extension[0].valueString"),
    ],
)  # fmt: skip
def test_a_published_extension_stands_in_its_place_with_its_value(more: dict[str, Any], path: str) -> None:
    assert found(patient(**more)) == {path: "error"}


@pytest.mark.parametrize(
    "more",
    [
        {"birthDate": "2020-01-01",
         "_birthDate": {"extension": [{"url": f"{CORE}patient-birthTime", "valueDateTime": "2020-01-01T00:00:00Z"}]}},
        {"name": [{"_family": {"extension": [{"url": f"{CORE}humanname-mothers-family", "valueString": "x"}]}}]},
        {"_gender": {"extension": [{"url": f"{CORE}data-absent-reason", "valueCode": "unknown"}]}},
        {"extension": [{"url": "urn:own", "valueString": "x"}]},
    ],
)  # fmt: skip
def test_extensions_in_their_place_and_those_that_nobody_published_pass(more: dict[str, Any]) -> None:
    assert found(patient(**more)) == {}


def test_the_table_has_all_of_the_specifications_extensions() -> None:
    assert len(published()) == 393
    assert published()[f"{CORE}data-absent-reason"].values == {"valueCode"}


UNKNOWN = patient(active=True, extension=[{"url": "https://a.se/x", "valueString": "x"}])
MARKDOWN = {"resourceType": "Communication", "status": "completed", "note": [{"text": "a <br/> b"}]}
PLAIN = {"resourceType": "Communication", "status": "completed", "note": [{"text": "a <5 and b> <https://a.se>"}]}
EXAMPLE = patient(active=True, photo=[{"url": "https://pictures.example.org/1.png"}])
ALONG = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "a", "resource": patient(id="1", active=True)},
        {
            "name": "b",
            "resource": patient(id="2", active=True, link=[{"other": {"reference": "Patient/3"}, "type": "refer"}]),
        },
    ],
}


@pytest.mark.parametrize(
    ("resource", "path", "advice"),
    [
        (UNKNOWN, "Patient.extension[0]", "information"),
        (MARKDOWN, "Communication.note[0].text", "warning"),
        (EXAMPLE, "Patient.photo[0].url", None),
        (ALONG, "Parameters.parameter[1].resource.link[0].other.reference", "information"),
    ],
)  # fmt: skip
def test_what_is_advice_is_an_error_where_strictness_is_asked(
    resource: dict[str, Any], path: str, advice: str | None
) -> None:
    assert path not in found(resource, WRITE)
    assert found(resource, ADVICE).get(path) == advice
    assert found(resource, STRICT)[path] == "error"


def test_a_policy_names_the_extensions_it_knows() -> None:
    for policy in (
        replace(STRICT, known_extensions={"https://a.se/x"}),
        replace(STRICT, known_domains=("https://a.se/",)),
    ):
        assert "Patient.extension[0]" not in found(UNKNOWN, policy)


def test_signs_that_are_no_tags_are_no_html() -> None:
    assert found(PLAIN, replace(STRICT, warnings=False)) == {}


def parameter(**more: Any) -> dict[str, Any]:
    return {"resourceType": "SearchParameter", "url": "https://a.se/p", "name": "A", "status": "draft",
            "description": "x", "code": "a", "type": "string", "base": ["Organization"], **more}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "paths"),
    [
        (parameter(expression="Organization.name | Organization.alias"), []),
        (parameter(expression="(Organization.name | Patient.name).where(exists())"), ["SearchParameter.expression"]),
        (parameter(expression="name", base=["Patient", "Person"]), []),
        (parameter(expression="Resource.id"), []),
        (parameter(expression="name ||"), ["SearchParameter.expression"]),
        (parameter(base=["Patient"], derivedFrom="http://hl7.org/fhir/SearchParameter/Organization-name"),
         ["SearchParameter.base"]),
        (parameter(derivedFrom="http://hl7.org/fhir/SearchParameter/Organization-name"), []),
        (parameter(derivedFrom="http://hl7.org/fhir/SearchParameter/clinical-code"), []),
    ],
)  # fmt: skip
def test_search_parameters(resource: dict[str, Any], paths: list[str]) -> None:
    assert list(found(resource)) == paths


@pytest.mark.parametrize(
    ("path", "fine"),
    [
        ("Observation.value[x]", True),
        ("Observation.valueQuantity", True),
        ("Observation.valueQuantity.code", True),
        ("Observation.valueBla", False),
        ("Observation.value", True),
        ("Observation.component.code.coding.system", True),
        ("Observation.component.colour", False),
        ("Patient.name", False),
        ("Observation.extension.url", True),
        ("Observation.contained.anything", True),
    ],
)
def test_paths_of_a_differential(path: str, fine: bool) -> None:
    definition = {
        "resourceType": "StructureDefinition", "url": "https://a.se/p", "name": "A", "status": "draft",
        "kind": "resource", "abstract": False, "type": "Observation", "derivation": "constraint",
        "baseDefinition": f"{CORE}Observation", "differential": {"element": [{"id": path, "path": path}]},
    }  # fmt: skip
    assert ("StructureDefinition.differential.element[0].path" in found(definition)) is not fine
