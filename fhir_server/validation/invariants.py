# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The FHIRPath invariants of R4, compiled once. https://hl7.org/fhir/R4/conformance-rules.html#constraints

`invariants.csv` holds key, expression and text of each as published (hl7.fhir.r4.examples 4.0.1, CC0-1.0).
"""

from collections.abc import Callable
import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fhir_server.validation.definitions import Kind
from fhir_server.validation.fhirpath import Environment, FhirPathError, Node, compile_term, truth
from fhir_server.validation.fhirpath.engine import Items, Term
from fhir_server.validation.fhirpath.parse import Tree, parse

_TABLE: Final = Path(__file__).parent / "invariants.csv"

ELSEWHERE: Final[dict[str, str]] = {
    "csd-1": "asked in code: large code systems have hundreds of thousands of concepts",
    "dom-3": "asked in code: the published expression looks at every pair of values below the resource",
    "ele-1": "asked of every value by the walk itself",
    "ext-1": "asked of every extension by the walk itself",
    "txt-1": "the narrative check, with a text that says what to change",
    "txt-2": "the narrative check, with a text that says what to change",
    "ref-1": "the reference check, with a text that says what to change",
}
"""Invariants that stand in code instead of in an expression."""

LEFT_OUT: Final[dict[str, str]] = {
    "con-3": "the published expression compares a CodeableConcept with a text and never holds; a warning",
    "ig-1": "uses `%context.grouping`, whose path is wrong: the element is definition.grouping of %resource",
}
"""Invariants that are not asked, with the reason."""

CORRECTED: Final[dict[str, str]] = {
    "que-7": "operator = 'exists' implies (answer is boolean)",
    "que-12": "enableWhen.count() > 1 implies enableBehavior.exists()",
    "tim-9": "offset.empty() or (when.exists() and when.where($this in ('C' | 'CM' | 'CD' | 'CV')).empty())",
}
"""Expressions that say something else than their text: more than one, not more than two; several moments of a day;
a FHIR boolean is no System.Boolean."""

_OTHER_FOCUS: Final = frozenset({"where", "select", "all", "repeat", "exists", "aggregate"})


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule of a type or element."""

    key: str
    severity: str
    text: str
    holds: Callable[[Environment], bool]
    triggers: frozenset[str] | None
    """It can only fail where one of these properties stands; None: anywhere."""


@cache
def _rules() -> dict[str, tuple[tuple[str, str, str, str], ...]]:
    rules: dict[str, list[tuple[str, str, str, str]]] = {}
    with _TABLE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["key"] in ELSEWHERE or row["key"] in LEFT_OUT:
                continue
            rule = (row["key"], row["severity"], CORRECTED.get(row["key"], row["expression"]), row["human"])
            for path in row["paths"].split():
                rules.setdefault(path, []).append(rule)
    return {path: tuple(some) for path, some in rules.items()}


def invariants_at(path: str, of: Kind) -> tuple[Invariant, ...]:
    """The rules that stand at a path (a type, a part of it or an element) for values of the type.

    Raises `FhirPathError` if an expression can't be compiled: at the first use of the type, never for a value.
    """
    return tuple(
        Invariant(key, severity, f"{key}: {human}", *_compiled(expression, of))
        for key, severity, expression, human in _rules().get(path, ())
    )


def _compiled(expression: str, of: Kind) -> tuple[Callable[[Environment], bool], frozenset[str] | None]:
    term = compile_term(expression)
    names = _first_names(parse(expression))
    holds = _holding(term)
    if names is None:
        return holds, None
    empty = Node({}, of)
    if not holds(Environment([empty], empty, empty, [empty], lambda reference: None)):
        return holds, None
    known = {json_name for name in names for json_name, _ in of.members.get(name, ((name, ""),))}
    return holds, frozenset(known | {f"_{name}" for name in known})


def _holding(term: Term) -> Callable[[Environment], bool]:
    """An empty result holds: the rule says nothing about such a value."""

    def holds(environment: Environment) -> bool:
        try:
            result: Items = term(environment)
            return truth(result) is not False
        except FhirPathError:
            return False

    return holds


def _first_names(tree: Tree) -> frozenset[str] | None:
    """The elements of the value itself that an expression begins its paths with; None if it looks elsewhere."""
    if tree.op == "name":
        return None if tree.value[0].isupper() else frozenset({tree.value})
    if tree.op in ("literal", "empty"):
        return frozenset()
    if tree.op in ("this", "position", "total"):
        return None
    if tree.op == "variable":
        return frozenset() if tree.value == "ucum" else None
    if tree.op == "call":
        return None
    parts = list(tree.parts)
    if tree.op == "dot":
        left, right = parts
        parts = [left]
        if right.op == "call" and right.value not in _OTHER_FOCUS and right.value not in ("is", "as", "ofType"):
            parts += right.parts
    found: set[str] = set()
    for part in parts:
        names = _first_names(part)
        if names is None:
            return None
        found |= names
    return frozenset(found)
