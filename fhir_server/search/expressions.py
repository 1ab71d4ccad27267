# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Compiles the path subset of FHIRPath that search parameters use to plain extractor functions.

https://hl7.org/fhir/R4/fhirpath.html. Covered: paths, unions, `as`, `.as()`, `.ofType()`,
`.where(resolve() is T)`, `.where(field='value')`, `X.exists() and X != false`. Anything else is refused when
it is compiled, at start, not when a resource arrives.
"""

from collections.abc import Callable, Mapping, Sequence
import re
from typing import Any

from fhir_server.validation.definitions import choices, kind

Extract = Callable[[Mapping[str, Any]], list[Any]]
_Step = Callable[[list[Any]], list[Any]]

_CAST = re.compile(r"\(\s*(.+?)\s+as\s+(\w+)\s*\)")
_RESOLVE = re.compile(r"where\(resolve\(\) is (\w+)\)")
_EQUALS = re.compile(r"where\((\w+)\s*=\s*'([^']*)'\)")
_AS = re.compile(r"(?:as|ofType)\((\w+)\)")
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


def roots_of(expression: str) -> frozenset[str] | None:
    """The elements of a resource without which the expression has no values; None if that is not known.

    A type has some sixty parameters and a resource values for a dozen: the others need not be looked for.
    """
    if _EXISTS_NOT_FALSE.fullmatch(expression.strip()):
        return None
    found: set[str] = set()
    for term in expression.split("|"):
        root, *names = _split(_normalised(term.strip()))
        carried = _json_names(root, names[0]) if names else ()
        if not carried:
            return None
        found.update(name for name, _ in carried)
    return frozenset(found)


def _term(text: str) -> Extract:
    root, *names = _split(_normalised(text.strip()))
    steps = [_step(name, root if at == 0 else "") for at, name in enumerate(names)]

    def extract(resource: Mapping[str, Any]) -> list[Any]:
        values: list[Any] = [resource]
        for step in steps:
            values = step(values)
            if not values:
                break
        return values

    return extract


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


def _step(name: str, root: str) -> _Step:
    """`root`: the type of the values, where it is known."""
    if match := _RESOLVE.fullmatch(name):
        prefix = match.group(1) + "/"
        return lambda values: [value for value in values if _refers_to(value, prefix)]
    if match := _EQUALS.fullmatch(name):
        field, wanted = match.groups()
        return lambda values: [value for value in values if isinstance(value, dict) and value.get(field) == wanted]
    if match := _AS.fullmatch(name):
        kind = match.group(1)
        return lambda values: [value for value in values if _is_of(value, kind)]
    if not _NAME.fullmatch(name):
        raise UnsupportedExpression(name)
    if name in choices() and len(_json_names(root, name)) != 1:
        return lambda values: _children(values, name)
    return lambda values: _plain_children(values, name)


def _json_names(root: str, name: str) -> tuple[tuple[str, str], ...]:
    of = kind(root)
    return of.members.get(name, ()) if of is not None else ()


class _Choice(dict[str, Any]):
    """A value of a choice element, with the type its name carried."""

    kind: str


class _Primitive(str):
    """A primitive value of a choice element, with its type."""

    kind: str


def _children(values: Sequence[Any], name: str) -> list[Any]:
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


def _plain_children(values: Sequence[Any], name: str) -> list[Any]:
    """Of a name that no choice element has: looking for one took two thirds of the time of extraction."""
    found: list[Any] = []
    for value in values:
        child = value.get(name) if isinstance(value, dict) else None
        if child is None:
            continue
        if isinstance(child, list):
            found.extend(child)
        else:
            found.append(child)
    return found


def _choices(value: Mapping[str, Any], name: str) -> list[Any]:
    """`onset` stands for `onsetDateTime`, `onsetPeriod` … (https://hl7.org/fhir/R4/formats.html#choice)."""
    found: list[Any] = []
    size = len(name)
    for key, child in value.items():
        if key.startswith(name) and key[size : size + 1].isupper():
            kind = key[size:]
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
