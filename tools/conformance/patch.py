# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published patch cases (FHIR/fhir-test-cases, r4/patch): FHIRPath Patch and JSON Patch.

The FHIRPath Patch cases are written in XML; they are read into JSON by the published element table, not by
the product. The XML Patch cases need an XML resource as target and are not applicable: see NOT_APPLICABLE.
"""

from collections.abc import Callable
from functools import cache, partial
import json
import re
from typing import Any

from lxml import etree

from fhir_server.outcome import FhirError
from fhir_server.patching.fhirpath_patch import fhirpath_patch
from fhir_server.patching.json_patch import json_patch
from tools.conformance.published import FHIR, lines
from tools.conformance.report import Area, Row

FOLDER = FHIR / "patch-r4"
FHIRPATH_PATCH, JSON_PATCH = "FHIRPath Patch cases", "JSON Patch cases"
USED = ("fhir-patch-tests.shared.xml", "json-patch-tests.shared.json")
NOT_APPLICABLE = {
    "xml-patch-tests.shared.xml": "XML Patch (RFC 5261) changes XML text; this server keeps and takes JSON alone, and "
    "answers XML by 415",
}


def run() -> Area:
    """Both sets, each case applied to its input by the kernel's own functions."""
    fhirpath, plain = fhirpath_patch_cases(), json_patch_cases()
    failures = [f"{name}: {fault}" for name, fault in (*fhirpath, *plain) if fault]
    rows = tuple(
        Row(what, sum(not fault for _, fault in found), len(found))
        for what, found in ((FHIRPATH_PATCH, fhirpath), (JSON_PATCH, plain))
    )
    return Area("Patch", rows, tuple(failures), tuple(f"`{name}`: {why}." for name, why in NOT_APPLICABLE.items()))


def json_patch_cases() -> list[tuple[str, str]]:
    """Name and fault of each; no fault: as expected."""
    return [
        (
            case["comment"],
            _fault(partial(json_patch, case["doc"], case["patch"]), None if "error" in case else case["expected"]),
        )
        for case in json.loads((FOLDER / "json-patch-tests.shared.json").read_text())
    ]


def fhirpath_patch_cases() -> list[tuple[str, str]]:
    """Name and fault of each; no fault: as expected."""
    found = []
    for case in etree.parse(FOLDER / "fhir-patch-tests.shared.xml").getroot().findall("case"):
        given, diff = _resource(_inside(case, "input")), _resource(_inside(case, "diff"))
        wanted = None if case.find("error") is not None else _plain(_resource(_inside(case, "output")))
        found.append((case.get("name") or "", _fault(partial(fhirpath_patch, given, diff), wanted)))
    return found


def _fault(applied: Callable[[], Any], wanted: Any) -> str:
    """`wanted` None: the patch must be refused."""
    try:
        got = applied()
    except FhirError as error:
        return f"refused: {error}" if wanted is not None else ""
    if wanted is None:
        return "applied, though it must be refused"
    return "" if _plain(got) == wanted else "another result"


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
def _elements() -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in map(json.loads, lines("elements-r4.ndjson.gz"))}


def _resource(node: Any) -> dict[str, Any]:
    kind = etree.QName(node).localname
    made = _object(node, kind, _elements())
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
