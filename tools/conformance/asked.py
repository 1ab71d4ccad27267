# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Searches that must find a value, written from the raw element (https://hl7.org/fhir/R4/search.html#ptypes).

Nothing of the product is used, so that an error in how it reads elements cannot be on both sides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
import re
from typing import Any

from tools.conformance.engine import Published

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?")
_WORDS = ("family", "given", "prefix", "suffix", "text", "line", "city", "district", "state", "postalCode", "country")
"""Parts of HumanName and Address that a string parameter looks at."""
_CURRENCIES = "urn:iso:std:iso:4217"


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter with a value."""

    name: str
    value: str
    exact: bool = True
    """Whether only resources with this very value may be found; a range finds others too."""


def asked(parameter: Published, resource: Mapping[str, Any]) -> Iterator[Asked]:
    """A search for each value of the resource; an element that no search can name has none."""
    for value in parameter.values(resource):
        if parameter.type == "composite":
            yield from _composite(parameter, resource, value)
        elif parameter.type == "reference":
            yield from _reference(parameter, value)
        else:
            yield from simple(parameter.type, parameter.code, value)
            if parameter.system is not None and isinstance(value, str):
                yield Asked(parameter.code, f"{escaped(parameter.system)}|{escaped(value)}")


def simple(kind: str, code: str, value: Any) -> Iterator[Asked]:
    """Searches for a value of any type but reference and composite."""
    match kind, value:
        case "token", bool():
            yield Asked(code, str(value).lower())
        case "token", {"coding": [*codings]} if any("code" in each for each in codings):
            yield from (Asked(code, token(each)) for each in codings if "code" in each)
        case "token", {"use": _, "value": str(text)} | {"rank": _, "value": str(text)}:
            yield Asked(code, escaped(text), exact=False)
        case "token", {"code": str()} | {"value": str()}:
            yield Asked(code, token(value))
        case "token", {"text": str(text)} | {"coding": [{"display": str(text)}, *_]} if text.strip():
            yield Asked(f"{code}:text", escaped(text), exact=False)
        case "token", str() if value.strip():
            yield Asked(code, escaped(value), exact=False)
        case "string", str() if value.strip():
            yield Asked(code, escaped(value), exact=False)
            yield Asked(f"{code}:exact", escaped(value))
        case "string", dict():
            for name in _WORDS:
                for text in _listed(value.get(name)):
                    yield from simple(kind, code, text)
        case "uri", str():
            yield Asked(code, escaped(value))
        case "date", _:
            yield from (Asked(code, text, exact=False) for text in _dates(value))
        case "number" | "quantity", _:
            yield from (Asked(code, text, exact=False) for text in _amounts(value))
        case "special", {"latitude": latitude, "longitude": longitude}:
            yield Asked(code, f"{latitude}|{longitude}|1|km", exact=False)


def token(value: Mapping[str, Any]) -> str:
    """`system|code` of a Coding or Identifier."""
    return f"{escaped(value.get('system', ''))}|{escaped(value.get('code', value.get('value', '')))}"


def escaped(text: str) -> str:
    """https://hl7.org/fhir/R4/search.html#escaping."""
    return re.sub(r"([\\|,$])", r"\\\1", text)


def _reference(parameter: Published, value: Any) -> Iterator[Asked]:
    code = parameter.code
    match value:
        case {"resourceType": str(kind), "id": str(identity)} if kind in parameter.target:
            yield Asked(code, f"{kind}/{identity}")
        case {"reference": str(reference)} if reference.startswith("#"):
            yield Asked(f"{code}:missing", "false", exact=False)  # what is contained has no address of its own
        case {"reference": str(reference)}:
            yield Asked(code, escaped(reference.partition("/_history")[0]))
        case str():
            yield Asked(code, escaped(value))
    match value:
        case {"identifier": {"value": str()} as identifier}:
            yield Asked(f"{code}:identifier", token(identifier))


def _composite(parameter: Published, resource: Mapping[str, Any], group: Any) -> Iterator[Asked]:
    values = [
        [text for each in found for text in _component(kind, each)]
        for (kind, _), found in zip(parameter.components, parameter.parts(resource, group), strict=True)
    ]
    for parts in product(*values):
        yield Asked(parameter.code, "$".join(parts), exact=False)


def _component(kind: str, value: Any) -> Iterator[str]:
    if kind == "reference":
        if isinstance(value, dict) and not str(value.get("reference", "#")).startswith("#"):
            yield escaped(value["reference"])
        return
    yield from (each.value for each in simple(kind, "", value) if not each.name)


def _dates(value: Any) -> Iterator[str]:
    """A date as it stands; a period by its start or end, so that it is found by what is known of it."""
    match value:
        case str() if _DATE.fullmatch(value):
            yield value
        case {"start": str(start)}:
            yield f"ge{start}"
        case {"end": str(end)}:
            yield f"le{end}"
        case {"event": [*events]}:
            for each in events:
                yield from _dates(each)
        case {"repeat": {"boundsPeriod": dict(bounds)}}:
            yield from _dates(bounds)


def _amounts(value: Any) -> Iterator[str]:
    compared = isinstance(value, dict) and "comparator" in value
    match value:
        case bool():
            return
        case int() | float():
            yield f"{value}"
        case {"value": (int() | float()) as number, "currency": str(currency)}:
            yield f"{number}|{_CURRENCIES}|{currency}"
        case {"value": (int() | float()) as number, "system": str(system), "code": str(unit)} if not compared:
            yield f"{number}|{escaped(system)}|{escaped(unit)}"
        case {"value": (int() | float()) as number, "unit": str(unit)} if not compared:
            yield f"{number}||{escaped(unit)}"
        case {"value": (int() | float()) as number} if not compared:
            yield f"{number}"
        case {"value": (int() | float()) as number, "comparator": str(comparator)}:
            yield f"{'lt' if comparator.startswith('<') else 'gt'}{number}"
        case {"low": {"value": (int() | float()) as number}}:
            yield f"ge{number}"
        case {"high": {"value": (int() | float()) as number}}:
            yield f"le{number}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
