# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The types of FHIR R4 and their elements, read from the compact tables beside this file.

The tables hold facts of the specification (package hl7.fhir.r4.examples 4.0.1, CC0-1.0) and are written by
`tools/derive_validation.py`. https://hl7.org/fhir/R4/datatypes.html
"""

import csv
from dataclasses import dataclass, field
from functools import cache
import json
from pathlib import Path

_FOLDER = Path(__file__).parent
_CHOICE = "[x]"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type."""

    path: str
    """As in the definitions: `Observation.value[x]`."""
    name: str
    """As FHIRPath says it: `value`."""
    min: int
    many: bool
    types: tuple[str, ...]
    """Names of the types its values may have; the path of a type's part for nested elements."""
    targets: frozenset[str]
    """Types that its references may point to; empty: any."""
    codes: str
    """The value set of its required binding, or nothing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type: a resource, a data type, a primitive, or a part of one (`Patient.contact`)."""

    name: str
    base: str
    elements: dict[str, tuple[Element, str]]
    """By the name in JSON: the element and the type that name carries."""
    members: dict[str, tuple[tuple[str, str], ...]]
    """By the name in FHIRPath: the names in JSON with their types."""
    ancestors: frozenset[str] = field(repr=False)
    """The type and all that it specialises."""

    @property
    def primitive(self) -> bool:
        """Whether its values are plain JSON values."""
        return self.name[0].islower()

    @property
    def resource(self) -> bool:
        """Whether it stands on its own."""
        return "Resource" in self.ancestors


_PLAIN: tuple[tuple[str, bool, str], ...] = (("id", False, "string"), ("extension", True, "Extension"))
_INHERITED: dict[str, tuple[tuple[str, bool, str], ...]] = {
    "Element": _PLAIN,
    "BackboneElement": (*_PLAIN, ("modifierExtension", True, "Extension")),
    "Resource": (("id", False, "id"), ("meta", False, "Meta"), ("implicitRules", False, "uri"),
                 ("language", False, "code")),
    "DomainResource": (("text", False, "Narrative"), ("contained", True, "Resource"), ("extension", True, "Extension"),
                       ("modifierExtension", True, "Extension")),
}  # fmt: skip


@cache
def _rows() -> tuple[dict[str, str], dict[str, list[Element]]]:
    """The base of each type, and the elements of each type and part."""
    bases: dict[str, str] = {}
    elements: dict[str, list[Element]] = {}
    with (_FOLDER / "elements.csv").open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        for path, least, most, types, targets, codes in rows:
            parent, _, name = path.rpartition(".")
            if not parent:
                bases[path] = types
                continue
            kinds = tuple(types.split())
            if kinds[0] in ("BackboneElement", "Element"):
                bases[path] = kinds[0]
                kinds = (path,)
            elif kinds[0].startswith("#"):
                kinds = (kinds[0][1:],)
            some = frozenset(targets.split())
            elements.setdefault(parent, []).append(
                Element(path, name.removesuffix(_CHOICE), int(least) if least.isdigit() else 0, most == "*", kinds,
                        frozenset() if "Resource" in some else some, codes)
            )  # fmt: skip
    return bases, elements


@cache
def kind(name: str) -> Kind | None:
    """The type of that name, or None if R4 has none."""
    bases, elements = _rows()
    base = bases.get(name)
    if base is None:
        return None
    chain = [name]
    while base:
        chain.append(base)
        base = bases[base]
    own: list[Element] = []
    for each in chain:
        own += [
            Element(f"{name}.{inherited}", inherited, 0, many, (kind_name,), frozenset(), "")
            for inherited, many, kind_name in _inherited(each)
        ]
    own += elements.get(name, ())
    if len(chain) > 1 and chain[1] == "Quantity" and name not in elements:
        own += elements["Quantity"]
    by_json: dict[str, tuple[Element, str]] = {}
    members: dict[str, tuple[tuple[str, str], ...]] = {}
    for element in own:
        names = _json_names(element)
        members[element.name] = names
        for json_name, kind_name in names:
            by_json[json_name] = (element, kind_name)
    return Kind(name, chain[1] if len(chain) > 1 else "", by_json, members, frozenset(chain))


def _inherited(name: str) -> tuple[tuple[str, bool, str], ...]:
    if name == "BackboneElement":
        return _INHERITED["BackboneElement"][2:]
    return _INHERITED.get(name, ())


def _json_names(element: Element) -> tuple[tuple[str, str], ...]:
    if not element.path.endswith(_CHOICE):
        return ((element.name, element.types[0]),)
    return tuple((element.name + each[0].upper() + each[1:], each) for each in element.types)


@cache
def choices() -> frozenset[str]:
    """The names of all elements that may have one of several types: `value` of `value[x]`."""
    return frozenset(each.name for elements in _rows()[1].values() for each in elements if each.path.endswith(_CHOICE))


@cache
def code_sets() -> dict[str, dict[str, frozenset[str]]]:
    """The codes of each value set that a required binding names: system → codes."""
    sets: dict[str, dict[str, frozenset[str]]] = {}
    with (_FOLDER / "codes.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            sets.setdefault(row["valueSet"], {})[row["system"]] = frozenset(json.loads(row["codes"]))
    return sets


@cache
def resource_names() -> frozenset[str]:
    """The names of all resource types."""
    return frozenset(
        name for name in _rows()[0] if "." not in name and name[0].isupper() and (some := kind(name)) and some.resource
    )
