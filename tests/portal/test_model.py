# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the pages show, computed from what the services answer."""

from typing import Any

import pytest

from portal.desk import day
from portal.model import KINDS, LOSS, allergy_rows, consent_resource, consent_row, notices


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]}


def allergy(text: str, criticality: str | None = None, **more: Any) -> dict[str, Any]:
    found = {"resourceType": "AllergyIntolerance", "code": {"text": text}, **more}
    return found if criticality is None else {**found, "criticality": criticality}


def test_the_critical_come_first_and_other_resources_are_left_out() -> None:
    rows = allergy_rows(bundle(allergy("b"), {"resourceType": "Provenance"}, allergy("c", "high"), allergy("a", "low")))
    assert [row["substance"] for row in rows] == ["c", "a", "b"]


def test_a_code_without_text_is_shown_by_its_display_else_by_itself() -> None:
    shown = allergy("")
    shown["code"] = {"coding": [{"code": "1"}, {"code": "2", "display": "Latex"}]}
    bare = allergy("")
    bare["code"] = {"coding": [{"code": "J01C"}]}
    assert {row["substance"] for row in allergy_rows(bundle(shown, bare))} == {"Latex", "J01C"}


def test_reactions_are_gathered() -> None:
    reaction = [{"manifestation": [{"text": "Anafylaxi"}, {}]}, {"manifestation": [{"text": "Klåda"}]}]
    (row,) = allergy_rows(bundle(allergy("x", reaction=reaction)))
    assert row["reactions"] == ["Anafylaxi", "Klåda"]


def test_notices_leave_out_sources_that_answered() -> None:
    issues = [
        {"severity": "information", "details": {"coding": [{"code": code}], "text": code}}
        for code in ("source-answered", LOSS, "source-silent")
    ]
    found = notices(bundle({"resourceType": "OperationOutcome", "issue": issues}))
    assert [each["code"] for each in found] == [LOSS, "source-silent"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_person_decides_is_read_back_as_it_was_meant(kind: str) -> None:
    row = consent_row({**consent_resource(kind, "SE0000000011-VE1"), "id": "1"})
    assert (row["kind"], row["party"], row["active"]) == (kind, "SE0000000011-VE1", True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2019-04-12T14:20:00+02:00", "12 apr. 2019"), ("2019-04-12", "12 apr. 2019"), ("2019", "2019")],
)
def test_dates_are_shown_as_precisely_as_they_are_known(value: str, shown: str) -> None:
    assert day(value, "sv") == shown
