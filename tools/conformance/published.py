# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Published definitions, examples and cases: beside a checkout, or in the folder that NDI_SHARED names."""

from collections.abc import Iterator
from dataclasses import dataclass
import gzip
import json
import os
from pathlib import Path
from typing import Any

from lxml import etree

from fhir_server.validation.definitions import kind
from fhir_server.validation.fhirpath import Node, node_of

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("NDI_SHARED", ROOT.parent / "shared" / "data"))
FHIR = SHARED / "fhir"


def lines(name: str) -> Iterator[bytes]:
    """The lines of a gzipped file of resources."""
    with gzip.open(FHIR / name, "rb") as file:
        yield from file


def examples() -> list[tuple[str, bytes]]:
    """The official examples: `Type/id` and bytes."""
    found = []
    for line in lines("examples-r4.ndjson.gz"):
        resource = json.loads(line)
        found.append((f"{resource['resourceType']}/{resource.get('id', '')}", line))
    return found


def example(name: str) -> dict[str, Any]:
    """One official example."""
    for line in lines("examples-r4.ndjson.gz"):
        resource: dict[str, Any] = json.loads(line)
        if f"{resource['resourceType']}/{resource.get('id', '')}" == name:
            return resource
    raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the official FHIRPath suite."""

    name: str
    expression: str
    invalid: str
    predicate: bool
    outputs: tuple[tuple[str, str], ...]
    input: dict[str, Any] | None

    def node(self) -> Node:
        """What the expression is evaluated on."""
        return node_of(self.input or {"resourceType": "Basic"}, kind("Resource"))


def from_xml(element: Any, of: str) -> Any:
    """A value of the XML form in its JSON form. https://hl7.org/fhir/R4/json.html#xml"""
    if of == "xhtml":
        return etree.tostring(element, encoding="unicode", with_tail=False)
    by = kind(of)
    assert by is not None, of
    built: dict[str, Any] = {"resourceType": of} if by.resource else {}
    built.update({name: element.get(name) for name in ("id", "url") if element.get(name)})
    for child in element:
        name = etree.QName(child).localname if isinstance(child.tag, str) else None
        if name is None:
            continue
        found = by.elements.get(name)
        at, child_type = found if found is not None else (None, "Extension")
        if child_type == "Resource":
            child = child[0]
            child_type = etree.QName(child).localname
        primitive = child_type[0].islower() and child_type != "xhtml"
        value = _primitive(child.get("value"), child_type) if primitive else from_xml(child, child_type)
        extra = from_xml(child, "Element") if primitive else None
        for key, each in ((name, value), ("_" + name, extra)):
            if key == name or each:
                if at is None or at.many:
                    built.setdefault(key, []).append(each)
                else:
                    built[key] = each
    return built


def _primitive(text: str | None, of: str) -> Any:
    if text is None or of not in ("boolean", "integer", "decimal", "positiveInt", "unsignedInt"):
        return text
    return json.loads(text)


def _input(folder: Path, file: str) -> dict[str, Any] | None:
    """As the suite names it, in XML; where only JSON is there, that."""
    path = folder / file
    if path.suffix == ".xml" and path.exists():
        root = etree.parse(str(path)).getroot()
        found: dict[str, Any] = from_xml(root, etree.QName(root).localname)
        return found
    found = json.loads(path.with_suffix(".json").read_bytes())
    return found


def fhirpath_cases() -> list[Case]:
    """All cases."""
    folder = FHIR / "fhirpath-r4"
    parsed = etree.parse(str(folder / "tests-fhir-r4.shared.xml"))
    found = []
    for test in parsed.iter("test"):
        expression = test.find("expression")
        file = test.get("inputfile")
        assert expression is not None
        found.append(
            Case(
                test.get("name", ""),
                expression.text or "",
                expression.get("invalid") or test.get("invalid") or "",
                test.get("predicate") == "true",
                tuple((each.get("type") or "", each.text or "") for each in test.findall("output")),
                _input(folder, file) if file else None,
            )
        )
    return found
