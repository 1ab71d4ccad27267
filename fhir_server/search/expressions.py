# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Compiles the path subset of FHIRPath that search parameters use to plain extractor functions.

https://hl7.org/fhir/R4/fhirpath.html. Covered: paths, unions, `as`, `.as()`, `.ofType()`, `[0]`,
`.where(resolve() is T)`, `.where(field='value')`, `X.exists() and X != false`. Anything else is refused when
it is compiled, at start, not when a resource arrives.
"""

from collections.abc import Callable, Mapping, Sequence
import re
from typing import Any

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


def _term(text: str) -> Extract:
    first, *others = _split(_normalised(text.strip()))
    # `name | alias` of InsurancePlan: a path may leave out the type that it begins at.
    steps = [_step(name) for name in (others if first[0].isupper() or first[0] == "%" else [first, *others])]

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
        return lambda values: _children(values, element)[at : at + 1]
    if not _NAME.fullmatch(name):
        raise UnsupportedExpression(name)
    return lambda values: _children(values, name)


_CHOSEN = frozenset({
    "Address", "Age", "Annotation", "Attachment", "Base64Binary", "Boolean", "Canonical", "Code", "CodeableConcept",
    "Coding", "ContactDetail", "ContactPoint", "Contributor", "Count", "DataRequirement", "Date", "DateTime",
    "Decimal", "Distance", "Dosage", "Duration", "Expression", "HumanName", "Id", "Identifier", "Instant", "Integer",
    "Markdown", "Meta", "Money", "Oid", "ParameterDefinition", "Period", "PositiveInt", "Quantity", "Range", "Ratio",
    "Reference", "RelatedArtifact", "SampledData", "Signature", "String", "Time", "Timing", "TriggerDefinition",
    "UnsignedInt", "Uri", "Url", "UsageContext", "Uuid",
})  # fmt: skip
"""Types a choice may have (datatypes.html#open): `performerType` is another element, not a `performer`."""


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


def _choices(value: Mapping[str, Any], name: str) -> list[Any]:
    """`onset` stands for `onsetDateTime`, `onsetPeriod` … (https://hl7.org/fhir/R4/formats.html#choice)."""
    found: list[Any] = []
    for key, child in value.items():
        kind = key[len(name) :]
        if kind in _CHOSEN and key.startswith(name):
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
