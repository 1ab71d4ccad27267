# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a client orders by $export: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
import re
from typing import Any, Final, Literal, Self, cast
from urllib.parse import parse_qsl

from fhir_server.interactions.serving import Serving
from fhir_server.outcome import Invalid, NotAcceptable, NotSupported
from fhir_server.resource import moment_of
from fhir_server.search.query import Chain, Filter, Has, Query, parse_query
from fhir_server.service import Request

Level = Literal["system", "Patient", "Group"]

_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_TAKEN: Final = ("_since", "_type", "_typeFilter", "_outputFormat", "_elements", "patient")
_BETWEEN_FILTERS: Final = re.compile(r",(?=[A-Z][A-Za-z]+\?)")
_NEEDS_TERMINOLOGY: Final = frozenset({"in", "not-in", "above", "below"})
_REFERENCE: Final = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})")
_MOST_FILTERS: Final = 32


@dataclass(frozen=True, slots=True)
class Order:
    """An export as it was ordered."""

    level: Level
    group: str | None = None
    since: str | None = None
    """An instant, as ISO 8601."""
    types: tuple[str, ...] = ()
    """Those named; empty for all that may be seen."""
    filters: tuple[str, ...] = ()
    """`Type?query`; the filters of one type are alternatives."""
    elements: tuple[str, ...] = ()
    """`name` or `Type.name`."""
    patients: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Parameters that were left out because the caller asked for lenient handling."""

    @classmethod
    def of(cls, work: Mapping[str, Any]) -> Self:
        """From its form in a job."""
        given: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in work.items()}
        return cls(**given)

    def work(self) -> dict[str, Any]:
        """Its form in a job."""
        return asdict(self)

    @property
    def moment(self) -> datetime | None:
        """`since` as a moment."""
        return None if self.since is None else datetime.fromisoformat(self.since)

    def elements_of(self, kind: str) -> tuple[str, ...]:
        """The elements asked of a type; none for all."""
        plain = [each for each in self.elements if "." not in each]
        own = [each.partition(".")[2] for each in self.elements if each.startswith(f"{kind}.")]
        return tuple(dict.fromkeys([*plain, *own]))


def order_of(types: Mapping[str, Serving], level: Level, request: Request) -> Order:
    """The order in a request. Raises `Invalid`, `NotSupported` or `NotAcceptable` naming the parameter.

    With `Prefer: handling=lenient` unknown parameters and types are left out; the manifest's errors name them.
    """
    lenient = "handling=lenient" in request.headers.get("prefer", "")
    order = Order(level, group=request.path_params.get("id") if level == "Group" else None)
    for name, value in _given(request):
        match name:
            case "_since":
                order = replace(order, since=_instant(value))
            case "_type":
                order = _with_types(order, value.split(","), types, lenient)
            case "_typeFilter":
                order = replace(order, filters=(*order.filters, *_BETWEEN_FILTERS.split(value)))
            case "_elements":
                order = replace(order, elements=(*order.elements, *_elements(value)))
            case "patient" if level != "system" and request.method == "POST":
                order = replace(order, patients=(*order.patients, _patient(value)))
            case "_outputFormat":
                if value.replace(" ", "+") not in _FORMATS:
                    raise NotAcceptable("_outputFormat must be application/fhir+ndjson")
            case "_format" | "_pretty":
                continue
            case _ if lenient:
                order = replace(order, ignored=(*order.ignored, "a parameter that is not offered"))
            case _:
                raise NotSupported(
                    f"unknown parameter of $export; offered: {', '.join(_TAKEN)} (patient by POST, not for the system)",
                    code="unknown-parameter",
                )
    filtered = filters(types, order)
    stray = sorted(set(filtered) - set(order.types)) if order.types else []
    if stray:
        raise Invalid(f"_typeFilter names {stray[0]}, which _type does not")
    return order


def filters(types: Mapping[str, Serving], order: Order) -> dict[str, list[Query]]:
    """The searches of `_typeFilter` by type. Raises `Invalid` or `NotSupported`."""
    if len(order.filters) > _MOST_FILTERS:
        raise Invalid(f"an export takes at most {_MOST_FILTERS} filters", code="too-many")
    found: dict[str, list[Query]] = {}
    parameters = {name: each.parameters for name, each in types.items()}
    for text in order.filters:
        kind, mark, search = text.partition("?")
        if not mark or kind not in types:
            raise Invalid("_typeFilter takes Type?search of a type that is served, the search percent-encoded")
        query = parse_query(
            parse_qsl(search, keep_blank_values=True),
            types[kind].parameters,
            types=parameters,
            limits=types[kind].limits,
        )
        if any(name.startswith("_") and name not in _CONDITIONS and not _has(name) for name, _ in query.used):
            raise NotSupported("_typeFilter takes search parameters, not how a result is to be shown")
        if not query.conditions:
            raise Invalid("a _typeFilter has no search parameter")
        check_local(query)
        found.setdefault(kind, []).append(query)
    return found


_CONDITIONS: Final = frozenset({"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"})


def _has(name: str) -> bool:
    return name.startswith("_has:") or name.partition(":")[0] in _CONDITIONS


def check_local(query: Query) -> None:
    """Raises `NotSupported` for what a terminology service must answer: the caller's token is not kept with a job."""
    for each in query.conditions:
        _check_local(each)


def _check_local(given: Filter) -> None:
    match given:
        case Chain():
            for _, inner in given.branches:
                _check_local(inner)
        case Has():
            _check_local(given.filter)
        case _:
            if given.type == "token" and given.modifier in _NEEDS_TERMINOLOGY:
                raise NotSupported(
                    f":{given.modifier} is not offered in what is worked later: name the codes themselves",
                    code="unknown-modifier",
                )


def _given(request: Request) -> list[tuple[str, str]]:
    """The parameters of the address and of a Parameters body."""
    given = list(request.query)
    for each in request.parameters().parameter if request.method == "POST" else ():
        value = next((each[key] for key in each if key.startswith("value")), None)
        if isinstance(value, dict):
            value = value.get("reference")
        if not isinstance(value, str):
            raise Invalid("a parameter of $export has a text as its value", expression="Parameters.parameter")
        given.append((each["name"], value))
    return given


def _with_types(order: Order, named: Collection[str], types: Mapping[str, Serving], lenient: bool) -> Order:
    known = [each for each in named if each in types]
    if len(known) < len(named):
        if not lenient:
            raise NotSupported(
                f"a type of _type is not served here; served: {', '.join(sorted(types))}", code="unknown-parameter"
            )
        order = replace(order, ignored=(*order.ignored, "a type of _type that is not served"))
    return replace(order, types=tuple(dict.fromkeys([*order.types, *known])))


def _instant(value: str) -> str:
    moment = moment_of(value.replace(" ", "+"))
    if moment is None:
        raise Invalid("_since must be an instant with a time zone, like 2026-01-01T00:00:00Z")
    return moment.isoformat()


def _elements(value: str) -> list[str]:
    names = value.split(",")
    if not all(re.fullmatch(r"([A-Z][A-Za-z]+\.)?[a-z][A-Za-z]*", each) for each in names):
        raise Invalid("_elements takes names of top-level elements: birthDate, or Patient.birthDate")
    return names


def _patient(value: str) -> str:
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise Invalid("patient takes references like Patient/1")
    return match.group(1)


def group_members(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """The patients that are in a Group now."""
    found: list[str] = []
    for each in resource.get("member", ()):
        match = _REFERENCE.fullmatch(str(cast(Any, each.get("entity") or {}).get("reference", "")))
        if match is not None and not each.get("inactive", False):
            found.append(match.group(1))
    return tuple(dict.fromkeys(found))
