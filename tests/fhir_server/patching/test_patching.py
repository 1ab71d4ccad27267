# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patches as pure functions: what the published cases leave out."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import orjson
import pytest

from fhir_server import raw
from fhir_server.outcome import FhirError, Malformed, NotSupported
from fhir_server.patching.fhirpath_patch import fhirpath_patch
from fhir_server.patching.json_patch import PatchFailed, json_patch, merge_patch

PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}],
    "name": [{"family": "Exempel", "given": ["Astrid", "Maria"], "_given": [None, {"id": "g2"}]}],
    "deceasedBoolean": False,
    "birthDate": "1957-01-03",
    "_birthDate": {"extension": [{"url": "urn:x", "valueString": "y"}]},
}


def operation(kind: str, path: str, value: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    if value is not None:
        parts.append({"name": "value", **value})
    for name, each in more.items():
        parts.append({"name": name, "valueInteger" if isinstance(each, int) else "valueString": each})
    return {"name": "operation", "part": parts}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return fhirpath_patch(PATIENT, {"resourceType": "Parameters", "parameter": list(operations)})


@pytest.mark.parametrize(
    ("operations", "element", "expected"),
    [
        ([operation("add", "Patient", {"valueString": "sv"}, name="language")], "language", "sv"),
        ([operation("add", "Patient.name[0]", {"valueString": "Dr"}, name="prefix")], "name.0.prefix", ["Dr"]),
        ([operation("add", "Patient", {"valueBoolean": True}, name="multipleBirth")], "multipleBirthBoolean", True),
        ([operation("replace", "Patient.deceased", {"valueBoolean": True})], "deceasedBoolean", True),
        ([operation("replace", "Patient.deceased", {"valueDateTime": "2020"})], "deceasedDateTime", "2020"),
        ([operation("replace", "Patient.deceased", {"valueDateTime": "2020"})], "deceasedBoolean", None),
        ([operation("delete", "Patient.birthDate")], "_birthDate", None),
        ([operation("delete", "Patient.name.given.first()")], "name.0._given", [{"id": "g2"}]),
        ([operation("delete", "Patient.name.given[1]")], "name.0._given", None),
        ([operation("delete", "Patient.photo")], "birthDate", "1957-01-03"),
        ([operation("move", "Patient.name.given", source=1, destination=0)], "name.0._given", [{"id": "g2"}, None]),
        ([operation("insert", "Patient.name.given", {"valueString": "Ada"}, index=1)], "name.0.given",
         ["Astrid", "Ada", "Maria"]),
        ([operation("insert", "Patient.name.given", {"valueString": "Ada"}, index=1)], "name.0._given",
         [None, None, {"id": "g2"}]),
        ([operation("insert", "Patient.telecom", {"valueContactPoint": {"value": "1"}}, index=0)], "telecom",
         [{"value": "1"}]),
        ([operation("replace", "Patient.identifier.where(system = 'urn:b').value", {"valueString": "3"})],
         "identifier.1.value", "3"),
        ([operation("delete", "Patient.identifier.where(system = 'urn:b' and value = '2')")], "identifier",
         [{"system": "urn:a", "value": "1"}]),
        ([operation("delete", "Patient.birthDate.extension('urn:x')")], "_birthDate", None),
        ([operation("add", "Patient", {"part": [
            {"name": "telecom", "valueContactPoint": {"value": "1"}}, {"name": "gender", "valueCode": "male"}]},
            name="contact")], "contact", [{"telecom": [{"value": "1"}], "gender": "male"}]),
    ],
)  # fmt: skip
def test_what_a_fhirpath_patch_changes(operations: list[dict[str, Any]], element: str, expected: Any) -> None:
    found: Any = patched(*operations)
    for step in element.split("."):
        found = found[int(step)] if isinstance(found, list) else found.get(step)
    assert found == expected


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (operation("add", "Patient", {"valueDate": "2000"}, name="birthDate"), PatchFailed),
        (operation("add", "Patient.photo[3]", {"valueString": "x"}, name="title"), PatchFailed),
        (operation("replace", "Patient.gender", {"valueCode": "male"}), PatchFailed),
        (operation("replace", "Patient.identifier", {"valueIdentifier": {"value": "1"}}), PatchFailed),
        (operation("delete", "Patient.identifier"), PatchFailed),
        (operation("delete", "Patient"), PatchFailed),
        (operation("insert", "Patient.identifier", {"valueIdentifier": {"value": "1"}}, index=9), PatchFailed),
        (operation("move", "Patient.identifier", source=2, destination=0), PatchFailed),
        (operation("delete", "Patient.descendants()"), NotSupported),
        (operation("delete", "Patient.identifier.where(value.length() > 3)"), NotSupported),
        (operation("turn", "Patient.gender"), FhirError),
        (operation("add", "Patient", name="language"), Malformed),
        ({"name": "operations"}, Malformed),
    ],
)
def test_a_fhirpath_patch_that_does_not_apply_changes_nothing(made: dict[str, Any], error: type[FhirError]) -> None:
    before = orjson.dumps(PATIENT)
    with pytest.raises(error, match="operation 1 of the patch") as raised:
        patched(operation("delete", "Patient.deceased"), made)
    assert raised.value.expression == "Parameters.parameter[1]"
    assert orjson.dumps(PATIENT) == before


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ({}, Malformed),
        ([{"op": "jump", "path": "/a"}], Malformed),
        ([{"op": "add", "path": "a", "value": 1}], Malformed),
        ([{"op": "add", "path": "/a~2", "value": 1}], Malformed),
        ([{"op": "add", "path": "/a"}], Malformed),
        ([{"op": "remove", "path": "/b"}], PatchFailed),
        ([{"op": "remove", "path": ""}], PatchFailed),
        ([{"op": "replace", "path": "/b", "value": 1}], PatchFailed),
        ([{"op": "add", "path": "/a/3", "value": 1}], PatchFailed),
        ([{"op": "add", "path": "/a/01", "value": 1}], PatchFailed),
        ([{"op": "remove", "path": "/a/-"}], PatchFailed),
        ([{"op": "add", "path": "/a/0/x", "value": 1}], PatchFailed),
        ([{"op": "move", "from": "/c", "path": "/c/d"}], PatchFailed),
        ([{"op": "test", "path": "/c/t", "value": 1}], PatchFailed),
    ],
)
def test_a_json_patch_that_does_not_apply(patch: Any, error: type[FhirError]) -> None:
    document = {"a": [1, 2], "c": {"t": True}}
    with pytest.raises(error):
        json_patch(document, patch)
    assert document == {"a": [1, 2], "c": {"t": True}}


def test_merge_patch_takes_out_what_is_null() -> None:
    assert merge_patch({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None, "e": 3}, "d": [2]}) == {
        "a": {"c": 2, "e": 3},
        "d": [2],
    }


@pytest.mark.parametrize("number", ["1.500", "1e-7", "-0", "12345678901234567890", "0.10"])
def test_numbers_keep_their_text(number: str) -> None:
    body = f'{{"a":{number},"b":[1]}}'.encode()
    assert raw.dumps(json_patch(raw.loads(body), [{"op": "add", "path": "/b/-", "value": 2}])) == (
        f'{{"a":{number},"b":[1,2]}}'.encode()
    )


def test_numbers_are_compared_by_value() -> None:
    document = raw.loads(b'{"a":1.50,"b":1}')
    json_patch(document, raw.loads(b'[{"op":"test","path":"/a","value":1.5},{"op":"test","path":"/b","value":1.0}]'))
    with pytest.raises(PatchFailed):
        json_patch(document, raw.loads(b'[{"op":"test","path":"/a","value":1.51}]'))


def test_a_member_that_occurs_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="twice"):
        raw.loads(b'{"a":{"b":1,"b":2}}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "-", "~1"]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": PATHS},
    optional={"from": PATHS, "value": JSON},
)


@given(JSON, st.lists(OPERATIONS | JSON, max_size=4))
def test_any_json_patch_applies_or_is_refused_by_an_error_of_ours(document: Any, operations: list[Any]) -> None:
    before = repr(document)
    try:
        orjson.dumps(json_patch(document, operations), default=repr, option=orjson.OPT_NON_STR_KEYS)
    except FhirError:
        pass
    except TypeError as error:
        assert "64-bit" in str(error)
    assert repr(document) == before


STEPS = st.sampled_from(
    ["Patient", "name", "given", "[0]", "given[1]", "where(use='a')", "identifier", "first()", "", "(", "'", "deceased",
     "extension('u')", "birthDate", "value", "ofType(boolean)", "where(", "x'y"]
)  # fmt: skip


@given(
    st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    st.lists(STEPS, max_size=4).map(".".join),
    st.sampled_from([{"valueString": "x"}, {"valueHumanName": {"family": "y"}}, {"part": [{"name": "a"}]}, None]),
    st.integers(-1, 3),
)
def test_any_fhirpath_patch_applies_or_is_refused_by_an_error_of_ours(
    kind: str, path: str, value: dict[str, Any] | None, number: int
) -> None:
    try:
        patched(operation(kind, path, value, name="name", index=number, source=number, destination=0))
    except FhirError:
        pass
