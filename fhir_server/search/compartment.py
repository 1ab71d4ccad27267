# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The Patient compartment (https://hl7.org/fhir/R4/compartmentdefinition-patient.html): what belongs to a patient.

A resource is in it by a reference of the parameters listed for its type; what it refers to outside the compartment
(practitioners, organisations, medications) is led to from there. The table is derived by tools/derive_compartments.py.
"""

from collections.abc import Iterable, Mapping, Sequence
import csv
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from sqlalchemy import ARRAY, CTE, ColumnElement, Select, Text, and_, any_, exists, func, literal, or_, select, union
from sqlalchemy import column as named_column

from fhir_server.search.sight import Sight
from fhir_server.storage.schema import ResourceTables

PATIENT = "Patient"


@dataclass(frozen=True, slots=True)
class Membership:
    """How a type belongs to the compartment."""

    parameters: tuple[str, ...]
    """The reference parameters of which one leads to the patient."""
    date: str | None
    """The date parameter that tells when the care took place."""


@cache
def compartment() -> Mapping[str, Membership]:
    """The types of the compartment, Patient itself apart."""
    text = resources.files("fhir_server.search").joinpath("compartment.csv").read_text("utf-8")
    return {
        row["resource"]: Membership(tuple(row["parameters"].split()), row["date"] or None)
        for row in csv.DictReader(text.splitlines())
    }


def missing_parameters(kind: str, offered: Iterable[str]) -> list[str]:
    """The parameters that place a type in the compartment and are not among those offered."""
    given = set(offered)
    return [each for each in compartment()[kind].parameters if each not in given] if kind in compartment() else []


@dataclass(frozen=True, slots=True)
class Belonging:
    """Which patients' compartments are asked for, and how much of them."""

    types: frozenset[str]
    """The types that may be seen at all; others neither come nor lead anywhere."""
    sight: Sight
    patients: tuple[str, ...] | None = None
    """Ids; None for all patients."""
    period: tuple[datetime | None, datetime | None] = (None, None)
    """Care that took place from the first moment until before the second."""
    dates: Mapping[str, str] = field(default_factory=dict)
    """The date parameter of each type that offers it."""


def members(tables: ResourceTables, asked: Belonging) -> CTE:
    """Type and id of what is in the compartments, the patients first among them."""
    resource, values = tables.resource, tables.reference
    inside = [kind for kind in sorted(compartment()) if kind in asked.types]
    pairs = [(kind, code) for kind in inside for code in compartment()[kind].parameters]
    listed = _unnested([kind for kind, _ in pairs], [code for _, code in pairs])
    links = (
        select(values.c.type, values.c.id)
        .join(listed, and_(values.c.type == listed.c.first, values.c.parameter == listed.c.second))
        .where(values.c.target_type == PATIENT, asked.sight.here(values), _of(values.c.target, asked.patients))
    )
    patients = select(resource.c.type, resource.c.id).where(
        resource.c.type == PATIENT, _of(resource.c.id, asked.patients)
    )
    found = union(links, patients).subquery()
    rows = select(resource.c.type, resource.c.id).join(
        found, and_(resource.c.type == found.c.type, resource.c.id == found.c.id)
    )
    rows = rows.where(visible(resource, asked.sight, asked.types))
    if asked.period != (None, None):
        rows = rows.where(_cared_for(tables, asked))
    return rows.cte("members")


def linked(tables: ResourceTables, asked: Belonging, inside: CTE) -> Select[Any]:
    """Type and id of what the compartments' resources refer to outside any patient's compartment."""
    values = tables.reference.alias()
    outside = [each for each in sorted(asked.types) if each not in compartment() and each != PATIENT]
    return (
        select(values.c.target_type.label("type"), values.c.target.label("id"))
        .join(inside, and_(values.c.type == inside.c.type, values.c.id == inside.c.id))
        .where(values.c.target_type == _any(outside), asked.sight.here(values))
    )


def visible(resource: Any, sight: Sight, types: Iterable[str]) -> ColumnElement[bool]:
    """The current resources of these types that may be seen."""
    confined = [each for each in sorted(types) if sight.confines(each)]
    open_ = [each for each in sorted(types) if not sight.confines(each)]
    return or_(
        and_(resource.c.type == _any(open_), resource.c.deleted.is_(False)),
        *(and_(*sight.of(resource, each)) for each in confined),
    )


def _cared_for(tables: ResourceTables, asked: Belonging) -> ColumnElement[bool]:
    """Of types with a date only what has none or one within the period."""
    resource, dates = tables.resource, tables.date.alias()
    start, end = asked.period
    listed = _unnested(list(asked.dates), list(asked.dates.values()))
    given = exists().where(
        dates.c.type == resource.c.type,
        dates.c.id == resource.c.id,
        dates.c.type == listed.c.first,
        dates.c.parameter == listed.c.second,
    )
    within = given
    if start is not None:
        within = within.where(dates.c.high > start)
    if end is not None:
        within = within.where(dates.c.low < end)
    return or_(~given, within)


def _of(column: ColumnElement[Any], ids: Sequence[str] | None) -> ColumnElement[bool]:
    if ids is None:
        return column.is_not(None)
    if len(ids) == 1:
        return column == ids[0]
    listed = func.unnest(literal(list(ids), ARRAY(Text))).table_valued("value").render_derived()
    return column.in_(select(listed.c.value))


def _unnested(first: Sequence[str], second: Sequence[str]) -> Any:
    rows = func.unnest(literal(list(first), ARRAY(Text)), literal(list(second), ARRAY(Text)))
    return rows.table_valued(named_column("first"), named_column("second")).render_derived()


def _any(texts: Sequence[str]) -> Any:
    return any_(literal(list(texts), ARRAY(Text)))
