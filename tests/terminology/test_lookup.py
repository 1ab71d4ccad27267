# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$lookup: what a code means, in which version and language; what cannot be answered."""

from typing import Any

import pytest

from tests.support.callers import DENTIST, OPERATOR
from tests.terminology.conftest import FOODS, Terminology, code_system, parts, value


async def test_everything_about_a_concept(terminology: Terminology) -> None:
    await terminology.create(code_system())
    answer = await terminology.lookup("hazel")
    assert [each["name"] for each in answer["parameter"]][:3] == ["name", "version", "display"]
    assert (value(answer, "name"), value(answer, "version"), value(answer, "display")) == ("Foods", "1.0", "Hazelnut")
    assert parts(answer, "designation")[1:] == [
        {"language": "sv", "value": "Hasselnöt"},
        {"language": "de-AT", "value": "Haselnuss"},
    ]
    assert parts(answer, "property") == [
        {"code": "parent", "value": "nut", "description": "Nut"},
        {"code": "weight", "value": 1.5},
        {"code": "kind", "value": {"code": "k", "display": "Kernel"}, "description": "Kernel"},
    ]
    above = parts(await terminology.lookup("nut"), "property")
    assert above == [
        {"code": "definition", "value": "A dry fruit"},
        {"code": "child", "value": "hazel", "description": "Hazelnut"},
        {"code": "child", "value": "almond"},
    ]


@pytest.mark.parametrize(
    ("wanted", "designations", "properties"),
    [
        (["weight"], 0, ["weight"]),
        (["parent", "designation"], 3, ["parent"]),
        (["lang.sv"], 2, []),
        (["child"], 0, []),
        (["*"], 3, ["parent", "weight", "kind"]),
    ],
)
async def test_only_the_properties_asked_for(
    terminology: Terminology, wanted: list[str], designations: int, properties: list[str]
) -> None:
    await terminology.create(code_system())
    answer = await terminology.lookup("hazel", property=wanted)
    assert len(parts(answer, "designation")) == designations
    assert [each["code"] for each in parts(answer, "property")] == properties


@pytest.mark.parametrize(
    ("language", "display"),
    [("sv", "Hasselnöt"), ("sv-FI", "Hasselnöt"), ("de", "Haselnuss"), ("en-GB", "Hazelnut"), ("fi", "Hazelnut")],
)
async def test_display_in_a_language(terminology: Terminology, language: str, display: str) -> None:
    await terminology.create(code_system())
    assert value(await terminology.lookup("hazel", displayLanguage=language), "display") == display


async def test_a_concept_without_display_is_named_by_its_code(terminology: Terminology) -> None:
    nameless = {key: content for key, content in code_system(title="Foods we know").items() if key != "name"}
    await terminology.create(nameless)
    answer = await terminology.lookup("almond")
    assert (value(answer, "name"), value(answer, "display")) == ("Foods we know", "almond")


async def test_get_and_coding_ask_the_same(terminology: Terminology) -> None:
    await terminology.create(code_system())
    posted = await terminology.lookup("hazel", version="1.0")
    params = {"system": FOODS, "code": "hazel", "_format": "json"}
    assert await terminology.request("GET", "/CodeSystem/$lookup", DENTIST, params=params) == posted
    coding = {"valueCoding": {"system": FOODS, "code": "hazel", "version": "1.0"}}
    assert await terminology.ask("CodeSystem/$lookup", coding=coding) == posted


async def test_the_newest_version_wins_unless_another_is_asked_for(terminology: Terminology) -> None:
    for version in ("9.0", "10.0", "10.0-beta", None):
        concepts = [{"code": "nut", "display": f"Nut {version}"}]
        await terminology.create(code_system(version=version, concept=concepts))
    assert value(await terminology.lookup("nut"), "display") == "Nut 10.0"
    assert value(await terminology.lookup("nut", version="9.0"), "display") == "Nut 9.0"
    outcome = await terminology.lookup("nut", version="8.0", status=404)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "unknown-version"


async def test_an_update_replaces_the_concepts(terminology: Terminology) -> None:
    stored = await terminology.create(code_system())
    changed = {**code_system(version="2.0", concept=[{"code": "seed", "display": "Seed"}]), "id": stored["id"]}
    await terminology.request("PUT", f"/CodeSystem/{stored['id']}", json=changed)
    assert value(await terminology.lookup("seed"), "version") == "2.0"
    await terminology.lookup("hazel", status=404)
    await terminology.lookup("hazel", version="1.0", status=404)


async def test_case_matters_unless_the_system_says_otherwise(terminology: Terminology) -> None:
    await terminology.create(code_system())
    await terminology.lookup("HAZEL", status=404)
    await terminology.create(code_system("http://example.org/loose", caseSensitive=False))
    assert value(await terminology.lookup("HAZEL", "http://example.org/loose"), "display") == "Hazelnut"


@pytest.mark.parametrize(
    ("system", "code", "told"),
    [
        (FOODS, "brick", "unknown-code"),
        ("http://example.org/none", "nut", "unknown-code-system"),
        ("http://example.org/extra", "nut", "unknown-code-system"),
    ],
)
async def test_what_is_not_known(terminology: Terminology, system: str, code: str, told: str) -> None:
    await terminology.create(code_system())
    await terminology.create(code_system("http://example.org/extra", content="supplement", supplements=FOODS))
    outcome = await terminology.lookup(code, system, status=404)
    assert outcome["issue"][0]["code"] == "not-found"
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == told


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"code": "nut"},
        {"system": FOODS},
        {"code": "nut", "system": FOODS, "coding": {"valueCoding": {"system": FOODS, "code": "nut"}}},
        {"coding": {"valueCoding": {"code": "nut"}}},
        {"coding": "nut"},
        {"code": ["nut", "hazel"], "system": FOODS},
        {"code": {"valueInteger": 1}, "system": FOODS},
        {"code": "nut", "system": FOODS, "date": "2020-01-01"},
        {"code": "nut", "system": FOODS, "colour": "red"},
    ],
)
async def test_a_question_that_is_refused(terminology: Terminology, given: dict[str, Any]) -> None:
    await terminology.create(code_system())
    outcome = await terminology.ask("CodeSystem/$lookup", 400, **given)
    assert outcome["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (code_system(concept=[{"code": "a"}, {"code": "b", "concept": [{"code": "a"}]}]), "duplicate-code"),
        ({key: value for key, value in code_system().items() if key != "url"}, "url-missing"),
        (code_system(concept="nut"), "invalid-resource"),
        (code_system(concept=[{"display": "no code"}]), "invalid-resource"),
    ],
)
async def test_a_code_system_that_is_refused(terminology: Terminology, resource: dict[str, Any], code: str) -> None:
    outcome = await terminology.create(resource, 422)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == code


async def test_a_canonical_has_one_resource_a_version(terminology: Terminology) -> None:
    await terminology.create(code_system())
    outcome = await terminology.create(code_system(), 409)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "canonical-taken"


async def test_only_the_operator_writes_and_all_may_read(terminology: Terminology) -> None:
    await terminology.create(code_system(), 403, DENTIST)
    await terminology.create(code_system(), caller=OPERATOR)
    bundle = await terminology.request("GET", "/CodeSystem", DENTIST, params={"url": FOODS, "version": "1.0"})
    assert len(bundle["entry"]) == 1
    assert (await terminology.http.get(f"{terminology.base}/CodeSystem/$lookup")).status_code == 401
    answer = await terminology.http.get(f"{terminology.base}/metadata")
    assert {each["type"] for each in answer.json()["rest"][0]["resource"]} == {"CodeSystem", "ConceptMap", "ValueSet"}
