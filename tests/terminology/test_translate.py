# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$translate: which map answers, what it says, and what it must not be taken to say."""

from typing import Any

import pytest

from tests.support.callers import DENTIST
from tests.terminology.conftest import FOODS, LOCAL, MAP, Terminology, concept_map, parts, value


def group(*targets: dict[str, Any], code: str = "A1", **more: Any) -> dict[str, Any]:
    element: dict[str, Any] = {"code": code}
    if targets:
        element["target"] = list(targets)
    return {"source": LOCAL, "target": FOODS, "element": [element], **more}


async def test_matches_come_best_first_and_name_their_map(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    answer = await terminology.translate("A1", targetsystem=FOODS)
    assert value(answer, "result") is True
    assert parts(answer, "match") == [
        {
            "equivalence": "equivalent",
            "concept": {"system": FOODS, "version": "1.0", "code": "hazel", "display": "Hazelnut"},
            "source": f"{MAP}|1.0",
        },
        {
            "equivalence": "wider",
            "concept": {"system": FOODS, "version": "1.0", "code": "nut", "display": "Nut"},
            "source": f"{MAP}|1.0",
        },
    ]


async def test_unmatched_is_told_and_is_no_result(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    answer = await terminology.translate("A2")
    assert value(answer, "result") is False
    assert parts(answer, "match") == [{"equivalence": "unmatched", "source": f"{MAP}|1.0"}]


async def test_no_map_says_anything(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    for code, target in (("A9", FOODS), ("A1", "http://example.org/other")):
        answer = await terminology.translate(code, targetsystem=target)
        assert value(answer, "result") is False
        assert value(answer, "message")
        assert parts(answer, "match") == []


async def test_a_row_that_depends_on_something_else_is_left_out(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    answer = await terminology.translate("A3")
    assert (value(answer, "result"), parts(answer, "match")) == (False, [])
    assert "left out" in value(answer, "message")


async def test_products_travel_along(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    (match,) = parts(await terminology.translate("A4"), "match")
    assert match["product"] == [
        {"name": "element", "valueUri": "http://example.org/state"},
        {"name": "concept", "valueCoding": {"system": "http://example.org/s", "code": "raw"}},
    ]


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"url": MAP}, 2),
        ({"url": f"{MAP}|1.0"}, 2),
        ({"url": MAP, "conceptMapVersion": "1.0"}, 2),
        ({"source": "http://example.org/vs/local", "target": "http://example.org/vs/foods"}, 2),
        ({"source": "http://example.org/vs/other"}, 0),
        ({"target": "http://example.org/vs/local"}, 0),
        ({"version": "7"}, 2),
    ],
)
async def test_which_maps_are_asked(terminology: Terminology, given: dict[str, Any], count: int) -> None:
    await terminology.create(concept_map())
    assert len(parts(await terminology.translate("A1", **given), "match")) == count


async def test_the_newest_map_answers_unless_another_version_is_asked_for(terminology: Terminology) -> None:
    newer = [group({"code": "nut", "equivalence": "equal"})]
    await terminology.create(concept_map(version="2.0", group=newer))
    await terminology.create(concept_map())
    assert len(parts(await terminology.translate("A1"), "match")) == 1
    assert len(parts(await terminology.translate("A1", url=MAP), "match")) == 1
    assert len(parts(await terminology.translate("A1", url=f"{MAP}|1.0"), "match")) == 2


async def test_a_map_by_its_address(terminology: Terminology) -> None:
    stored = await terminology.create(concept_map())
    await terminology.create(concept_map(version="2.0", group=[group(code="Q")]))
    params = {"system": LOCAL, "code": "A1"}
    answer = await terminology.request("GET", f"/ConceptMap/{stored['id']}/$translate", DENTIST, params=params)
    assert len(parts(answer, "match")) == 2
    await terminology.request("GET", "/ConceptMap/none/$translate", DENTIST, 404, params=params)
    await terminology.request(
        "GET", f"/ConceptMap/{stored['id']}/$translate", DENTIST, 400, params={**params, "url": MAP}
    )


async def test_reverse(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    answer = await terminology.translate(
        "nut", FOODS, reverse={"valueBoolean": True}, targetsystem=LOCAL, source="http://example.org/vs/foods"
    )
    found = [(match["equivalence"], match["concept"]["code"]) for match in parts(answer, "match")]
    assert found == [("equal", "A4"), ("narrower", "A1")]
    params = {"system": FOODS, "code": "nut", "reverse": "true"}
    assert len(parts(await terminology.request("GET", "/ConceptMap/$translate", params=params), "match")) == 2


async def test_what_a_group_says_of_codes_it_does_not_list(terminology: Terminology) -> None:
    other = "http://example.org/other-map"
    modes = [
        group({"code": "nut", "equivalence": "equal"}, unmapped={"mode": "provided"}),
        group(unmapped={"mode": "fixed", "code": "food", "display": "Food"}, code="B1"),
        group(unmapped={"mode": "other-map", "url": other}, code="B2"),
    ]
    for number, mode in enumerate(modes):
        await terminology.create(concept_map(f"{MAP}-{number}", group=[mode]))
    await terminology.create(concept_map(other, group=[group({"code": "seed", "equivalence": "wider"}, code="Z")]))
    provided = parts(await terminology.translate("Z", url=f"{MAP}-0"), "match")
    assert [(each["equivalence"], each["concept"]["code"]) for each in provided] == [("relatedto", "Z")]
    assert len(parts(await terminology.translate("A1", url=f"{MAP}-0"), "match")) == 1
    fixed = parts(await terminology.translate("Z", url=f"{MAP}-1"), "match")
    assert fixed[0]["concept"] == {"system": FOODS, "code": "food", "display": "Food"}
    followed = parts(await terminology.translate("Z", url=f"{MAP}-2"), "match")
    assert (followed[0]["concept"]["code"], followed[0]["source"]) == ("seed", f"{other}|1.0")


async def test_maps_that_refer_to_each_other_end(terminology: Terminology) -> None:
    for one, two in (("a", "b"), ("b", "a")):
        unmapped = {"mode": "other-map", "url": f"{MAP}-{two}"}
        await terminology.create(concept_map(f"{MAP}-{one}", group=[group(unmapped=unmapped)]))
    assert value(await terminology.translate("Z", url=f"{MAP}-a"), "result") is False


async def test_codeable_concept_and_coding(terminology: Terminology) -> None:
    await terminology.create(concept_map())
    codings = [{"system": LOCAL, "code": "A4"}, {"system": LOCAL, "code": "A1"}]
    concept = {"valueCodeableConcept": {"coding": codings}}
    answer = await terminology.ask("ConceptMap/$translate", codeableConcept=concept)
    assert [match["concept"]["code"] for match in parts(answer, "match")] == ["nut", "hazel", "nut"]
    answer = await terminology.ask("ConceptMap/$translate", coding={"valueCoding": codings[0]})
    assert len(parts(answer, "match")) == 1


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"code": "A1"}, 400),
        ({"codeableConcept": {"valueCodeableConcept": {"text": "nut"}}}, 400),
        ({"codeableConcept": {"valueCodeableConcept": {"coding": [{"code": "A1"}]}}}, 400),
        ({"code": "A1", "codeableConcept": {"valueCodeableConcept": {"coding": [{"code": "A1"}]}}}, 400),
        ({"code": "A1", "system": LOCAL, "reverse": "perhaps"}, 400),
        ({"code": "A1", "system": LOCAL, "dependency": {"part": []}}, 400),
        ({"code": "A1", "system": LOCAL, "url": "http://example.org/no-map"}, 404),
        ({"code": "A1", "system": LOCAL, "url": f"{MAP}|9"}, 404),
    ],
)
async def test_a_question_that_is_refused(terminology: Terminology, given: dict[str, Any], status: int) -> None:
    await terminology.create(concept_map())
    outcome = await terminology.ask("ConceptMap/$translate", status, **given)
    assert outcome["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "change",
    [
        {"group": [group({"code": "nut", "equivalence": "alike"})]},
        {"group": [group(unmapped={"mode": "guess"})]},
        {"group": [{"source": LOCAL}]},
    ],
)
async def test_a_map_that_is_refused(terminology: Terminology, change: dict[str, Any]) -> None:
    await terminology.create(concept_map(**change), 422)
