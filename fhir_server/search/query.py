# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Parses search parameters into filters (https://hl7.org/fhir/R4/search.html).

Unknown parameters, modifiers and prefixes are refused; with `Prefer: handling=lenient` unknown parameters are
left out, and the self link shows what was used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import re
from typing import Literal, cast

from fhir_server.limits import LIMITS, SearchLimits
from fhir_server.outcome import FhirError, Invalid, NotSupported
from fhir_server.search.index import OF_TYPE, TEXT
from fhir_server.search.literals import (
    Reading,
    ReferenceValue,
    TokenValue,
    Value,
    split,
    string,
    typed_identifier,
    unescape,
)
from fhir_server.search.parameters import SearchParameter, resource_types

DEFAULT_COUNT = 50
HIERARCHY = "partof"
"""The parameter by which Location and Organization form a hierarchy (search.html#modifiers, :below)."""

Parameters = Mapping[str, SearchParameter]
Summary = Literal["true", "false", "text", "data", "count"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One parameter: any of the values must match. `type` is the parameter's, or id, updated."""

    code: str
    type: str
    modifier: str | None
    values: tuple[Value, ...]
    missing: bool | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """The resource that `code` refers to is of one of these types and matches its filter."""

    code: str
    branches: tuple[tuple[str, "Filter"], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of `type` that matches refers here by `code`."""

    type: str
    code: str
    filter: "Filter"


Filter = Condition | Chain | Has


@dataclass(frozen=True, slots=True)
class Sort:
    """A key of the order; `type` as in `Condition`."""

    code: str
    type: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """What comes along: where `type`'s references by `code` lead, or with `reverse` where they come from."""

    type: str
    code: str
    target: str | None
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A search as it will be run."""

    conditions: tuple[Filter, ...]
    count: int
    total: bool
    cursor: str | None
    used: tuple[tuple[str, str], ...]
    """The parameters that were used, for the self link."""
    sort: tuple[Sort, ...] = ()
    includes: tuple[Include, ...] = ()
    elements: tuple[str, ...] = ()
    summary: Summary = "false"

    @property
    def ids(self) -> tuple[str, ...] | None:
        """The ids asked for, if any."""
        found = [each for each in self.conditions if isinstance(each, Condition) and each.type == "id"]
        return tuple(cast(TokenValue, value).code or "" for each in found for value in each.values) if found else None


MODIFIERS: Mapping[str, frozenset[str]] = {
    "token": frozenset({"not", "missing", "text", "in", "not-in", "above", "below", "of-type"}),
    "string": frozenset({"exact", "contains", "missing"}),
    "reference": frozenset({"identifier", "missing", "above", "below"}),
    "uri": frozenset({"missing", "above", "below"}),
    **dict.fromkeys(("date", "number", "quantity", "composite", "special"), frozenset({"missing"})),
}
"""By type of parameter; a reference also takes the name of a resource type."""
_RANGES = frozenset({"date", "number", "quantity", "composite", "special", "updated"})
_CONTROL = frozenset({"_format", "_pretty"})
_NOT_OFFERED: Mapping[str, str] = {
    "_filter": "_filter is not offered: join conditions by & and alternatives by commas, follow references by chains",
    "_text": "_text is not offered: narratives are not indexed; search by :text or the parameters of the type",
    "_content": "_content is not offered: bodies are not indexed; search by :text or the parameters of the type",
    "_query": "_query is not offered: there are no named queries here; see operations in the CapabilityStatement",
    "_contained": "_contained is not offered: contained resources are found by what contains them",
    "_containedType": "_containedType is not offered: contained resources are found by what contains them",
    "_list": "_list is not offered: this service holds no List",
}
"""What R4 defines and we do not serve: nobody shall take it for a misspelling."""


def parse_query(
    given: Sequence[tuple[str, str]],
    parameters: Parameters,
    *,
    lenient: bool = False,
    types: Mapping[str, Parameters] | None = None,
    now: datetime | None = None,
    base: str | None = None,
    limits: SearchLimits = LIMITS,
) -> Query:
    """The search that the parameters ask for. Raises `NotSupported` or `Invalid` naming the parameter.

    `types`: the parameters of every type that chains and includes may lead to; without it there are none.
    `now`: what `ap` is measured from. `base`: the server's FHIR base, to know references to itself. `limits`: beyond
    them it raises `Invalid`.
    """
    if len(given) > limits.parameters:
        raise Invalid(f"a search may have at most {limits.parameters} parameters", code="too-many")
    own = next(iter(parameters.values())).resource
    parser = _Parser({own: parameters, **(types or {})}, Reading(now or datetime.now(UTC), base), limits)
    conditions: list[Filter] = []
    used: list[tuple[str, str]] = []
    sort: list[Sort] = []
    includes: list[Include] = []
    elements: tuple[str, ...] = ()
    summary: Summary = "false"
    count, total, cursor = DEFAULT_COUNT, False, None
    for name, value in given:
        if "\x00" in name or "\x00" in value:
            raise Invalid("a search parameter holds a character that is no text")
        try:
            match name.partition(":")[0]:
                case "_count":
                    count = _count(value, limits.count)
                case "_total":
                    total = _total(value)
                case "_totalMethod":  # Aidbox's name for it, which fhirpy sends
                    total = value == "count" or _total(value)
                case "_cursor":
                    cursor = value
                case "_sort":
                    sort = parser.sort(own, value)
                case "_include" | "_revinclude":
                    includes.append(parser.include(name, value))
                case "_elements":
                    elements = _elements(value)
                case "_summary":
                    summary = _summary(value)
                case code if code in _CONTROL:
                    continue
                case _:
                    conditions.append(parser.filter(own, name, value, 0))
        except NotSupported as error:
            if lenient and error.detail_code in ("unknown-parameter", "unsupported-parameter"):
                continue
            raise
        used.append((name, value))
    if len(includes) > limits.includes:
        raise Invalid(f"a search may have at most {limits.includes} includes", code="too-many")
    if elements and summary in ("true", "text", "data"):
        raise Invalid("_elements and _summary cannot be used together")
    if summary == "count":
        count, total = 0, True
    return Query(tuple(conditions), count, total, cursor, tuple(used), tuple(sort), tuple(includes), elements, summary)


class _Parser:
    def __init__(self, types: Mapping[str, Parameters], reading: Reading, limits: SearchLimits) -> None:
        self._types, self._reading, self._limits = types, reading, limits

    def filter(self, kind: str, name: str, text: str, depth: int) -> Filter:
        if depth > self._limits.chain:
            raise Invalid(f"a chain may have at most {self._limits.chain} links", code="too-deep")
        if name.startswith("_has:"):
            return self._has(kind, name, text, depth)
        if name == "_list" and "item" in self._types.get("List", {}):
            if text.startswith("$"):
                raise NotSupported("_list takes ids of Lists; there are no functional lists here")
            return Has("List", "item", self.filter("List", "_id", text, depth + 1))
        head, dot, rest = name.partition(".")
        if dot:
            return self._chain(kind, head, rest, text, depth)
        code, _, modifier = name.partition(":")
        if code in ("_id", "_lastUpdated"):
            if modifier:
                raise NotSupported(f"{code} takes no modifier", code="unknown-modifier")
            return self._of_resource(code, text)
        return self._condition(self._parameter(kind, code), modifier or None, text)

    def sort(self, kind: str, text: str) -> list[Sort]:
        keys = text.split(",")
        if len(keys) > self._limits.sort:
            raise Invalid(f"_sort takes at most {self._limits.sort} keys", code="too-many")
        found: list[Sort] = []
        for key in keys:
            code = key.removeprefix("-")
            if code in ("_id", "_lastUpdated"):
                type_ = "id" if code == "_id" else "updated"
            else:
                type_ = self._parameter(kind, code).type
            if type_ in ("composite", "special"):
                raise NotSupported(f"{code} has no order: it is no single value", code="unknown-parameter")
            found.append(Sort(code, type_, key.startswith("-")))
        return found

    def include(self, name: str, text: str) -> Include:
        plain, _, modifier = name.partition(":")
        if modifier not in ("", "iterate"):
            raise NotSupported(f"{plain} takes the modifier :iterate only", code="unknown-modifier")
        parts = text.split(":")
        if "*" in parts:
            raise NotSupported(f"{plain}=* is not offered; name the parameters, each by {plain}=Type:parameter")
        if len(parts) not in (2, 3):
            raise Invalid(f"{plain} takes Type:parameter or Type:parameter:TargetType")
        target = parts[2] if len(parts) == 3 else None
        parameter = self._reference(parts[0], parts[1])
        if target is not None:
            _check_target(parameter, target)
        return Include(parts[0], parameter.code, target, plain == "_revinclude", modifier == "iterate")

    def _most(self, kind: str) -> int:
        return self._limits.ranges if kind in _RANGES else self._limits.values

    def _of_resource(self, code: str, text: str) -> Condition:
        parts = _values(code, text, self._most("updated" if code == "_lastUpdated" else "id"))
        if code == "_id":
            return Condition(code, "id", None, tuple(TokenValue(None, each) for each in parts))
        return Condition(code, "updated", None, tuple(self._reading.date(each, code) for each in parts))

    def _condition(self, parameter: SearchParameter, modifier: str | None, text: str) -> Condition:
        code, kind = parameter.code, parameter.type
        typed = kind == "reference" and modifier is not None and modifier[0].isupper()
        if modifier is not None and modifier not in MODIFIERS[kind] and not typed:
            raise NotSupported(
                f"modifier :{_shown(modifier or '')} is not supported for {code}", code="unknown-modifier"
            )
        if typed:
            _check_target(parameter, modifier or "")
        if modifier == "missing":
            if text not in ("true", "false"):
                raise Invalid(f"{code}:missing takes true or false")
            return Condition(code, kind, modifier, (), missing=text == "true")
        parts = _values(code, text, self._most(kind))
        if modifier == "text":
            return Condition(code + TEXT, "string", None, tuple(string(each, code) for each in parts))
        if modifier == "of-type":
            return Condition(code + OF_TYPE, "token", None, tuple(typed_identifier(each, code) for each in parts))
        if modifier in ("in", "not-in"):
            return Condition(code, kind, modifier, tuple(TokenValue(None, unescape(each)) for each in parts))
        values = tuple(self._reading.value(parameter, modifier, each) for each in parts)
        if kind == "reference" and modifier in ("above", "below"):
            self._check_hierarchy(code, values)
        return Condition(code, kind, modifier, values)

    def _check_hierarchy(self, code: str, values: tuple[Value, ...]) -> None:
        for value in values:
            named = value.type if isinstance(value, ReferenceValue) and value.base is None else None
            if named is None or HIERARCHY not in self._types.get(named, {}):
                raise Invalid(f"{code}:above and :below take a reference like Location/1 to a type with {HIERARCHY}")

    def _chain(self, kind: str, head: str, rest: str, text: str, depth: int) -> Chain:
        code, _, named = head.partition(":")
        parameter = self._reference(kind, code)
        if named:
            self._check_type(named)
        targets = [named] if named else [each for each in parameter.target or self._types if each in self._types]
        branches: list[tuple[str, Filter]] = []
        refused: FhirError = NotSupported(f"{code} leads to no type that is served here", code="unknown-parameter")
        for target in targets:
            try:
                branches.append((target, self.filter(target, rest, text, depth + 1)))
            except NotSupported as error:  # another of the types may have the parameter
                refused = error
        if not branches:
            raise refused
        return Chain(code, tuple(branches))

    def _has(self, kind: str, name: str, text: str, depth: int) -> Has:
        parts = name.split(":", 3)
        if len(parts) != 4 or not parts[3]:
            raise Invalid("_has takes _has:Type:reference:parameter")
        _, source, code, rest = parts
        parameter = self._reference(source, code)
        if parameter.target and kind not in parameter.target:
            raise NotSupported(f"{source}.{code} does not refer to {kind}", code="unknown-parameter")
        return Has(source, code, self.filter(source, rest, text, depth + 1))

    def _reference(self, kind: str, code: str) -> SearchParameter:
        self._check_type(kind)
        parameter = self._parameter(kind, code)
        if parameter.type != "reference":
            raise NotSupported(f"{kind}.{parameter.code} is no reference", code="unknown-parameter")
        return parameter

    def _parameter(self, kind: str, code: str) -> SearchParameter:
        parameters = self._types[kind]
        if code not in parameters and code in _NOT_OFFERED:
            raise NotSupported(_NOT_OFFERED[code], code="unsupported-parameter")
        if code not in parameters:
            offered = ", ".join(sorted(["_id", "_lastUpdated", "_count", *parameters]))
            raise NotSupported(
                f"unknown search parameter {_shown(code)} of {kind}; offered: {offered}", code="unknown-parameter"
            )
        return parameters[code]

    def _check_type(self, kind: str) -> None:
        if kind not in self._types:
            offered = ", ".join(sorted(self._types))
            raise NotSupported(
                f"the type {_shown(kind)} is not served here; served: {offered}", code="unknown-parameter"
            )


def _check_target(parameter: SearchParameter, kind: str) -> None:
    """References may lead to a type that is not served here."""
    if kind not in (parameter.target or resource_types()):
        raise NotSupported(f"{parameter.code} does not refer to {_shown(kind)}", code="unknown-parameter")


def _values(code: str, text: str, most: int) -> list[str]:
    parts = split(text, ",")
    if not all(parts):
        raise Invalid(f"search parameter {code} has no value" if len(parts) == 1 else f"a value of {code} is empty")
    if len(parts) > most:
        raise Invalid(f"search parameter {code} takes at most {most} values", code="too-many")
    return parts


def _count(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit():
        raise Invalid("_count must be a whole number")
    return min(int(text.lstrip("0")[:9] or 0), most)


def _total(text: str) -> bool:
    if text not in ("none", "estimate", "accurate"):
        raise Invalid("_total must be none, estimate or accurate")
    return text != "none"


def _summary(text: str) -> Summary:
    if text not in ("true", "false", "text", "data", "count"):
        raise Invalid("_summary must be true, false, text, data or count")
    return cast(Summary, text)


def _elements(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(re.fullmatch(r"[A-Za-z]\w*(\[x\])?", each, re.ASCII) for each in names):
        raise Invalid("_elements takes names of elements of the resource, separated by commas")
    return names


def _shown(name: str) -> str:
    """The name as it was sent, unless it may hold something that is no name."""
    return name if re.fullmatch(r"[A-Za-z_-]{1,40}", name) else "(not a parameter name)"
