# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The Swedish base profiles and the International Patient Summary, as published, with their examples."""

from functools import cache
import json
from typing import Any

import pytest

from fhir_server.validation.profiles import Profiles
from tests.fhir_server.validation.published import DATA, needs_data

SWEDEN = DATA / "sweden"
BASE = "http://hl7.se/fhir/ig/base/StructureDefinition/SEBase"
IPS = "http://hl7.org/fhir/uv/ips/StructureDefinition/"


@cache
def profiles(guide: str) -> Profiles:
    found = Profiles()
    files = [
        *sorted((SWEDEN / guide / "profiles").glob("*.json")),
        *sorted((SWEDEN / guide / "valuesets").glob("*.json")),
    ]
    found.load(json.loads(file.read_bytes()) for file in files)
    return found


def read(guide: str, name: str) -> dict[str, Any]:
    resource: dict[str, Any] = json.loads((SWEDEN / guide / "examples" / f"{name}.json").read_bytes())
    return resource


def errors(guide: str, resource: dict[str, Any], url: str) -> list[str]:
    return [each.path for each in profiles(guide).validate(resource, url) if each.severity == "error"]


@needs_data
def test_all_swedish_examples_hold() -> None:
    files = sorted((SWEDEN / "hl7se-base" / "examples").glob("*.json"))
    assert len(files) == 12
    for file in files:
        resource = json.loads(file.read_bytes())
        assert errors("hl7se-base", resource, BASE + resource["resourceType"]) == []
    assert profiles("hl7se-base").missing == set()


@needs_data
def test_all_examples_of_the_patient_summary_hold() -> None:
    files = sorted((SWEDEN / "ips" / "examples").glob("*.json"))
    assert len(files) == 44
    for file in files:
        resource = json.loads(file.read_bytes())
        for url in resource["meta"]["profile"]:
            assert errors("ips", resource, url) == []


@needs_data
def test_a_profile_for_another_type_and_one_that_is_not_loaded() -> None:
    assert errors("hl7se-base", {"resourceType": "Organization"}, f"{BASE}Patient") == ["Organization"]
    with pytest.raises(KeyError):
        profiles("hl7se-base").validate({"resourceType": "Patient"}, "urn:none")


def definition(*elements: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": "urn:profile",
        "type": "Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, *elements]},
    }


def sliced(how: str, path: str, rules: str = "open") -> dict[str, Any]:
    return {"id": "Patient.identifier",
            "slicing": {"discriminator": [{"type": how, "path": path}], "rules": rules}}  # fmt: skip


NUMBER = {"system": "urn:number", "value": "1"}


@pytest.mark.parametrize(
    ("elements", "resource", "path"),
    [
        ([{"id": "Patient.gender", "min": 1}], {}, "Patient.gender"),
        ([{"id": "Patient.name", "max": "1"}], {"name": [{"text": "a"}, {"text": "b"}]}, "Patient.name"),
        ([{"id": "Patient.name.family", "min": 1}], {"name": [{"family": "a"}, {"text": "b"}]},
         "Patient.name[1].family"),
        ([{"id": "Patient.gender", "fixedCode": "male"}], {"gender": "female"}, "Patient.gender"),
        ([{"id": "Patient.maritalStatus", "patternCodeableConcept": {"coding": [{"code": "M"}]}}],
         {"maritalStatus": {"coding": [{"code": "S"}]}}, "Patient.maritalStatus"),
        ([{"id": "Patient.deceased[x]", "type": [{"code": "dateTime"}]}], {"deceasedBoolean": True},
         "Patient.deceasedBoolean"),
        ([{"id": "Patient.managingOrganization", "type": [{"code": "Reference", "targetProfile": [
            "http://hl7.org/fhir/StructureDefinition/Practitioner"]}]}],
         {"managingOrganization": {"reference": "Organization/1"}}, "Patient.managingOrganization"),
        ([sliced("value", "system"), {"id": "Patient.identifier:number", "min": 1},
          {"id": "Patient.identifier:number.system", "fixedUri": "urn:number"}],
         {"identifier": [{"system": "urn:other"}]}, "Patient.identifier"),
        ([sliced("value", "system"), {"id": "Patient.identifier:number", "max": "1"},
          {"id": "Patient.identifier:number.system", "fixedUri": "urn:number"}],
         {"identifier": [NUMBER, NUMBER]}, "Patient.identifier"),
        ([sliced("value", "system"), {"id": "Patient.identifier:number", "max": "1"},
          {"id": "Patient.identifier:number.system", "fixedUri": "urn:number"},
          {"id": "Patient.identifier:number.use", "min": 1}],
         {"identifier": [{"system": "urn:other"}, NUMBER]}, "Patient.identifier[1].use"),
        ([sliced("pattern", "type", "closed"),
          {"id": "Patient.identifier:number.type", "patternCodeableConcept": {"coding": [{"code": "A"}]}}],
         {"identifier": [{"type": {"coding": [{"code": "B"}]}}]}, "Patient.identifier[0]"),
        ([sliced("exists", "value", "closed"), {"id": "Patient.identifier:number.value", "min": 1}],
         {"identifier": [{"system": "urn:a"}]}, "Patient.identifier[0]"),
        ([{"id": "Patient.maritalStatus", "binding": {"strength": "required", "valueSet": "urn:set|1"}}],
         {"maritalStatus": {"coding": [{"system": "urn:codes", "code": "b"}]}}, "Patient.maritalStatus"),
        ([{"id": "Patient", "constraint": [{"key": "x-1", "severity": "error", "human": "has a name",
                                            "expression": "name.exists()"}]}], {}, "Patient"),
    ],
)  # fmt: skip
def test_what_breaks_a_profile(elements: list[dict[str, Any]], resource: dict[str, Any], path: str) -> None:
    found = Profiles()
    codes = {"include": [{"system": "urn:codes", "concept": [{"code": "a"}]}]}
    assert found.load([definition(*elements), {"resourceType": "ValueSet", "url": "urn:set", "compose": codes}]) == 2
    whole = {"resourceType": "Patient", "active": True, **resource}
    assert [each.path for each in found.validate(whole, "urn:profile|2")] == [path]


@needs_data
@pytest.mark.parametrize(
    ("guide", "name", "url", "change", "path"),
    [
        ("hl7se-base", "Patient-PatientExample1", f"{BASE}Patient",
         lambda each: each["identifier"][0].update(system="urn:x", value="1"), ""),
        ("ips", "Observation-hemoglobin", f"{IPS}Observation-results-laboratory-pathology-uv-ips",
         lambda each: each.pop("subject"), "Observation.subject"),
        ("ips", "Bundle-bundle-minimal", f"{IPS}Bundle-uv-ips", lambda each: each["entry"].pop(0), "Bundle.entry"),
        ("ips", "Bundle-bundle-minimal", f"{IPS}Bundle-uv-ips",
         lambda each: each.update(type="collection"), "Bundle.type"),
        ("ips", "Composition-composition-minimal", f"{IPS}Composition-uv-ips",
         lambda each: each["section"].pop(0), "Composition.section"),
    ],
)  # fmt: skip
def test_a_published_profile_is_held(guide: str, name: str, url: str, change: Any, path: str) -> None:
    resource = read(guide, name)
    change(resource)
    found = errors(guide, resource, url)
    assert path in found if path else found == []
