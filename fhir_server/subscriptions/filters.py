# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The filters of a Subscription and the criteria of a topic, as the queries they are evaluated by."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from fhir_server.limits import SearchLimits
from fhir_server.outcome import FhirError, Unprocessable
from fhir_server.search.literals import DateValue, QuantityValue
from fhir_server.search.parameters import SearchParameter
from fhir_server.search.query import Condition, Query, parse_query
from fhir_server.subscriptions.topics import COMPARATORS, MODIFIERS, FilterBy, Topic

Parameters = Mapping[str, SearchParameter]

_OF_EVERY_TYPE = frozenset({"_id", "_lastUpdated"})


def filter_query(
    topic: Topic, text: str, parameters: Parameters, *, now: datetime, base: str, limits: SearchLimits
) -> Query:
    """The query of one filter, `Encounter?patient=Patient/123`.

    Raises `Unprocessable` naming what the topic allows.
    """
    kind, mark, search = text.partition("?")
    if not mark or kind != topic.type:
        raise _refused(f"a filter of this topic is written as {topic.type}?parameter=value")
    given = parse_qsl(search, keep_blank_values=True)
    for name, _ in given:
        _allowed(topic, name)
    try:
        query = parse_query(given, parameters, now=now, base=base, limits=limits)
    except FhirError as error:
        raise _refused(error.message) from None
    if not query.conditions:
        raise _refused(f"a filter of this topic is written as {topic.type}?parameter=value")
    for code, prefix in _prefixes(query):
        by = topic.filter_by(code)
        if by is not None and prefix not in by.comparators:
            raise _refused(f"the topic compares {code} by {', '.join(sorted(by.comparators))} only")
    return query


def criteria_query(search: str, parameters: Parameters) -> Query:
    """The query of one search of a topic's criteria. Raises `FhirError` or `ValueError` if it cannot be evaluated."""
    query = parse_query(parse_qsl(search, keep_blank_values=True), parameters)
    for each in query.conditions:
        if not isinstance(each, Condition) or not _evaluated(each.modifier, MODIFIERS):
            raise ValueError(f"{search} follows references or asks a terminology service")
    return query


def check_filters(topic: Topic, parameters: Parameters) -> None:
    """Raises `ValueError` if the topic allows what cannot be evaluated: found at start."""
    for each in topic.filters:
        if each.parameter not in parameters and each.parameter not in _OF_EVERY_TYPE:
            raise ValueError(f"topic {topic.url}: {topic.type} is not searched by {each.parameter}")
        if not each.modifiers <= MODIFIERS or not each.comparators <= COMPARATORS:
            raise ValueError(f"topic {topic.url}: a modifier or comparator of {each.parameter} cannot be evaluated")


def every_filter(parameters: Parameters) -> tuple[FilterBy, ...]:
    """All that the parameters of a type can be filtered by."""
    return tuple(FilterBy(each, MODIFIERS, COMPARATORS) for each in sorted({*parameters, *_OF_EVERY_TYPE}))


def _allowed(topic: Topic, name: str) -> None:
    code, _, modifier = name.partition(":")
    by = topic.filter_by(code)
    if by is None:
        offered = ", ".join(each.parameter for each in topic.filters) or "nothing"
        raise _refused(f"the topic does not filter by this parameter; it filters by {offered}")
    if not _evaluated(modifier or None, by.modifiers):
        offered = ", ".join(f":{each}" for each in sorted(by.modifiers)) or "none"
        raise _refused(f"the topic does not take this modifier of {code}; it takes {offered}")


def _prefixes(query: Query) -> Iterator[tuple[str, str]]:
    for each in query.conditions:
        if isinstance(each, Condition):
            for value in each.values:
                if isinstance(value, DateValue | QuantityValue):
                    yield each.code, value.prefix


def _evaluated(modifier: str | None, allowed: frozenset[str]) -> bool:
    """A type as modifier of a reference (`subject:Patient`) is read off the reference itself."""
    return modifier is None or modifier in allowed or modifier[0].isupper()


def _refused(message: str) -> Unprocessable:
    return Unprocessable(message, expression="Subscription.criteria", code="filter-not-allowed")
