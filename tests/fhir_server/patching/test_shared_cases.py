# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published patch cases (FHIR/fhir-test-cases, r4/patch): FHIRPath Patch and JSON Patch.

The FHIRPath Patch cases are written in XML; they are read into JSON by the published element table, not by
the product. The XML Patch cases need an XML resource as target and are not applicable: see NOT_APPLICABLE.
"""

from functools import cache
import gzip
import json
from pathlib import Path
import re
from typing import Any

from lxml import etree
import pytest

from fhir_server.outcome import FhirError
from fhir_server.patching.fhirpath_patch import fhirpath_patch
from fhir_server.patching.json_patch import json_patch

NOT_APPLICABLE = {
    "xml-patch-tests.shared.xml": "XML Patch (RFC 5261) changes XML text; this server keeps and takes JSON alone, and "
    "answers XML by 415",
}
FHIR = "{http://hl7.org/fhir}"


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    return shared / "fhir" / "patch-r4"


def test_every_file_of_the_set_is_used_or_named_as_not_applicable(cases: Path) -> None:
    used = {"fhir-patch-tests.shared.xml", "json-patch-tests.shared.json"}
    assert {each.name for each in cases.iterdir()} == used | set(NOT_APPLICABLE)


def test_json_patch_cases(cases: Path, subtests: pytest.Subtests) -> None:
    found = json.loads((cases / "json-patch-tests.shared.json").read_text())
    for case in found:
        with subtests.test(case["comment"]):
            if "error" in case:
                with pytest.raises(FhirError):
                    json_patch(case["doc"], case["patch"])
            else:
                assert json_patch(case["doc"], case["patch"]) == case["expected"]
    assert len(found) == 11


def test_fhirpath_patch_cases(cases: Path, shared: Path, subtests: pytest.Subtests) -> None:
    found = etree.parse(cases / "fhir-patch-tests.shared.xml").getroot().findall("case")
    for case in found:
        with subtests.test(case.get("name")):
            given, diff = _resource(_inside(case, "input"), shared), _resource(_inside(case, "diff"), shared)
            if case.find("error") is not None:
                with pytest.raises(FhirError):
                    fhirpath_patch(given, diff)
                continue
            wanted = _resource(_inside(case, "output"), shared)
            assert _plain(fhirpath_patch(given, diff)) == _plain(wanted)
    assert len(found) == 22


def _inside(case: Any, name: str) -> Any:
    return case.find(name)[0]


def _plain(value: Any) -> Any:
    """Narrative compared without the white space between its elements."""
    if isinstance(value, dict):
        return {key: _plain(each) if key != "div" else _xhtml(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _xhtml(text: str) -> list[Any]:
    return [(each.tag, (each.text or "").split(), (each.tail or "").split()) for each in etree.fromstring(text).iter()]


@cache
def _elements(shared: Path) -> dict[str, dict[str, Any]]:
    with gzip.open(shared / "fhir" / "elements-r4.ndjson.gz") as lines:
        return {row["path"]: row for row in map(json.loads, lines)}


def _resource(node: Any, shared: Path) -> dict[str, Any]:
    kind = etree.QName(node).localname
    made = _object(node, kind, _elements(shared))
    return {"resourceType": kind, **made}


def _object(node: Any, path: str, elements: dict[str, dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {key: value for key, value in node.attrib.items() if key in ("id", "url")}
    for child in node:
        if not isinstance(child.tag, str):
            continue
        name = etree.QName(child).localname
        element, kind = _element(path, name, elements)
        below = f"{path}.{name}" if kind in ("BackboneElement", "Element", None) else kind
        if "contentReference" in element:
            below = element["contentReference"].removeprefix("#")
        value, beside = _value(child, below, elements)
        if element["max"] == "*":
            made.setdefault(name, []).append(value)
        else:
            if value is not None:
                made[name] = value
            if beside:
                made[f"_{name}"] = beside
    return made


def _element(path: str, name: str, elements: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], str | None]:
    row = elements.get(f"{path}.{name}")
    if row is not None:
        types = row.get("type") or [{}]
        return row, types[0].get("code")
    for end in re.finditer(r"(?=[A-Z])", name):
        row = elements.get(f"{path}.{name[: end.start()]}[x]")
        if row is not None:
            kind = name[end.start() :]
            known = {each["code"].lower(): each["code"] for each in row["type"]}
            return row, known[kind.lower()]
    raise AssertionError(f"{path}.{name}")


def _value(node: Any, kind: str, elements: dict[str, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    if etree.QName(node).localname == "div":
        return etree.tostring(node, encoding="unicode", with_tail=False), {}
    if not kind[0].islower() or "value" not in node.attrib:
        made = _object(node, kind, elements)
        return (made or None, {}) if not kind[0].islower() else (None, made)
    text = node.get("value")
    beside = _object(node, "Element", elements) if len(node) or "id" in node.attrib else {}
    if kind == "boolean":
        return text == "true", beside
    return (int(text), beside) if kind in ("integer", "positiveInt", "unsignedInt") else (text, beside)
