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
    columns = [_key(tables, kind, each).label(f"key_{number}") for number, each in enumerate(keys)]
    found = select(tables.resource.c.id, *columns).where(*matching(tables, kind, query, sight))
    if all(each.type in ("created", "updated", "id") for each in keys) and len({k.descending for k in keys}) == 1:
        if after is not None:
            place = tuple_(*(_bound(value) for value in after))
            here = tuple_(*(_key(tables, kind, each) for each in keys))
            found = found.where(here < place if keys[0].descending else here > place)
        page = found.order_by(*_order(keys, [_key(tables, kind, each) for each in keys])).limit(query.count + 1)
    else:
        inner = found.subquery()
        named = [inner.c[f"key_{number}"] for number in range(len(keys))]
        page = select(inner)
        if after is not None:
            page = page.where(_beyond(keys, named, after))
        page = page.order_by(*_order(keys, named)).limit(query.count + 1)
    rows = page.subquery()
    named = [rows.c[f"key_{number}"] for number in range(len(keys))]
    return (
        select(tables.resource, *named)
        .join(rows, and_(tables.resource.c.type == kind, tables.resource.c.id == rows.c.id))
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
    kind = MOMENT if isinstance(value, datetime) else Numeric() if isinstance(value, Decimal) else TEXT
    return literal(value, kind)
