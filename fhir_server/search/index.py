# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Extracts search values from a resource when it is written (https://hl7.org/fhir/R4/search.html#ptypes)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Any, NamedTuple

from fhir_server.search.parameters import Component, SearchParameter
from fhir_server.search.values import (
    bounded,
    dates_of,
    display_of,
    normalised,
    position_of,
    quantities_of,
    references_of,
    strings_of,
    tokens_of,
    typed_identifiers_of,
)

VERSION = 2
"""Counts up when the same resource gets other values: what was written before is not found by the new ones."""
TEXT = ":text"
"""Suffix of the rows that the modifier :text reads; they stand among the strings."""
OF_TYPE = ":of-type"
"""Suffix of the rows that the modifier :of-type reads; they stand among the tokens."""


LATITUDE, LONGITUDE = ":latitude", ":longitude"
"""Suffixes of the two rows that `near` reads; they stand among the quantities."""


class Token(NamedTuple):
    """`system` is None where there is none."""

    parameter: str
    system: str | None
    code: str


class String(NamedTuple):
    """Normalised text for comparing, raw text for :exact."""

    parameter: str
    value: str
    exact: str


class Reference(NamedTuple):
    """`target` is an id, or a URL where the reference names no resource type; `base` of an absolute reference."""

    parameter: str
    target_type: str | None
    target: str | None
    base: str | None
    system: str | None
    value: str | None


class Date(NamedTuple):
    """From the first instant to the one after the last."""

    parameter: str
    low: datetime
    high: datetime


class Quantity(NamedTuple):
    """A number, a quantity or a range; a number has no system, code and unit."""

    parameter: str
    system: str | None
    code: str | None
    unit: str | None
    low: Decimal
    high: Decimal


class Composite(NamedTuple):
    """One group of a composite: the first component is a token, the second fills the columns of its type.

    A third is a number.
    """

    parameter: str
    system: str | None
    code: str
    system_2: str | None = None
    code_2: str | None = None
    unit: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    exact: str | None = None
    target_type: str | None = None
    target: str | None = None
    base: str | None = None
    low_3: Decimal | None = None
    high_3: Decimal | None = None


@dataclass(slots=True)
class SearchValues:
    """The values of one resource, by the table they go into."""

    tokens: list[Token] = field(default_factory=list)
    strings: list[String] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    dates: list[Date] = field(default_factory=list)
    quantities: list[Quantity] = field(default_factory=list)
    composites: list[Composite] = field(default_factory=list)

    def by_table(self) -> Iterator[tuple[str, Sequence[NamedTuple]]]:
        """The name of each table (an attribute of `ResourceTables`) and its rows, tables without rows left out."""
        given: tuple[tuple[str, Sequence[NamedTuple]], ...] = (
            ("token", self.tokens),
            ("string", self.strings),
            ("reference", self.references),
            ("date", self.dates),
            ("quantity", self.quantities),
            ("composite", self.composites),
        )
        return ((name, rows) for name, rows in given if rows)


class Extraction:
    """What is extracted from the resources of a type: the parameters by the names of which they need one."""

    def __init__(self, parameters: Iterable[SearchParameter]) -> None:
        self._always: list[SearchParameter] = []
        self._by_key: dict[str, list[SearchParameter]] = {}
        for each in parameters:
            keys = each.keys
            if keys is None:
                self._always.append(each)
            for key in keys or ():
                self._by_key.setdefault(key, []).append(each)

    def values(self, resource: Mapping[str, Any]) -> SearchValues:
        """Every search value of the resource, each once."""
        wanted = {id(each): each for key in resource if key in self._by_key for each in self._by_key[key]}
        return extract_values(resource, (*self._always, *wanted.values()))


def extract_values(resource: Mapping[str, Any], parameters: Iterable[SearchParameter]) -> SearchValues:
    """Every search value of the resource for these parameters, each once."""
    values = SearchValues()
    known: _Known = {}
    for parameter in parameters:
        for value in parameter.extract(resource):
            _add(values, parameter, value, resource, known)
    for name in SearchValues.__slots__:
        rows = getattr(values, name)
        if len(rows) > 1:
            setattr(values, name, list(dict.fromkeys(rows)))
    return values


_Known = dict[tuple[str, str, int], tuple[Any, list[dict[str, Any]]]]
"""The parts of components by type, expression and group: an Observation's composites ask for its code many times.

The group is kept, so that its identity stands for no other.
"""


def _add(
    values: SearchValues, parameter: SearchParameter, value: Any, resource: Mapping[str, Any], known: _Known
) -> None:
    code = parameter.code
    match parameter.type:
        case "token":
            system = parameter.system if isinstance(value, str) else None
            values.tokens += (Token(code, own or system, each) for own, each in tokens_of(value))
            values.tokens += (Token(code + OF_TYPE, *each) for each in typed_identifiers_of(value))
            values.strings += (String(code + TEXT, normalised(text), text) for text in display_of(value))
        case "string":
            values.strings += (String(code, normalised(text), text) for text in strings_of(value))
        case "reference":
            values.references += (Reference(code, *each) for each in references_of(value))
        case "uri":
            if isinstance(value, str):
                # A canonical is found with and without its version.
                values.tokens += (Token(code, None, bounded(each)) for each in {value, value.partition("|")[0]})
        case "date":
            values.dates += (Date(code, *each) for each in dates_of(value))
        case "number" | "quantity":
            values.quantities += (Quantity(code, *each) for each in quantities_of(value))
        case "special":
            position = position_of(value)
            if position is not None:
                for name, degrees in zip((LATITUDE, LONGITUDE), position, strict=True):
                    values.quantities.append(Quantity(code + name, None, None, None, degrees, degrees))
        case "composite":
            values.composites += _composites(parameter, resource, value, known)


def _composites(
    parameter: SearchParameter, resource: Mapping[str, Any], group: Any, known: _Known
) -> Iterator[Composite]:
    """Every combination of the components' values in one group; a group that lacks one of them has none."""
    if not isinstance(group, Mapping):
        return
    found: list[list[dict[str, Any]]] = []
    for each in reversed(parameter.components):  # the last is what most groups lack
        parts = _component(each, resource, group, known)
        if not parts:
            return
        found.append(parts)
    first, second, *more = reversed(found)
    third = more[0] if more else [{}]
    for token, other, last in product(first, second, third):
        number = {"low_3": last["low"], "high_3": last["high"]} if last else {}
        yield Composite(parameter.code, token["system_2"], token["code_2"], **other, **number)


def _component(
    component: Component, resource: Mapping[str, Any], group: Mapping[str, Any], known: _Known
) -> list[dict[str, Any]]:
    key = (component.type, component.expression, id(group))
    if key not in known:
        parts = [value for each in component.values(resource, group) for value in _parts(component.type, each)]
        known[key] = (group, parts)
    return known[key][1]


def _parts(kind: str, value: Any) -> Iterator[dict[str, Any]]:
    """The columns that a component fills where it is the second."""
    match kind:
        case "token":
            for system, code in tokens_of(value):
                yield {"system_2": system, "code_2": code}
        case "quantity" | "number":
            for system, quantity_code, unit, low, high in quantities_of(value):
                yield {"system_2": system, "code_2": quantity_code, "unit": unit, "low": low, "high": high}
        case "date":
            for since, until in dates_of(value):
                yield {"since": since, "until": until}
        case "string":
            for text in strings_of(value):
                yield {"text": normalised(text), "exact": text}
        case "reference":
            for target_type, target, base, _, _ in references_of(value):
                yield {"target_type": target_type, "target": target, "base": base}
