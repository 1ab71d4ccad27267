# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Pages by keyset (https://hl7.org/fhir/R4/search.html#sort): where a page begins is a value, never a number of rows.

Without `_sort` the order is that of creation, newest first: it never changes, so a crawl during writes neither
loses nor repeats a resource. With `_sort` only a resource whose own key is changed during the crawl may move.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Numeric, Select, and_, false, func, literal, or_, select, tuple_

from fhir_server.search.leaves import kind_of
from fhir_server.search.query import Query, Sort
from fhir_server.search.sight import Sight
from fhir_server.search.sql import matching
from fhir_server.storage.schema import MOMENT, TEXT, ResourceTables

_COLUMNS = {
    "token": ("token", "code"),
    "uri": ("token", "code"),
    "string": ("string", "value"),
    "reference": ("reference", "target"),
    "date": ("date", "low"),
    "number": ("quantity", "low"),
    "quantity": ("quantity", "low"),
}
STORED = ("type", "id", "version", "last_updated", "deleted", "body")
"""What a page holds of a resource, before the keys of its place."""
Position = tuple[Any, ...]


def keys_of(query: Query) -> tuple[Sort, ...]:
    """The keys of the order; the last makes it total."""
    if not query.sort:
        return (Sort("_created", "created", True), Sort("_id", "id", True))
    if any(each.type == "id" for each in query.sort):
        return query.sort
    return (*query.sort, Sort("_id", "id", query.sort[-1].descending))


def select_page(tables: ResourceTables, kind: str, query: Query, sight: Sight, after: Position | None) -> Select[Any]:
    """The current resources that match, with the keys of their place, one more than the page has."""
    keys = keys_of(query)
    resource = tables.resource
    place = [_key(tables, kind, each) for each in keys]
    columns = [each.label(f"key_{number}") for number, each in enumerate(place)]
    stored = [resource.c[name] for name in STORED]
    found = matching(tables, kind, query, sight)
    if all(each.type in ("created", "updated", "id") for each in keys) and len({k.descending for k in keys}) == 1:
        if after is not None:
            bound = tuple_(*(_bound(value) for value in after))
            found.append(tuple_(*place) < bound if keys[0].descending else tuple_(*place) > bound)
        return select(*stored, *columns).where(*found).order_by(*_order(keys, place)).limit(query.count + 1)
    # The keys are looked up in the value tables; bodies are fetched for what stands on the page alone.
    inner = select(resource.c.id, *columns).where(*found).subquery()
    named = [inner.c[f"key_{number}"] for number in range(len(keys))]
    page = select(inner)
    if after is not None:
        page = page.where(_beyond(keys, named, after))
    rows = page.order_by(*_order(keys, named)).limit(query.count + 1).subquery()
    named = [rows.c[f"key_{number}"] for number in range(len(keys))]
    return (
        select(*stored, *named)
        .join(rows, and_(resource.c.type == kind, resource.c.id == rows.c.id))
        .order_by(*_order(keys, named))
    )


def _key(tables: ResourceTables, kind: str, key: Sort) -> Any:
    match key.type:
        case "created":
            return tables.resource.c.created
        case "updated":
            return tables.resource.c.last_updated
        case "id":
            return tables.resource.c.id
    name, column = _COLUMNS[key.type]
    values = getattr(tables, name).alias()
    chosen = values.c["high"] if key.descending and key.type in ("date", "number", "quantity") else values.c[column]
    best = func.max(chosen) if key.descending else func.min(chosen)
    return (
        select(best)
        .where(values.c.type == kind, values.c.id == tables.resource.c.id, values.c.parameter == key.code)
        .scalar_subquery()
    )


def _order(keys: tuple[Sort, ...], columns: list[Any]) -> list[Any]:
    """What has no value comes last, in both directions."""
    fixed = ("created", "updated", "id")
    ordered = (column.desc() if key.descending else column.asc() for key, column in zip(keys, columns, strict=True))
    return [each if key.type in fixed else each.nulls_last() for key, each in zip(keys, ordered, strict=True)]


def _beyond(keys: tuple[Sort, ...], columns: list[Any], after: Position) -> ColumnElement[bool]:
    clauses: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for key, column, value in zip(keys, columns, after, strict=True):
        if value is None:
            clauses.append(and_(*same, false()))
            same.append(column.is_(None))
        else:
            further = column < _bound(value) if key.descending else column > _bound(value)
            clauses.append(and_(*same, or_(further, column.is_(None))))
            same.append(column == _bound(value))
    return or_(*clauses)


def _bound(value: Any) -> Any:
    found = kind_of(value)
    kind = MOMENT if issubclass(found, datetime) else Numeric() if issubclass(found, Decimal) else TEXT
    return literal(value, kind)
