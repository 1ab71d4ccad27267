# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Compiles the path subset of FHIRPath that search parameters use to plain extractor functions.

https://hl7.org/fhir/R4/fhirpath.html. Covered: paths, unions, `as`, `.as()`, `.ofType()`, `[0]`,
`.where(resolve() is T)`, `.where(field='value')`, `X.exists() and X != false`. Anything else is refused when
it is compiled, at start, not when a resource arrives.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
import re
from typing import Any

from fhir_server.validation.definitions import choices

Extract = Callable[[Mapping[str, Any]], list[Any]]
_Step = Callable[[list[Any]], list[Any]]

_CAST = re.compile(r"\(\s*(.+?)\s+as\s+(\w+)\s*\)")
_RESOLVE = re.compile(r"where\(resolve\(\) is (\w+)\)")
_EQUALS = re.compile(r"where\((\w+)\s*=\s*'([^']*)'\)")
_AS = re.compile(r"(?:as|ofType)\((\w+)\)")
_AT = re.compile(r"([A-Za-z]\w*)\[(\d+)\]")
_NAME = re.compile(r"[A-Za-z]\w*")
_EXISTS_NOT_FALSE = re.compile(r"(.+)\.exists\(\) and \1 != false")


class UnsupportedExpression(ValueError):
    """The expression uses more of FHIRPath than search parameters need."""


def compile_expression(expression: str) -> Extract:
    """The function that gives the values of `expression` in a resource. Raises `UnsupportedExpression`."""
    match = _EXISTS_NOT_FALSE.fullmatch(expression.strip())
    if match is not None:
        inner = _term(match.group(1))
        return lambda resource: [any(value is not False for value in inner(resource))]
    terms = [_term(term) for term in expression.split("|")]
    if len(terms) == 1:
        return terms[0]
    return lambda resource: [value for term in terms for value in term(resource)]


def first_keys(expression: str) -> frozenset[str] | None:
    """Names in JSON of which a resource must have one for the expression to give a value; None: it may always.

    With them an extraction leaves out most expressions without trying them.
    """
    if _EXISTS_NOT_FALSE.fullmatch(expression.strip()):
        return None
    found: set[str] = set()
    for term in expression.split("|"):
        names = _names(term)
        if not names or not _NAME.fullmatch(names[0]):
            return None
        cast = _AS.fullmatch(names[1]) if len(names) > 1 else None
        kinds = choices().get(names[0], {})
        key = names[0] + cast[1][:1].upper() + cast[1][1:] if cast else ""
        found |= {names[0], key} if key in kinds else {names[0], *kinds}
    return frozenset(found)


def _term(text: str) -> Extract:
    names = _names(text)
    steps = _steps(names)
    if not names or not _NAME.fullmatch(names[0]) or names[0] in choices():
        return partial(_walk, steps)
    first, further = names[0], _steps(names[1:])

    def extract(resource: Mapping[str, Any]) -> list[Any]:
        # Most elements that parameters look for are not in a resource.
        child = resource.get(first)
        if child is None:
            return []
        values = child if isinstance(child, list) else [child]
        for step in further:
            values = step(values)
            if not values:
                break
        return values

    return extract


def _names(term: str) -> list[str]:
    """The steps of a path. `name | alias` of InsurancePlan: a path may leave out the type that it begins at."""
    first, *others = _split(_normalised(term.strip()))
    return others if first[0].isupper() or first[0] == "%" else [first, *others]


def _walk(steps: Sequence[_Step], resource: Mapping[str, Any]) -> list[Any]:
    values: list[Any] = [resource]
    for step in steps:
        values = step(values)
        if not values:
            break
    return values


def _normalised(text: str) -> str:
    """`(X as T).y` and `X as T` written as `X.as(T).y`."""
    text = _CAST.sub(lambda match: f"{match.group(1)}.as({match.group(2)})", text)
    return re.sub(r"^(\S+) as (\w+)$", r"\1.as(\2)", text)


def _split(path: str) -> list[str]:
    """Splits at the dots outside parentheses."""
    parts, depth, current = [], 0, ""
    for char in path:
        depth += (char == "(") - (char == ")")
        if char == "." and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]


def _steps(names: Sequence[str]) -> list[_Step]:
    found: list[_Step] = []
    at = 0
    while at < len(names):
        cast = _AS.fullmatch(names[at + 1]) if at + 1 < len(names) else None
        key = names[at] + cast[1][:1].upper() + cast[1][1:] if cast else ""
        if cast and key in choices().get(names[at], {}):
            found.append(partial(_cast, names[at], key, cast[1]))
            at += 2
        else:
            found.append(_step(names[at]))
            at += 1
    return found


def _cast(name: str, key: str, kind: str, values: Sequence[Any]) -> list[Any]:
    """`value.as(Quantity)`: what stands as valueQuantity, or as value in a type that has no choice there."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            child = value.get(key)
            if child is not None:
                found.append(child)
            elif name in value:
                found += [each for each in _plain_children(name, [value]) if _is_of(each, kind)]
    return found


def _step(name: str) -> _Step:
    if match := _RESOLVE.fullmatch(name):
        prefix = match.group(1) + "/"
        return lambda values: [value for value in values if _refers_to(value, prefix)]
    if match := _EQUALS.fullmatch(name):
        field, wanted = match.groups()
        return lambda values: [value for value in values if isinstance(value, dict) and value.get(field) == wanted]
    if match := _AS.fullmatch(name):
        kind = match.group(1)
        return lambda values: [value for value in values if _is_of(value, kind)]
    if match := _AT.fullmatch(name):
        element, at = match[1], int(match[2])
        return lambda values: _plain_children(element, values)[at : at + 1]
    if not _NAME.fullmatch(name):
        raise UnsupportedExpression(name)
    # Only these names stand for several in JSON; looking for them everywhere took half the time of an extraction.
    return partial(_children if name in choices() else _plain_children, name)


class _Choice(dict[str, Any]):
    """A value of a choice element, with the type its name carried."""

    kind: str


class _Primitive(str):
    """A primitive value of a choice element, with its type."""

    kind: str


def _plain_children(name: str, values: Sequence[Any]) -> list[Any]:
    if len(values) == 1:
        child = values[0].get(name) if isinstance(values[0], dict) else None
        return [] if child is None else child if isinstance(child, list) else [child]
    found: list[Any] = []
    for value in values:
        child = value.get(name) if isinstance(value, dict) else None
        if isinstance(child, list):
            found.extend(child)
        elif child is not None:
            found.append(child)
    return found


def _children(name: str, values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not isinstance(value, dict):
            continue
        child = value.get(name)
        if child is None:
            found.extend(_choices(value, name))
        elif isinstance(child, list):
            found.extend(child)
        else:
            found.append(child)
    return found


def _choices(value: Mapping[str, Any], name: str) -> list[Any]:
    """`onset` stands for `onsetDateTime`, `onsetPeriod` … (https://hl7.org/fhir/R4/formats.html#choice)."""
    found: list[Any] = []
    kinds = choices()[name]
    for key in value.keys() & kinds.keys():
        kind, child = kinds[key], value[key]
        if isinstance(child, dict):
            choice = _Choice(child)
            choice.kind = kind
            found.append(choice)
        elif isinstance(child, str):
            primitive = _Primitive(child)
            primitive.kind = kind
            found.append(primitive)
        else:
            found.append(child)
    return found


def _is_of(value: Any, kind: str) -> bool:
    actual = getattr(value, "kind", None)
    if actual is not None:
        return bool(actual.lower() == kind.lower())
    if isinstance(value, dict) and "resourceType" in value:
        return bool(value["resourceType"] == kind)
    if isinstance(value, bool):
        return kind == "boolean"
    return True


def _refers_to(value: Any, prefix: str) -> bool:
    if not isinstance(value, dict):
        return False
    reference = value.get("reference")
    if isinstance(reference, str):
        return reference.startswith(prefix) or f"/{prefix}" in reference
    return value.get("type") == prefix[:-1]
