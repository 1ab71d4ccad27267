# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Builds what a search asks of the database: each filter a set of ids, entered by index; no OR chains over values.

Many values become arrays and join lists, so that a statement has the same text for one value and for a thousand.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    any_,
    collate,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from fhir_server.search.compare import compare_dates, compare_moment, compare_positions, compare_quantities
from fhir_server.search.index import LATITUDE, LONGITUDE, TEXT
from fhir_server.search.leaves import lifted
from fhir_server.search.literals import (
    CompositeValue,
    DateValue,
    NearValue,
    QuantityValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    Value,
)
from fhir_server.search.query import HIERARCHY, Chain, Condition, Filter, Has, Query
from fhir_server.search.sight import Sight
from fhir_server.storage.schema import ResourceTables, string_start

_TABLES = {"uri": "token", "number": "quantity", "special": "quantity"}
_START = 200


def select_total(tables: ResourceTables, kind: str, query: Query, sight: Sight) -> Select[Any]:
    """How many match."""
    return select(func.count()).select_from(tables.resource).where(*matching(tables, kind, query, sight))


def select_ids(tables: ResourceTables, resource_type: str, query: Query, sight: Sight | None = None) -> Select[Any]:
    """The ids that match a conditional interaction."""
    return select(tables.resource.c.id).where(*matching(tables, resource_type, query, sight or Sight()))


def matching(tables: ResourceTables, kind: str, query: Query, sight: Sight) -> list[ColumnElement[bool]]:
    """The clauses on `tables.resource` that hold for what matches."""
    builder = _Builder(tables, sight)
    filters = (builder.holds(tables.resource, kind, each) for each in query.conditions)
    return [*sight.of(tables.resource, kind), *filters]


class _Builder:
    def __init__(self, tables: ResourceTables, sight: Sight) -> None:
        self._tables, self._sight = tables, sight

    def holds(self, resource: FromClause, kind: str, given: Filter) -> ColumnElement[bool]:
        """The filter as a clause on rows of `resource`."""
        if isinstance(given, Condition):
            if given.type == "id":
                return _one_of(resource.c.id, [_code(each) for each in given.values])
            if given.type == "updated":
                return or_(*(compare_moment(resource.c.last_updated, each) for each in given.values))  # type: ignore[arg-type]  # parsed as dates
            if given.missing or given.modifier == "not":
                found = union_all(*self._branches(kind, given)).subquery()
                return ~exists().where(found.c.id == resource.c.id)
        return resource.c.id.in_(_union(self._branches(kind, given)))

    def _seen(self, kind: str, given: Filter) -> Any:
        """Ids of resources of a type that match and may be seen, for the next link of a chain."""
        # What `_has` gives are targets of references, which need not be there; others have values, so they are.
        of_rows = isinstance(given, Has) or (
            isinstance(given, Condition)
            and (given.type in ("id", "updated") or given.missing is True or given.modifier == "not")
        )
        if not self._sight.confines(kind) and not of_rows:
            return _union(self._branches(kind, given))
        resource = self._tables.resource.alias()
        return select(resource.c.id).where(*self._sight.of(resource, kind), self.holds(resource, kind, given))

    def _branches(self, kind: str, given: Filter) -> list[Select[Any]]:
        match given:
            case Chain():
                return [self._link(kind, given.code, target, inner) for target, inner in given.branches]
            case Has():
                values = self._tables.reference.alias()
                return [
                    select(values.c.target.label("id")).where(
                        *_of(values, given.type, given.code),
                        values.c.target_type == kind,
                        self._sight.here(values),
                        values.c.id.in_(self._seen(given.type, given.filter)),
                    )
                ]
            case _ if given.missing is not None:
                return self._present(kind, given)
            case _:
                return self._matching(kind, given)

    def _link(self, kind: str, code: str, target: str, inner: Filter) -> Select[Any]:
        values = self._tables.reference.alias()
        return select(values.c.id).where(
            *_of(values, kind, code),
            values.c.target_type == target,
            self._sight.here(values),
            values.c.target.in_(self._seen(target, inner)),
        )

    def _present(self, kind: str, given: Condition) -> list[Select[Any]]:
        values = self._values(given)
        code = given.code + LATITUDE if given.type == "special" else given.code
        found = [select(values.c.id).where(*_of(values, kind, code))]
        if given.type == "token":  # a concept may have a text and no code
            texts = self._tables.string.alias()
            found.append(select(texts.c.id).where(*_of(texts, kind, given.code + TEXT)))
        return found

    def _values(self, given: Condition) -> Any:
        return getattr(self._tables, _TABLES.get(given.type, given.type)).alias()

    def _matching(self, kind: str, given: Condition) -> list[Select[Any]]:
        values = self._values(given)
        start = select(values.c.id).where(*_of(values, kind, given.code))
        match given.type:
            case "uri" if given.modifier == "below":
                return [_starting(start, values.c.code, [_code(each) for each in given.values], below=True)]
            case "uri" if given.modifier == "above":
                listed = lifted(_ancestors, [_code(each) for each in given.values])
                return [start.where(values.c.code.in_(_listed(listed)))]
            case "token" | "uri":
                return [start.where(clause) for clause in _tokens(values.c.code, values.c.system, given.values)]
            case "string":
                return [_strings(start, values, given)]
            case "reference":
                return [start.where(clause) for clause in self._references(values, given)]
            case "date":
                return [start.where(compare_dates(values.c.low, values.c.high, each)) for each in given.values]  # type: ignore[arg-type]  # parsed as dates
            case "number" | "quantity":
                return [start.where(*_quantity(values, each)) for each in given.values]
            case "special":
                return [self._near(kind, given.code, each) for each in given.values if isinstance(each, NearValue)]
            case _:
                return [start.where(*self._composite(values, each)) for each in given.values]

    def _near(self, kind: str, code: str, value: NearValue) -> Select[Any]:
        latitude, longitude = self._tables.quantity.alias(), self._tables.quantity.alias()
        return (
            select(latitude.c.id)
            .join(longitude, and_(longitude.c.type == kind, longitude.c.id == latitude.c.id))
            .where(
                *_of(latitude, kind, code + LATITUDE),
                longitude.c.parameter == code + LONGITUDE,
                compare_positions(latitude.c.low, longitude.c.low, value),
            )
        )

    def _references(self, values: Any, given: Condition) -> list[ColumnElement[bool]]:
        asked = [each for each in given.values if isinstance(each, ReferenceValue)]
        if given.modifier == "identifier":
            named = [each.identifier for each in asked if each.identifier is not None]
            return _tokens(values.c.value, values.c.system, named)
        if given.modifier in ("above", "below"):
            return [self._hierarchy(values, each, given.modifier) for each in asked]
        clauses: list[ColumnElement[bool]] = []
        own = [each for each in asked if each.base is None]
        for typed in (True, False):
            some = [each for each in own if (each.type is not None) is typed]
            if typed and len(some) == 1:
                clauses.append(_literal(values, some[0], self._sight))
            elif typed and some:
                pairs = _pairs([each.target for each in some], [each.type for each in some])
                clauses.append(and_(tuple_(values.c.target, values.c.target_type).in_(pairs), self._sight.here(values)))
            elif some:
                clauses.append(and_(_one_of(values.c.target, [each.target for each in some]), self._sight.here(values)))
        clauses += [_literal(values, each) for each in asked if each.base is not None]
        return clauses

    def _hierarchy(self, values: Any, value: ReferenceValue, direction: str) -> ColumnElement[bool]:
        """What `value` names and everything below (or above) it, by the `partof` of its type; circles end."""
        step = self._tables.reference.alias()
        tree = select(collate(literal(value.target, Text), "C").label("id")).cte(recursive=True)
        near, far = (step.c.id, step.c.target) if direction == "below" else (step.c.target, step.c.id)
        kind = value.type or ""
        links = select(near).where(*_of(step, kind, HIERARCHY), self._sight.here(step), far == tree.c.id)
        if self._sight.confines(kind):  # what is hidden leads nowhere
            resource = self._tables.resource.alias()
            links = links.where(step.c.id.in_(select(resource.c.id).where(*self._sight.of(resource, kind))))
        found = tree.union(links)
        return and_(
            values.c.target.in_(select(found.c.id)), values.c.target_type == value.type, self._sight.here(values)
        )

    def _composite(self, values: Any, value: Value) -> list[ColumnElement[bool]]:
        if not isinstance(value, CompositeValue):
            raise TypeError("a composite has composite values")
        clauses = _tokens(values.c.code, values.c.system, [value.first])
        match value.second:
            case TokenValue():
                clauses += _tokens(values.c.code_2, values.c.system_2, [value.second])
            case QuantityValue():
                clauses += _quantity(values, value.second, "_2")
            case DateValue():
                clauses.append(compare_dates(values.c.since, values.c.until, value.second))
            case StringValue():
                clauses.append(func.starts_with(values.c.text, literal(value.second.text, Text)))
            case ReferenceValue():
                clauses.append(_literal(values, value.second, self._sight))
        if isinstance(value.third, QuantityValue):
            clauses.append(compare_quantities(values.c.low_3, values.c.high_3, value.third))
        return clauses


def _of(values: FromClause, kind: str, code: str) -> list[ColumnElement[bool]]:
    return [values.c.type == kind, values.c.parameter == code]


def _union(branches: Sequence[Select[Any]]) -> Any:
    return branches[0] if len(branches) == 1 else union_all(*branches)


def _one_of(column: ColumnElement[Any], texts: Sequence[str | None]) -> ColumnElement[bool]:
    """Equality, or a join list: `= ANY` of an array need not enter the index on a table without statistics."""
    return column == texts[0] if len(texts) == 1 else column.in_(_listed(list(texts)))


def _listed(texts: Any) -> Select[Any]:
    listed = func.unnest(literal(texts, ARRAY(Text))).table_valued("value").render_derived()
    return select(listed.c.value)


def _any(texts: Any) -> ColumnElement[Any]:
    return any_(literal(list(texts), ARRAY(Text)))


def _pairs(first: Sequence[str | None], second: Sequence[str | None]) -> Select[Any]:
    """A join list: the arrays side by side as rows."""
    rows = func.unnest(literal(list(first), ARRAY(Text)), literal(list(second), ARRAY(Text)))
    listed = rows.table_valued("first", "second").render_derived()
    return select(listed.c.first, listed.c.second)


def _code(value: Value) -> str:
    return (value.code or "") if isinstance(value, TokenValue) else ""


def _tokens(code: Any, system: Any, given: Sequence[Value]) -> list[ColumnElement[bool]]:
    """A clause for each form in which tokens are asked for: the clauses are alternatives."""
    asked = [each for each in given if isinstance(each, TokenValue)]
    codes = [each.code for each in asked if each.code is not None and each.system is None]
    without = [each.code for each in asked if each.code is not None and each.system == ""]
    systems = [each.system for each in asked if each.code is None and each.system]
    both = [each for each in asked if each.code is not None and each.system]
    clauses: list[ColumnElement[bool]] = []
    if codes:
        clauses.append(_one_of(code, codes))
    if without:
        clauses.append(and_(_one_of(code, without), system.is_(None)))
    if systems:
        clauses.append(_one_of(system, systems))
    if len(both) == 1:
        clauses.append(and_(code == both[0].code, system == both[0].system))
    elif both:
        pairs = _pairs([each.code for each in both], [each.system for each in both])
        clauses.append(tuple_(code, system).in_(pairs))
    return clauses or [~true()]


def _strings(start: Select[Any], values: Any, given: Condition) -> Select[Any]:
    asked = [each for each in given.values if isinstance(each, StringValue)]
    if given.modifier == "contains":
        patterns = (lifted(_pattern, each.text) for each in asked)
        return start.where(values.c.value.like(_any(patterns)))
    if given.modifier == "exact":
        return start.where(
            _one_of(string_start(values.c.value), [lifted(_start, each.text) for each in asked]),
            _one_of(values.c.exact, [each.exact for each in asked]),
        )
    return _starting(start, values.c.value, [each.text for each in asked])


def _pattern(text: str) -> str:
    return f"%{text.translate(_WILDCARDS)}%"


def _start(text: str) -> str:
    """As much of a text as is indexed."""
    return text[:_START]


_WILDCARDS = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})


def _starting(start: Select[Any], column: Any, texts: list[str], *, below: bool = False) -> Select[Any]:
    """What begins with one of the texts, as ranges of the index; with `below`, at a boundary of a path."""
    indexed = column if below else string_start(column)
    lows = [lifted(_start, text) for text in texts]
    highs = [lifted(_after, low) for low in lows]
    rows = func.unnest(*(literal(each, ARRAY(Text)) for each in (texts, lows, highs)))
    listed = rows.table_valued("text", "low", "high").render_derived()
    start = start.join(listed, and_(indexed >= listed.c.low, indexed < listed.c.high))
    if not below:
        return start.where(func.starts_with(column, listed.c.text))
    return start.where(or_(column == listed.c.text, func.starts_with(column, func.rtrim(listed.c.text, "/") + "/")))


def _after(text: str) -> str:
    """The least text that is greater than all that begin with this one."""
    for index in range(len(text) - 1, -1, -1):
        following = ord(text[index]) + 1
        following = 0xE000 if following == 0xD800 else following
        if following <= 0x10FFFF:
            return text[:index] + chr(following)
    return "\U0010ffff" * (_START + 1)


def _ancestors(given: Sequence[str]) -> list[str]:
    found: list[str] = []
    for text in given:
        parts = text.split("/")
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            found += [path, path + "/"]
    return found


def _literal(values: Any, value: ReferenceValue, sight: Sight | None = None) -> ColumnElement[bool]:
    clauses = [values.c.target == value.target]
    if value.type is not None:
        clauses.append(values.c.target_type == value.type)
    if value.base is not None:
        clauses.append(values.c.base == value.base)
    elif sight is not None:
        clauses.append(sight.here(values))
    return and_(*clauses)


def _quantity(values: Any, value: Value, second: str = "") -> list[ColumnElement[bool]]:
    if not isinstance(value, QuantityValue):
        raise TypeError("a quantity has quantity values")
    clauses = [compare_quantities(values.c.low, values.c.high, value)]
    code, system = values.c["code" + second], values.c["system" + second]
    if value.system is not None:
        clauses.append(system == value.system)
    if value.code is not None:
        clauses.append(code == value.code if value.system else or_(code == value.code, values.c.unit == value.code))
    return clauses
