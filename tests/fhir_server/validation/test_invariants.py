# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Each published invariant is asked, in code or as an expression; the few left out are these."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation import check, invariants
from fhir_server.validation.definitions import kind, resource_names
from fhir_server.validation.fhirpath import compile_term
from fhir_server.validation.walk import plan

TABLE = Path(invariants.__file__).with_name("invariants.csv")


def test_all_compile_but_those_named_here() -> None:
    with TABLE.open(encoding="utf-8", newline="") as rows:
        expressions = {row["key"]: row["expression"] for row in csv.DictReader(rows)}
    assert len(expressions) == 238
    assert set(invariants.LEFT_OUT) == {"con-3", "ig-1"}
    assert set(invariants.ELSEWHERE) == {"csd-1", "dom-3", "ele-1", "ext-1", "txt-1", "txt-2", "ref-1"}
    for key, expression in expressions.items():
        if key not in invariants.ELSEWHERE:
            compile_term(invariants.CORRECTED.get(key, expression))


def test_each_resource_type_compiles() -> None:
    assert len(resource_names()) > 145
    for name in resource_names():
        assert plan(name).kind is kind(name)


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("ait-1", {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}}, "AllergyIntolerance", "ait-1"),
    ("pat-1", {"resourceType": "Patient", "contact": [{"gender": "male"}]}, "Patient.contact[0]", "pat-1"),
    ("org-1", {"resourceType": "Organization", "active": True}, "Organization", "org-1"),
    ("org-2", {"resourceType": "Organization", "name": "x", "address": [{"use": "home", "city": "x"}]},
     "Organization.address[0]", "org-2"),
    ("org-3", {"resourceType": "Organization", "name": "x",
               "telecom": [{"use": "home", "system": "phone", "value": "1"}]}, "Organization.telecom[0]", "org-3"),
    ("ppc-1", {"resourceType": "Consent", "status": "active", "scope": {"text": "x"}, "category": [{"text": "x"}]},
     "Consent", "ppc-1"),
    ("obs-6", {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": "x",
               "dataAbsentReason": {"text": "x"}}, "Observation", "obs-6"),
    ("obs-7", {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]},
               "valueString": "x", "component": [{"code": {"coding": [{"code": "a"}]}, "valueString": "y"}]},
     "Observation", "obs-7"),
    ("obs-3", {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
               "referenceRange": [{"type": {"text": "x"}}]}, "Observation.referenceRange[0]", "obs-3"),
    ("con-4", {"resourceType": "Condition", "subject": {"display": "x"}, "abatementString": "x"}, "Condition", "con-4"),
    ("imm-1", {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "x"},
               "patient": {"display": "x"}, "occurrenceString": "x", "education": [{"publicationDate": "2020"}]},
     "Immunization.education[0]", "imm-1"),
    ("per-1", {"resourceType": "Patient", "identifier": [{"value": "1", "period": {"start": "2021", "end": "2020"}}]},
     "Patient.identifier[0].period", "per-1"),
    ("cpt-2", {"resourceType": "Patient", "telecom": [{"value": "1"}]}, "Patient.telecom[0]", "cpt-2"),
    ("att-1", {"resourceType": "Patient", "photo": [{"data": "YQ=="}]}, "Patient.photo[0]", "att-1"),
    ("ref-1", {"resourceType": "Patient", "managingOrganization": {"reference": "#a"}},
     "Patient.managingOrganization.reference", "ref-1"),
    ("ele-1", {"resourceType": "Patient", "name": [{}]}, "Patient.name[0]", "value"),
    ("ext-1", {"resourceType": "Patient", "extension": [{"url": "urn:a"}]}, "Patient.extension[0]", "extension"),
    ("dom-3", {"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "a", "name": "x"}]},
     "Patient.contained[0]", "dom-3"),
    ("dom-2", {"resourceType": "Patient", "managingOrganization": {"reference": "#a"},
               "contained": [{"resourceType": "Organization", "id": "a", "name": "x",
                              "contained": [{"resourceType": "Organization", "id": "b", "name": "y"}]}]},
     "Patient", "dom-2"),
    ("lst-1", {"resourceType": "List", "status": "current", "mode": "working", "emptyReason": {"text": "x"},
               "entry": [{"item": {"display": "x"}}]}, "List", "lst-1"),
    ("inv-1", {"resourceType": "Parameters", "parameter": [{"name": "a"}]}, "Parameters.parameter[0]", "inv-1"),
    ("sev-1", {"resourceType": "AuditEvent", "type": {"code": "a"}, "recorded": "2020-01-01T00:00:00Z",
               "agent": [{"requestor": True}], "source": {"observer": {"display": "x"}},
               "entity": [{"name": "x", "query": "YQ=="}]}, "AuditEvent.entity[0]", "sev-1"),
    ("bdl-1", {"resourceType": "Bundle", "type": "batch", "total": 1}, "Bundle", "bdl-1"),
    ("bdl-3", {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Basic",
               "code": {"text": "x"}}}]}, "Bundle", "bdl-3"),
    ("bdl-7", {"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
         "resource": {"resourceType": "Basic", "code": {"text": "x"}}}] * 2}, "Bundle", "bdl-7"),
    ("bdl-11", {"resourceType": "Bundle", "type": "document", "timestamp": "2020-01-01T00:00:00Z",
                "identifier": {"system": "urn:a", "value": "b"},
                "entry": [{"resource": {"resourceType": "Basic", "code": {"text": "x"}}}]}, "Bundle", "bdl-11"),
    ("csd-1", {"resourceType": "CodeSystem", "status": "draft", "content": "complete",
               "concept": [{"code": "a", "concept": [{"code": "a"}]}]}, "CodeSystem.concept", "csd-1"),
    ("vsd-1", {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"version": "1"}]}},
     "ValueSet.compose.include[0]", "vsd-1"),
    ("cmd-1", {"resourceType": "ConceptMap", "status": "draft", "group": [{"element": [{"code": "a", "target": [
        {"code": "b", "equivalence": "narrower"}]}]}]}, "ConceptMap.group[0].element[0].target[0]", "cmd-1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "resource", "path", "text"), CASES, ids=[case[0] for case in CASES])
def test_a_broken_rule_is_told_at_its_place(name: str, resource: dict[str, Any], path: str, text: str) -> None:
    found = [each for each in check(json.dumps(resource).encode()) if each.severity == "error"]
    assert [each.path for each in found if text in each.text] == [path], found
