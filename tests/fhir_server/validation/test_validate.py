# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The seam: primitives, narratives, bundles, references between entries; texts that repeat no value."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from fhir_server.outcome import Malformed
from fhir_server.validation import InvalidResource, check, validate
from fhir_server.validation.narrative import check_narrative

SECRET = "hemlig-195001011234"


def faults(resource: dict[str, Any]) -> dict[str, str]:
    return {each.path: each.text for each in check(json.dumps(resource).encode()) if each.severity == "error"}


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"id": "a b"}, "Patient.id"),
        ({"id": "a" * 65}, "Patient.id"),
        ({"birthDate": "2020-02-30"}, "Patient.birthDate"),
        ({"birthDate": "0000"}, "Patient.birthDate"),
        ({"name": [{"text": " \t"}]}, "Patient.name[0].text"),
        ({"name": [{"given": ["a", "b\u0000"]}]}, "Patient.name[0].given[1]"),
        ({"gender": "män"}, "Patient.gender"),
        ({"name": [{"_family": {"extension": [{"url": "urn:a"}]}, "family": "x"}]},
         "Patient.name[0].family.extension[0]"),
        ({"maritalStatus": {"coding": [{"system": "marital", "code": "M"}]}}, "Patient.maritalStatus.coding[0].system"),
        ({"photo": [{"contentType": "text/plain", "data": "YQ==", "size": 2}]}, "Patient.photo[0].size"),
        ({"link": [{"other": {"reference": "Patient/1", "type": "RelatedPerson"}, "type": "refer"}]},
         "Patient.link[0].other.type"),
        ({"generalPractitioner": [{"type": "Patient", "display": "x"}]}, "Patient.generalPractitioner[0]"),
        ({"fhir_comments": ["x"]}, "Patient.fhir_comments"),
        ({"text": {"status": "generated", "div": "<div>x</div>"}}, "Patient.text.div"),
    ],
)  # fmt: skip
def test_what_the_structural_check_lets_pass(more: dict[str, Any], path: str) -> None:
    assert path in faults(patient(**more))


@pytest.mark.parametrize(
    "inner",
    [
        "<script>x()</script>", "<p onclick='x()'>x</p>", "<a href='javascript:x()'>x</a>", "<iframe src='/a'/>",
        "<img src='https://elsewhere.example/p.png' alt='x'/>", "<img src='//elsewhere.example/p.png'/>",
        "<form action='/a'>x</form>", "<p style='background:url(https://a.example)'>x</p>", "<object>x</object>",
        "<a href=' JavaScript:x()'>x</a>", "<p>&reg;</p>", "<p>", "", "<link rel='stylesheet' href='/a'/>",
        "<!-- x -->",
        "<a href='data:text/html,x'>x</a>",
    ],
)  # fmt: skip
def test_a_narrative_that_runs_or_fetches_is_refused(inner: str) -> None:
    assert check_narrative(f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>') is not None


def test_a_narrative_with_entities_of_its_own_is_refused() -> None:
    text = '<!DOCTYPE d [<!ENTITY x "y">]><div xmlns="http://www.w3.org/1999/xhtml">&x;</div>'
    assert check_narrative(text) is not None


@pytest.mark.parametrize(
    "inner",
    ["x", "<p class='a' style='color:red'>x</p>", "<a href='https://a.example'>x</a>", "<img src='#a' alt='x'/>",
     "<table><tr><td>1</td></tr></table>", "&lt;script&gt;"],
)  # fmt: skip
def test_a_narrative_that_only_formats_is_fine(inner: str) -> None:
    assert check_narrative(f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>') is None


def test_a_reference_between_entries_is_held_against_the_type_there() -> None:
    urls = ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:c757873d-ec9a-4326-a141-556f43239521"]
    entries = [
        {"fullUrl": urls[0], "resource": {"resourceType": "Organization", "name": "x"}},
        {"fullUrl": urls[1], "resource": {"resourceType": "Flag", "status": "active", "code": {"text": "x"},
                                          "subject": {"reference": urls[0]}, "author": {"reference": urls[1]}}},
    ]  # fmt: skip
    assert list(faults({"resourceType": "Bundle", "type": "collection", "entry": entries})) == [
        "Bundle.entry[1].resource.author"
    ]


def test_bundles() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": "urn:a"}, {"relation": "self", "url": "urn:b"}],
        "entry": [
            {"fullUrl": "Patient/1", "resource": patient(id="1", active=True)},
            {"fullUrl": "https://a.example/Patient/2", "resource": patient(id="3", active=True)},
            {"resource": patient(active=True)},
        ],
    }
    assert set(faults(bundle)) == {
        "Bundle.link[1].relation", "Bundle.entry[0].fullUrl", "Bundle.entry[1].fullUrl", "Bundle.entry[2].resource",
    }  # fmt: skip


def test_the_error_has_an_issue_for_each_place() -> None:
    with pytest.raises(InvalidResource) as caught:
        validate(json.dumps(patient(gender="x", contact=[{"gender": "male"}])).encode())
    issues = caught.value.outcome()["issue"]
    assert [each["expression"] for each in issues] == [["Patient.gender"], ["Patient.contact[0]"]]
    assert [each["code"] for each in issues] == ["code-invalid", "invariant"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"resourceType":"Patient",}', b"\xff"])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(Malformed):
        validate(body)


def test_deep_nesting_is_refused() -> None:
    for depth in (200, 400, 900, 20_000):
        body = b'{"resourceType":"Questionnaire","status":"draft"' + b',"item":[{"linkId":"1","type":"group"' * depth
        with pytest.raises((Malformed, InvalidResource)):
            validate(body + b"}]" * depth + b"}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.just(SECRET),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceType", "id", "name", "text", "div", "status", "contained", "extension", "url",
                             "valueString", "reference", "contact", "gender", "birthDate", "identifier", "period",
                             "start", "managingOrganization", "_birthDate", "_name", "photo", "data", "size", "meta"]),
            inner, max_size=6),
        max_leaves=20,
    )
)  # fmt: skip
def test_nothing_breaks_the_walk_and_no_text_repeats_a_value(value: Any) -> None:
    resource = {**value, "resourceType": "Patient"} if isinstance(value, dict) else value
    for each in check(json.dumps(resource).encode()):
        assert SECRET not in each.text
