# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published decision rules, one test each, named by id."""

from collections.abc import Mapping
import json
from typing import Any, Final

import pytest

from consent.model.engine import decide
from consent.model.rules import ALL, CHAPTERS
from consent.model.rules.published import DECIDES
from consent.model.vocabulary import facts_of
from tests.conftest import SHARED

PATH: Final = SHARED / "consent" / "decision-rules.json"
CASES: Final[dict[str, Any]] = (
    {rule["id"]: rule for rule in json.loads(PATH.read_text(encoding="utf-8"))["rules"]} if PATH.is_file() else {}
)

LATER: Final[dict[str, str]] = {}
"""Published rules that do not pass yet, with the reason. Exactly these fail."""


def faults(case: Mapping[str, Any]) -> list[str]:
    """What differs between the expected answer and ours."""
    then, rule = case["then"], decide(facts_of(case["given"], case["when"]))
    detail = rule.shows.detail.value if rule.shows.detail else None
    got = {"decision": rule.outcome.value, "visible": rule.shows.visible.value, "visibleDetail": detail}
    found = [f"{name}: {got[name]} for {then.get(name)}" for name in got if got[name] != then.get(name)]
    found += [f"action {each} is missing" for each in then.get("actions", ()) if each not in rule.actions]
    found += [f"answer {n}: {rule.answer.get(n)}" for n, v in then.get("answer", {}).items() if rule.answer.get(n) != v]
    return found


@pytest.mark.parametrize("case_id", [each for each in CASES if each not in LATER] or ["no shared data"])
def test_published_rule(case_id: str) -> None:
    if not CASES:
        pytest.skip("no shared data: the published decision rules are not there")
    assert faults(CASES[case_id]) == []


def test_exactly_those_that_come_later_fail() -> None:
    assert {case_id for case_id, case in CASES.items() if faults(case)} == set(LATER)


def test_the_table_of_published_cases_is_what_they_decide() -> None:
    if not CASES:
        pytest.skip("no shared data: the published decision rules are not there")
    decided: dict[str, tuple[str, ...]] = {}
    for case_id, case in CASES.items():
        rule = decide(facts_of(case["given"], case["when"]))
        decided[rule.id] = (*decided.get(rule.id, ()), case_id)
    assert decided == DECIDES


def test_a_rule_has_one_meaning_and_says_where_it_comes_from() -> None:
    for _, chapter in CHAPTERS:
        for rule in chapter:
            assert ALL[rule.id] is rule
            assert rule.law and rule.sv and rule.en and rule.reason.isupper()
            assert rule.verified or rule.interpretation or rule.law.startswith(("HSLF", "EHDS"))


@pytest.mark.parametrize(
    ("given", "when"),
    [
        ({"actor": {"kind": "robot"}}, {"operation": "read-content"}),
        ({"actor": {"shoeSize": 43}}, {"operation": "read-content"}),
        ({}, {"operation": "read-everything"}),
        ({"danger": "yes"}, {"operation": "read-content"}),
        ({}, {"operation": "read-content", "because": "I say so"}),
    ],
)
def test_a_name_or_value_the_vocabulary_lacks_is_an_error(given: dict[str, Any], when: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        facts_of(given, when)
