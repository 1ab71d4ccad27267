# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Searches as prepared statements: the SQL of a form of search is built and compiled once, its values each time.

Building a statement from a query and compiling it costs more than running it. Two searches of one form (the same
parameters, modifiers, prefixes and order) have the same SQL. So the values of a query are replaced by leaves, the
statement is built from that, and what is kept is its text and how each argument is made from the leaves' values.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import asyncpg

from fhir_server.search.leaves import Leaf, valued
from fhir_server.search.literals import (
    CompositeValue,
    DateValue,
    NearValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
)
from fhir_server.search.order import Position, select_page
from fhir_server.search.query import Chain, Condition, Filter, Has, Query
from fhir_server.search.sight import Passing, Sight
from fhir_server.search.sql import select_ids, select_total
from fhir_server.storage.pinned import Statement
from fhir_server.storage.schema import ResourceTables

_KEPT: Final = 1000
_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
_LEAVES: Final[Mapping[type, tuple[str, ...]]] = {
    TokenValue: ("system", "code"),
    StringValue: ("text", "exact"),
    ReferenceValue: ("target", "base"),
    DateValue: ("low", "high"),
    QuantityValue: ("number", "low", "high", "system", "code"),
    CompositeValue: (),
    NearValue: (),
}
"""The fields that hold values; the others belong to the form."""
_INNER: Final[Mapping[type, tuple[str, ...]]] = {
    ReferenceValue: ("identifier",),
    CompositeValue: ("first", "second", "third"),
}
_LISTS: Final = tuple(each.name for each in fields(Passing))


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    arguments: tuple[Any, ...]
    """For each its value, or the leaf it is made from."""

    def with_values(self, values: Sequence[Any]) -> Statement:
        return Statement(self.text, [valued(each, values) for each in self.arguments])


class PreparedSearches:
    """The statements of one schema, by the form of their search."""

    def __init__(self, tables: ResourceTables) -> None:
        self.tables = tables
        self._known: OrderedDict[Any, _Known] = OrderedDict()

    def page(self, kind: str, query: Query, sight: Sight, after: Position | None) -> Statement:
        """The resources that match, from a position on, one more than the page has."""
        return self._statement("page", kind, query, sight, after)

    def total(self, kind: str, query: Query, sight: Sight) -> Statement:
        """How many match."""
        return self._statement("total", kind, query, sight, None)

    def ids(self, kind: str, query: Query, sight: Sight) -> Statement:
        """The ids of two that match."""
        return self._statement("ids", kind, query, sight, None)

    def _statement(self, what: str, kind: str, query: Query, sight: Sight, after: Position | None) -> Statement:
        values: list[Any] = []
        form = (
            what, kind, query.count, query.sort,
            tuple([_form(each, values) for each in query.conditions]),
            _sight_form(sight, values),
            None if after is None else tuple([_plain(each, values) for each in after]),
        )  # fmt: skip
        known = self._known.get(form)
        if known is None:
            known = self._known[form] = self._compiled(what, kind, query, sight, after)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(form)
        return known.with_values(values)

    def _compiled(self, what: str, kind: str, query: Query, sight: Sight, after: Position | None) -> _Known:
        leaves = (Leaf(at) for at in count())
        query = replace(query, conditions=tuple(_symbolic(each, leaves) for each in query.conditions))
        sight = _symbolic_sight(sight, leaves)
        place = None if after is None else tuple(_symbol(each, leaves) for each in after)
        statement: Select[Any]
        match what:
            case "page":
                statement = select_page(self.tables, kind, query, sight, place)
            case "total":
                statement = select_total(self.tables, kind, query, sight)
            case _:
                statement = select_ids(self.tables, kind, query, sight).limit(2)
        return _of_statement(statement)


def _of_statement(statement: Select[Any]) -> _Known:
    """The statement's text and arguments, some of which may be made from leaves."""
    made = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    given = made.params
    return _Known(str(made), tuple(given[name] for name in made.positiontup or ()))


def _form(given: Filter, values: list[Any]) -> Any:
    """What two filters have in common that have the same SQL; adds the values in which they differ."""
    match given:
        case Condition():
            return (
                given.code, given.type, given.modifier, given.missing, tuple([_value(v, values) for v in given.values])
            )  # fmt: skip
        case Chain():
            return (given.code, tuple([(kind, _form(inner, values)) for kind, inner in given.branches]))
        case Has():
            return ("_has", given.type, given.code, _form(given.filter, values))


def _value(value: Any, values: list[Any]) -> Any:
    kind = type(value)
    if kind is NearValue:  # its band is computed when the statement is built
        return value
    parts: list[Any] = [kind]
    if kind is DateValue or kind is QuantityValue:
        parts.append(value.prefix)
    elif kind is ReferenceValue:
        parts.append(value.type)
    for name in _LEAVES[kind]:
        parts.append(_plain(getattr(value, name), values))
    for name in _INNER.get(kind, ()):
        inner = getattr(value, name)
        parts.append(None if inner is None else _value(inner, values))
    return tuple(parts)


def _plain(value: Any, values: list[Any]) -> Any:
    """A value's part of the form: that it is absent or empty, or of which kind it is."""
    if value is None or value == "":
        return value
    values.append(value)
    return type(value)


def _sight_form(sight: Sight, values: list[Any]) -> Any:
    passing = []
    for kind, lists in sight.passing.items():
        passing.append((kind, tuple([_listed(getattr(lists, name), values) for name in _LISTS])))
    return (tuple(passing), _plain(sight.base, values))


def _listed(given: Sequence[Any] | None, values: list[Any]) -> Any:
    """A list's part of the form: absent, empty, one, or many."""
    if given is None or not given:
        return given
    values.append(given[0] if len(given) == 1 else list(given))
    return min(len(given), 2)


def _symbolic(given: Filter, leaves: Iterator[Leaf]) -> Filter:
    """The filter with leaves for its values, in the order of `_form`."""
    match given:
        case Condition():
            return replace(given, values=tuple(_symbolic_value(each, leaves) for each in given.values))
        case Chain():
            return replace(given, branches=tuple((kind, _symbolic(inner, leaves)) for kind, inner in given.branches))
        case Has():
            return replace(given, filter=_symbolic(given.filter, leaves))


def _symbolic_value(value: Any, leaves: Iterator[Leaf]) -> Any:
    changed = {name: _symbol(getattr(value, name), leaves) for name in _LEAVES[type(value)]}
    for name in _INNER.get(type(value), ()):
        inner = getattr(value, name)
        changed[name] = None if inner is None else _symbolic_value(inner, leaves)
    return replace(value, **changed)


def _symbol(value: Any, leaves: Iterator[Leaf]) -> Any:
    if value is None or value == "":
        return value
    leaf = next(leaves)
    leaf.kind = type(value)
    return leaf


def _symbolic_sight(sight: Sight, leaves: Iterator[Leaf]) -> Sight:
    passing = {}
    for kind, lists in sight.passing.items():
        passing[kind] = Passing(*(_symbolic_list(getattr(lists, name), leaves) for name in _LISTS))
    return Sight(passing, _symbol(sight.base, leaves))


def _symbolic_list(given: Any, leaves: Iterator[Leaf]) -> Any:
    if given is None or not given:
        return given
    return (next(leaves),) if len(given) == 1 else next(leaves)
