# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The path subset of search parameters (https://hl7.org/fhir/R4/fhirpath.html)."""

import csv
from decimal import Decimal
import gzip
from importlib import resources
from pathlib import Path
from typing import Any

import fhirpathpy
from fhirpathpy.models import models
import orjson
import pytest

from fhir_server.search.expressions import UnsupportedExpression, compile_expression

MODEL = models["r4"]

PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "Ek"}, {"family": "Al", "given": ["A", "B"]}],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}],
    "deceasedBoolean": False,
    "generalPractitioner": [{"reference": "Practitioner/1"}, {"reference": "http://x/Organization/2"}],
}
BUNDLE = {
    "resourceType": "Bundle",
    "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}, {"resource": {"resourceType": "Basic", "id": "b"}}],
}
CONDITION = {"resourceType": "Condition", "onsetPeriod": {"start": "2020"}, "abatementString": "over"}


@pytest.mark.parametrize(
    ("expression", "resource", "values"),
    [
        ("Patient.name.family", PATIENT, ["Ek", "Al"]),
        ("Patient.name.given", PATIENT, ["A", "B"]),
        ("Patient.telecom.where(system='phone').value", PATIENT, ["1"]),
        ("Patient.deceased.exists() and Patient.deceased != false", PATIENT, [False]),
        ("Patient.generalPractitioner.where(resolve() is Organization)", PATIENT, [{"reference": "http://x/Organization/2"}]),
        ("Patient.name.family | Patient.name.given", PATIENT, ["Ek", "Al", "A", "B"]),
        ("Condition.onset.as(dateTime) | Condition.onset.as(Period)", CONDITION, [{"start": "2020"}]),
        ("(Condition.onset as Period)", CONDITION, [{"start": "2020"}]),
        ("Condition.abatement.as(string)", CONDITION, ["over"]),
        ("Condition.abatement.as(dateTime)", CONDITION, []),
        ("Patient.photo.url", PATIENT, []),
        ("name.family | telecom.value", PATIENT, ["Ek", "Al", "1", "2"]),
        ("ServiceRequest.performer", {"resourceType": "ServiceRequest", "performerType": {"text": "nurse"}}, []),
        ("Bundle.entry[0].resource.ofType(Patient)", BUNDLE, [{"resourceType": "Patient", "id": "p"}]),
        ("Bundle.entry[1].resource.ofType(Patient)", BUNDLE, []),
    ],
)  # fmt: skip
def test_an_expression_gives_these_values(expression: str, resource: dict[str, Any], values: list[Any]) -> None:
    assert compile_expression(expression)(resource) == values


def test_what_is_not_covered_is_refused_at_start() -> None:
    with pytest.raises(UnsupportedExpression):
        compile_expression("Patient.name.select(family + given)")


def test_every_expression_of_the_table_compiles() -> None:
    table = resources.files("fhir_server.search").joinpath("definitions.csv").read_text("utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) > 700
    for row in rows:
        compile_expression(row["expression"])


def test_values_are_those_of_a_full_fhirpath_engine(shared: Path) -> None:
    """On the published examples, for every expression without resolve() (which engines answer by reading)."""
    table = resources.files("fhir_server.search").joinpath("definitions.csv").read_text("utf-8")
    by_type: dict[str, list[str]] = {}
    for row in csv.DictReader(table.splitlines()):
        if row["resource"] != "Bundle" and "resolve()" not in row["expression"] and " as " not in row["expression"]:
            by_type.setdefault(row["resource"], []).append(row["expression"])
    compared = 0
    with gzip.open(shared / "fhir" / "examples-r4.ndjson.gz") as lines:
        for line in lines:
            resource = orjson.loads(line)
            for expression in by_type.get(resource["resourceType"], [])[:8]:
                ours = compile_expression(expression)(resource)
                theirs = fhirpathpy.evaluate(resource, expression, {}, MODEL)
                assert _plain(ours) == _plain(theirs), (resource["resourceType"], resource.get("id"), expression)
                compared += 1
    assert compared > 300


def _plain(values: list[Any]) -> list[str]:
    """Each value once: a union drops repeated ones, which for us the index does when it collects values."""
    return sorted({orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=_told).decode() for value in values})


def _told(value: object) -> object:
    """The other engine reads numbers as Decimal."""
    return float(value) if isinstance(value, Decimal) else str(value)
