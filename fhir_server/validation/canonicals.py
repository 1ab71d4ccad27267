# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a SearchParameter and a StructureDefinition say about types, held against those types.

https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/elementdefinition.html#path
"""

from collections.abc import Iterator
from typing import Any, Final

from fhir_server.validation.definitions import Kind, kind
from fhir_server.validation.fhirpath.parse import FhirPathError, Tree, parse
from fhir_server.validation.problem import Problem

_R4: Final = "http://hl7.org/fhir/SearchParameter/"


def search_parameter(value: dict[str, Any]) -> list[Problem]:
    """The expression begins at the types of `base`, which are among those of the parameter it is derived from."""
    bases = [each for each in _texts(value.get("base")) if kind(each) is not None]
    found: list[Problem] = []
    expression = value.get("expression")
    if isinstance(expression, str) and bases:
        try:
            tree = parse(expression)
        except FhirPathError:
            return [Problem("expression", "write the expression in FHIRPath", "value")]
        if not all(_within(name, bases) for name in _beginnings(tree)):
            found.append(Problem("expression", "begin each path of the expression at a type of base", "value"))
    origin = value.get("derivedFrom")
    if isinstance(origin, str) and origin.startswith(_R4):
        # Organization-name is of Organization; clinical-code and its like are of many types.
        known = origin[len(_R4) :].partition("-")[0]
        if _resource(known) and not all(known in _ancestors(each) for each in bases):
            text = "let base name types of the search parameter that this one is derived from"
            found.append(Problem("base", text, "business-rule"))
    return found


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _resource(name: str) -> bool:
    of = kind(name)
    return of is not None and of.resource


def _ancestors(name: str) -> frozenset[str]:
    of = kind(name)
    return of.ancestors if of is not None else frozenset({name})


def _within(name: str, bases: list[str]) -> bool:
    """Whether a resource may be of the type that a path begins at: one of the bases, or above or below one."""
    own = _ancestors(name)
    return any(name in _ancestors(each) or each in own for each in bases)


def _beginnings(tree: Tree) -> Iterator[str]:
    """The names of resource types that the paths of an expression begin at."""
    if tree.op == "name":
        if _resource(str(tree.value)):
            yield str(tree.value)
    elif tree.op in ("dot", "index", "type", "group"):
        yield from _beginnings(tree.parts[0])
    elif tree.op not in ("literal", "call"):
        for part in tree.parts:
            yield from _beginnings(part)


def structure_definition(value: dict[str, Any]) -> list[Problem]:
    """The paths of a profile's elements are those of the type it constrains."""
    of = kind(value["type"]) if isinstance(value.get("type"), str) else None
    if of is None or value.get("derivation") != "constraint":
        return []
    found = []
    # The snapshot is generated from the differential.
    view = "differential" if "differential" in value else "snapshot"
    held = value.get(view)
    elements = held.get("element") if isinstance(held, dict) else None
    for at, each in enumerate(elements if isinstance(elements, list) else ()):
        path = each.get("path") if isinstance(each, dict) else None
        if isinstance(path, str) and not _leads(of, path):
            text = f"name an element of {of.name}; a choice by its [x] or by one of its types"
            found.append(Problem(f"{view}.element[{at}].path", text, "value"))
    return found


def _leads(of: Kind, path: str) -> bool:
    first, *steps = path.split(".")
    if first != of.name:
        return False
    at: Kind | None = of
    for step in steps:
        if at is None or at.primitive or at.name == "Resource":
            return True
        options = at.members.get(step.removesuffix("[x]")) if step.endswith("[x]") or step in at.members else None
        if options is None:
            named = at.elements.get(step)
            if named is None:
                return step in ("id", "extension", "modifierExtension")
            options = ((step, named[1]),)
        at = kind(options[0][1]) if len(options) == 1 else None
    return True
