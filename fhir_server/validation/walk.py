# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Walks a resource along its type and asks what the structural check does not: codes, references, texts, invariants.

Each type is compiled once to a table from property name to check. A check gives nothing for a sound value, so that
paths are put together only where something is wrong.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from fhir_server.validation.bundles import Scope, entry_scope, parameter_scope
from fhir_server.validation.definitions import Element, Kind, code_sets, kind
from fhir_server.validation.examples import is_example
from fhir_server.validation.extensions import check_extensions
from fhir_server.validation.fhirpath import Environment, Node
from fhir_server.validation.invariants import Invariant, invariants_at
from fhir_server.validation.narrative import check_narrative
from fhir_server.validation.policy import WRITE, Policy
from fhir_server.validation.primitives import CHECKS, RAW_HTML, check_id_value
from fhir_server.validation.problem import Problem
from fhir_server.validation.references import FORM, stated_type, target_type
from fhir_server.validation.rules import rule_of, unreferenced

Found = list[Problem] | None
Check = Callable[[Any, Scope], Found]

_FEW: Final = 12
_EMPTY: Final = [Problem("", "give the element a value or leave it out", "invariant")]
_EXTENSION: Final = [Problem("", "an extension has either a value or extensions of its own, not both or neither",
                             "invariant")]  # fmt: skip
_AWAY: Final = "refer to one of the resources sent along, or send the one that is meant"
_COMMENTS: Final = [Problem("", "R4 has no comments in JSON; leave them out")]


class Plan:
    """A type, compiled."""

    __slots__ = ("checks", "extension", "invariants", "kind", "resource", "rule")

    def __init__(self, of: Kind) -> None:
        self.kind = of
        self.resource = of.resource
        self.extension = of.name == "Extension"
        self.rule = rule_of(of)
        self.invariants = _inherited_invariants(of)
        self.checks: dict[str, Check] = {"fhir_comments": lambda value, scope: _COMMENTS}
        for name, (element, kind_name) in of.elements.items():
            check = _check(of, element, kind_name)
            if check is not None:
                self.checks[name] = check
            if kind_name[0].islower():
                self.checks["_" + name] = _side(kind_name, element.path)


@cache
def plan(name: str) -> Plan:
    """The compiled type of that name. Raises `KeyError` if R4 has none."""
    of = kind(name)
    if of is None:
        raise KeyError(name)
    return Plan(of)


def problems(resource: dict[str, Any], policy: Policy = WRITE) -> list[Problem]:
    """What is wrong with a resource beyond its structure, as far as the policy asks. Paths begin with its type."""
    name = resource.get("resourceType")
    if not isinstance(name, str) or kind(name) is None:
        return []
    found = walk_resource(resource, Scope(resource, resource, None, policy)) or []
    return [each._replace(path=f"{name}.{each.path}" if each.path else name) for each in found]


def walk_resource(value: Any, scope: Scope) -> Found:
    """A resource of any type: on its own, contained, or in a bundle."""
    name = value.get("resourceType") if isinstance(value, dict) else None
    of = kind(name) if isinstance(name, str) else None
    if of is None or not of.resource:
        return None
    return walk(plan(of.name), value, scope)


def walk(by: Plan, value: Any, scope: Scope, path: str = "") -> Found:
    """A complex value; `path` is that of the element it stands for."""
    if not isinstance(value, dict):
        return None
    found: list[Problem] = []
    checks = by.checks
    for name, child in value.items():
        check = checks.get(name)
        if check is None:
            continue
        if type(child) is list and name != "fhir_comments":
            for at, each in enumerate(child):
                if wrong := check(each, scope):
                    found += _under(f"{name}[{at}]", wrong)
        elif wrong := check(child, scope):
            found += _under(name, wrong)
    if by.resource and "contained" in value and (wrong := unreferenced(value)):
        found += wrong
    if not by.resource and (not value or (len(value) == 1 and "id" in value)):
        found += _EMPTY
    if ("extension" in value or "modifierExtension" in value) and (
        wrong := check_extensions(value, by.kind, path, scope.policy)
    ):
        found += wrong
    if by.extension and _valued(value) == bool(value.get("extension")):
        found += _EXTENSION
    if by.invariants and (broken := _broken(by.invariants, Node(value, by.kind), value, scope)):
        found += broken
    if by.rule is not None and (wrong := by.rule(value)):
        found += wrong
    return found or None


def _under(name: str, wrong: Iterable[Problem]) -> list[Problem]:
    name = name.removeprefix("_")
    return [each._replace(path=f"{name}.{each.path}" if each.path else name) for each in wrong]


def _valued(extension: dict[str, Any]) -> bool:
    return any(name.startswith(("value", "_value")) for name in extension)


def _broken(rules: tuple[Invariant, ...], node: Node, value: Any, scope: Scope) -> list[Problem]:
    environment: Environment | None = None
    found: list[Problem] = []
    warnings = scope.policy.warnings
    for rule in rules:
        if not warnings and rule.severity != "error":
            continue
        if rule.triggers is not None and isinstance(value, dict) and rule.triggers.isdisjoint(value):
            continue
        if environment is None:
            environment = Environment([node], scope.resource_node, scope.root_node, [node], scope.resolve_node)
        if not rule.holds(environment):
            found.append(Problem("", rule.text, "invariant", rule.severity))
    return found


def _inherited_invariants(of: Kind) -> tuple[Invariant, ...]:
    own = invariants_at(of.name, of)
    return (*invariants_at("DomainResource", of), *own) if "DomainResource" in of.ancestors else own


def _side(kind_name: str, path: str) -> Check:
    """Id and extensions of a primitive value."""
    return lambda value, scope: None if value is None else walk(_side_plan(kind_name), value, scope, path)


@cache
def _side_plan(kind_name: str) -> Plan:
    """Of the values beside a primitive: those of an Element, with the name of the primitive's type."""
    of, element = kind(kind_name), kind("Element")
    if of is None or element is None:
        raise KeyError(kind_name)
    made = Plan(element)
    made.kind = of
    return made


def _check(of: Kind, element: Element, kind_name: str) -> Check | None:
    """The check of one property, or None if nothing can be wrong with it."""
    if kind_name == "Resource":
        if element.name == "contained":
            return _contained
        return _in_bundle if of.name == "Bundle.entry" else _on_its_own
    if of.resource and element.name == "id":
        return _plain(check_id_value)
    at = kind(kind_name)
    if at is None:
        return None
    rules = invariants_at(element.path, at) if element.path not in (kind_name, of.name) else ()
    checks: list[Check] = []
    if kind_name == "xhtml":
        checks.append(_plain(check_narrative))
    elif at.primitive:
        if kind_name in CHECKS:
            checks.append(_plain(CHECKS[kind_name]))
        if kind_name == "markdown":
            checks.append(_markdown)
        elif kind_name == "url":
            checks.append(_address)
        if element.codes:
            checks.append(_coded(element.codes))
    else:
        checks.append(lambda value, scope: walk(plan(kind_name), value, scope, element.path))
        if kind_name == "Reference":
            checks.append(_referring(element.targets))
        elif element.codes and kind_name in ("CodeableConcept", "Coding"):
            checks.append(_concept(element.codes, several=kind_name == "CodeableConcept"))
    if rules:
        checks.append(lambda value, scope: _broken(rules, Node(value, at), value, scope))
    return _all(checks)


def _all(checks: list[Check]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None

    def every(value: Any, scope: Scope) -> Found:
        return [each for check in checks for each in check(value, scope) or ()] or None

    return every


def _plain(check: Callable[[Any], str | None]) -> Check:
    def checked(value: Any, scope: Scope) -> Found:
        text = check(value) if isinstance(value, str) else None
        return None if text is None else [Problem("", text, "value")]

    return checked


def _markdown(value: Any, scope: Scope) -> Found:
    severity = scope.policy.raw_html
    if severity is None or not isinstance(value, str) or not RAW_HTML.search(value):
        return None
    return [Problem("", "write markdown without HTML tags, which are shown as text", "value", severity)]


def _address(value: Any, scope: Scope) -> Found:
    severity = scope.policy.example_urls
    if severity is None or not isinstance(value, str) or not is_example(value):
        return None
    return [Problem("", "give the real address, not one that stands for examples", "value", severity)]


def _advice(name: str) -> str:
    codes = sorted(code for some in code_sets()[name].values() for code in some)
    listed = f": {', '.join(codes)}" if len(codes) <= _FEW else ""
    return f"use a code of the value set http://hl7.org/fhir/ValueSet/{name}{listed}"


def _coded(name: str) -> Check:
    codes = frozenset().union(*code_sets()[name].values())
    wrong = [Problem("", _advice(name), "code-invalid")]
    return lambda value, scope: wrong if isinstance(value, str) and value not in codes else None


def _concept(name: str, *, several: bool) -> Check:
    systems = code_sets()[name]
    wrong = [Problem("", _advice(name), "code-invalid")]

    def fits(coding: Any) -> bool:
        return isinstance(coding, dict) and coding.get("code") in systems.get(coding.get("system", ""), ())

    def concept(value: Any, scope: Scope) -> Found:
        if not isinstance(value, dict):
            return None
        codings = value.get("coding", ()) if several else (value,)
        return None if any(fits(each) for each in codings) else wrong

    return concept


def _contained(value: Any, scope: Scope) -> Found:
    return walk_resource(value, scope.contained(value)) if isinstance(value, dict) else None


def _on_its_own(value: Any, scope: Scope) -> Found:
    """In Parameters."""
    return walk_resource(value, parameter_scope(value, scope)) if isinstance(value, dict) else None


def _in_bundle(value: Any, scope: Scope) -> Found:
    return walk_resource(value, entry_scope(value, scope)) if isinstance(value, dict) else None


def _referring(targets: frozenset[str]) -> Check:
    """Form, target type and, for `#id`, that the resource is there. https://hl7.org/fhir/R4/references.html"""
    allowed = ", ".join(sorted(targets))
    wrong_type = [Problem("", f"refer to one of: {allowed}", "value")]

    def referring(value: Any, scope: Scope) -> Found:
        if not isinstance(value, dict):
            return None
        stated = stated_type(value)
        text = value.get("reference")
        named: str | None = None
        if isinstance(text, str):
            named, formed = target_type(text)
            if not formed:
                return [Problem("reference", FORM, "value")]
            if text.startswith("#"):
                target = scope.local(text)
                if target is None:
                    return [Problem("reference", "ref-1: contain the resource that this #id refers to", "invariant")]
                named = target.get("resourceType")
            elif named is None and (found := scope.resolve(text)) is not None:
                named = found.get("resourceType")
            elif scope.among is not None and named is not None and _missing(text, named, scope.among):
                return [Problem("reference", _AWAY, "not-found", scope.policy.unresolved or "information")]
        if targets and ((named is not None and named not in targets) or (stated is not None and stated not in targets)):
            return wrong_type
        if named is not None and stated is not None and named != stated:
            return [Problem("type", "name the type that the reference has", "value")]
        return None

    return referring


def _missing(text: str, named: str, among: frozenset[str]) -> bool:
    """Whether resources of the named type came along, the one referred to not among them."""
    return text.startswith(f"{named}/") and text not in among and any(each.startswith(f"{named}/") for each in among)
