# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a resource has for a search parameter, by an engine that is not the product's (fhirpathrs).

The published expressions are rewritten where that engine does not cover them: a choice element is written out as JSON
names it, by the published element table, and `resolve() is T` asks the text of the reference.
"""

from collections.abc import Mapping
import csv
from dataclasses import dataclass
from functools import cache
import gzip
import json
import re
from typing import Any

import fhirpathrs

from tools.conformance.published import FHIR, lines

_RESOLVE = re.compile(r"where\(resolve\(\) is (\w+)\)")
_PATH = re.compile(r"[A-Z]\w*(?:\.\w+)+")
_AS = re.compile(r"\(([\w.]+) as (\w+)\)|([\w.]+) as (\w+)")
_CALLED_AS = re.compile(r"\.(?:as|ofType)\((\w+)\)")

# The published components of DocumentReference.relationship name each other's definition: code is no reference.
_EXCHANGED = {"DocumentReference-relatesto": "token", "DocumentReference-relation": "reference"}


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the published table: a parameter of one resource type."""

    resource: str
    code: str
    type: str
    expression: str
    target: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    """Type and expression of each, relative to the group or to `%resource`."""
    common: bool
    system: str | None
    """Of codes that carry none: that of the required binding."""

    def values(self, resource: Mapping[str, Any]) -> list[Any]:
        """What the resource has for it."""
        return evaluate(self.expression, resource, self.resource)

    def parts(self, resource: Mapping[str, Any], group: Any) -> list[list[Any]]:
        """The values of each component of a composite in one group."""
        found = []
        for _, expression in self.components:
            if expression.startswith("%resource."):
                found.append(evaluate(expression.replace("%resource", self.resource, 1), resource, self.resource))
                continue
            types = _choices().get(f"{self.expression}.{expression}", ())
            below = " | ".join(expression + _capital(each) for each in types) or expression
            found.append(evaluate(below, group, self.resource))
        return found


@cache
def parameters() -> dict[str, tuple[Published, ...]]:
    """All that have an expression, by resource type."""
    found: dict[str, list[Published]] = {}
    with gzip.open(FHIR / "search-parameters-r4.json.gz") as file:
        entries = json.load(file)["entry"]
    systems = _systems()
    types = {each["resource"]["id"]: each["resource"]["type"] for each in entries} | _EXCHANGED
    with gzip.open(FHIR / "search-expressions-r4.csv.gz", "rt", encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            if row["expression"]:
                parts = (each.partition("=") for each in row["components"].split(";") if each)
                components = tuple((types[name], expression) for name, _, expression in parts)
                found.setdefault(row["resource"], []).append(
                    Published(
                        row["resource"], row["code"], row["type"], row["expression"],
                        tuple(row["target"].split()), components, row["common"] == "1",
                        systems.get(row["expression"]),
                    )
                )  # fmt: skip
    return {name: tuple(each) for name, each in found.items()}


@cache
def common() -> tuple[str, ...]:
    """The resource types that health-data exchange uses."""
    return tuple(sorted(name for name, each in parameters().items() if any(row.common for row in each)))


def evaluate(expression: str, value: Any, kind: str) -> list[Any]:
    """The collection; the engine gives a single value bare."""
    found = fhirpathrs.evaluate(rewritten(expression, kind), value)
    return found if isinstance(found, list) else [] if found is None else [found]


@cache
def rewritten(expression: str, kind: str) -> str:
    """The expression in what the engine covers."""
    text = re.sub(r"^(?:Resource|DomainResource)\.", kind + ".", expression)
    text = _RESOLVE.sub(lambda match: f"where(reference.contains('{match[1]}/') or type = '{match[1]}')", text)
    text = _AS.sub(lambda match: (match[1] or match[3]) + _capital(match[2] or match[4]), text)
    text = _CALLED_AS.sub(lambda match: _capital(match[1]), text)
    if "exists()" in text:
        return text
    return _PATH.sub(lambda match: _written_out(match[0]), text)


def _written_out(path: str) -> str:
    types = _choices().get(path)
    return path if types is None else "(" + " | ".join(path + _capital(each) for each in types) + ")"


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    rows = map(json.loads, lines("elements-r4.ndjson.gz"))
    return {
        row["path"].removesuffix("[x]"): tuple(each["code"] for each in row["type"])
        for row in rows
        if row["path"].endswith("[x]")
    }


def _systems() -> dict[str, str]:
    """The one system of each element of type code."""
    with gzip.open(FHIR / "required-bindings-r4.json.gz") as file:
        table = json.load(file)
    found: dict[str, str] = {}
    for each in table["bindings"]:
        systems = tuple(table["valueSets"].get(each["valueSet"], ()))
        if each["type"] == ["code"] and len(systems) == 1:
            found[each["path"]] = systems[0]
    return found


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
