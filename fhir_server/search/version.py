# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Whether one version of a resource matches a search, be it current, replaced or deleted.

Its search values are extracted as when it was written and stand in the statement in place of the tables: what matches
here is what a search would have found at that moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ARRAY, CTE, Column, Select, Text, collate, column, func, literal, select

from fhir_server.search.index import extract_values
from fhir_server.search.parameters import SearchParameter
from fhir_server.search.query import Query
from fhir_server.search.sight import Sight
from fhir_server.search.sql import matching
from fhir_server.storage.schema import ResourceTables

_TABLES = ("token", "string", "reference", "date", "quantity", "composite")


class _Version:
    """Stands for `ResourceTables`: the same columns, the rows of one version."""

    def __init__(
        self, tables: ResourceTables, resource: Mapping[str, Any], updated: datetime,
        parameters: Iterable[SearchParameter],
    ) -> None:  # fmt: skip
        kind, identity = resource["resourceType"], resource["id"]
        own = {"type": kind, "id": identity, "last_updated": updated, "deleted": False}
        self.resource = _rows("resource", [tables.resource.c[name] for name in own], [own])
        rows = dict(extract_values(resource, parameters).by_table())
        for name in _TABLES:
            found = [{"type": kind, "id": identity, **each._asdict()} for each in rows.get(name, ())]
            setattr(self, name, _rows(name, list(getattr(tables, name).c), found))


def select_holds(
    tables: ResourceTables,
    resource: Mapping[str, Any],
    updated: datetime,
    parameters: Mapping[str, SearchParameter],
    query: Query,
    base: str,
) -> Select[Any]:
    """One row if the version matches, none if not; `query` follows no references. `base`: the server's FHIR base."""
    version = cast(ResourceTables, _Version(tables, resource, updated, parameters.values()))
    return select(literal(True)).where(*matching(version, resource["resourceType"], query, Sight(base=base)))


def _rows(name: str, columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Any]]) -> CTE:
    """The rows as a table of the statement; texts are compared by code point, as in the tables."""
    types = [Text() if isinstance(each.type, Text) else each.type for each in columns]
    lists = (literal([row[each.name] for row in rows], ARRAY(kind)) for each, kind in zip(columns, types, strict=True))
    typed = [column(each.name, kind) for each, kind in zip(columns, types, strict=True)]
    given = func.unnest(*lists).table_valued(*typed, name=f"given_{name}").render_derived()
    made = ((collate(each, "C") if isinstance(each.type, Text) else each).label(each.name) for each in given.c)
    return select(*made).cte(f"version_{name}")
