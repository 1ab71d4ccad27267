# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$everything of a Patient: https://hl7.org/fhir/R4/patient-operation-everything.html.

The patient, what is in her compartment, and what that refers to outside any compartment. Each type is seen as by a
search: by scope, role and guard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from sqlalchemy import Select, and_, case, literal, select, tuple_, union

from fhir_server.bundle import links_of, searchset
from fhir_server.context import Answer, AuditEntry, Context
from fhir_server.interactions.conditions import version_headers
from fhir_server.interactions.seeing import Seen, seen
from fhir_server.interactions.serving import Serving, audit_entry, guard
from fhir_server.limits import LIMITS
from fhir_server.outcome import Gone, Invalid, NotFound, NotSupported
from fhir_server.search.compartment import (
    PATIENT,
    Belonging,
    compartment,
    linked,
    members,
    missing_parameters,
    visible,
)
from fhir_server.search.query import DEFAULT_COUNT
from fhir_server.search.values import date_range
from fhir_server.service import Request
from fhir_server.storage.schema import TEXT, ResourceTables

_TAKEN: Final = ("_since", "_type", "_count", "start", "end")
_VALUES: Final = ("valueDate", "valueInstant", "valueCode", "valueInteger", "valueDateTime", "valueString")


@dataclass(frozen=True, slots=True)
class _Asked:
    since: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    types: tuple[str, ...] = ()
    count: int = DEFAULT_COUNT
    cursor: str | None = None
    kept: tuple[tuple[str, str], ...] = ()
    """What the links repeat."""


def check_compartment(service: str, types: Mapping[str, Serving]) -> None:
    """Raises `ValueError` if `$everything` or `$export` of patients is offered and would be incomplete in silence."""
    by_patient = {"$everything", "$export"}
    for name in [name for name, each in types.items() if by_patient & each.type.operations]:
        if "$everything" in types[name].type.operations and name != PATIENT:
            raise ValueError(f"{service} offers $everything of {name}; it is an operation of Patient")
        for kind, each in types.items():
            missing = missing_parameters(kind, each.parameters)
            if missing:
                raise ValueError(
                    f"$everything or $export of {service} needs the search parameter {missing[0]} of {kind}"
                )


async def everything(serving: Serving, context: Context, request: Request) -> Answer:
    """A page of all that is known of the patient, with a signed cursor to the next.

    in:  start, end 0..1 date of care; _since 0..1 instant; _type 0..* code; _count 0..1 integer
    out: searchset Bundle; what is only referred to has the mode include
    Raises `NotFound`, `Gone`, `Forbidden` for a type that is named and may not be seen, `Invalid`, `NotSupported`.
    """
    asked = _asked(serving, request)
    patient = await _patient(serving, context, request)
    found = await seen(serving.types, context, request.base, named=asked.types)
    path = f"{PATIENT}/{patient['id']}/$everything"
    name = _name(path, asked, context)
    after = None if asked.cursor is None else serving.cursors.read(name, asked.cursor)
    statement = _select(serving.tables, found, patient["id"], asked, after)
    rows = await serving.store.find(statement)
    more, rows = len(rows) > asked.count, rows[: asked.count]
    if found.person_data({PATIENT, *(each.type for each in rows)}):
        told: AuditEntry = audit_entry(serving, context, "everything", "R", patient)
        context.record(AuditEntry(told.operation, person=told.person, ground=told.ground, count=len(rows)))
    own = f"{request.base}/{path}"
    next_link = None
    if more:
        cursor = serving.cursors.make(name, (_rank(rows[-1].type), rows[-1].type, rows[-1].id))
        next_link = f"{own}?{urlencode([*asked.kept, ('_cursor', cursor)])}"
    links = links_of(own + (f"?{urlencode(asked.kept)}" if asked.kept else ""), next_link)
    inside = {PATIENT, *compartment()}
    matches = [each for each in rows if each.type in inside]
    others = [each for each in rows if each.type not in inside]
    return Answer(searchset(matches, base=request.base, links=links, included=others))


async def _patient(serving: Serving, context: Context, request: Request) -> dict[str, Any]:
    stored = await serving.store.read(PATIENT, request.path_params["id"])
    resource: dict[str, Any] | None = None if stored is None else orjson.loads(stored.body)
    await guard(serving, context, "read", resource)
    if stored is None or resource is None:
        raise NotFound("no Patient with this id")
    if stored.deleted:
        raise Gone("this Patient was deleted", headers=version_headers(stored))
    return resource


def _select(
    tables: ResourceTables, found: Seen, patient: str, asked: _Asked, after: tuple[Any, ...] | None
) -> Select[Any]:
    resource = tables.resource
    dates = {
        kind: membership.date
        for kind, membership in compartment().items()
        if membership.date is not None and kind in found.types and membership.date in found.types[kind].parameters
    }
    belonging = Belonging(frozenset(found.types), found.sight, (patient,), (asked.start, asked.end), dates)
    inside = members(tables, belonging)
    keys = union(select(inside.c.type, inside.c.id), linked(tables, belonging, inside)).subquery()
    rank = case((resource.c.type == PATIENT, 0), else_=1)
    wanted = asked.types or found.types
    statement = (
        select(resource)
        .join(keys, and_(resource.c.type == keys.c.type, resource.c.id == keys.c.id))
        .where(visible(resource, found.sight, wanted))
    )
    if asked.since is not None:
        statement = statement.where(resource.c.last_updated >= asked.since)
    if after is not None:
        place = tuple_(literal(after[0]), literal(after[1], TEXT), literal(after[2], TEXT))
        statement = statement.where(tuple_(rank, resource.c.type, resource.c.id) > place)
    return statement.order_by(rank, resource.c.type, resource.c.id).limit(asked.count + 1)


def _rank(kind: str) -> int:
    """The patient comes first."""
    return 0 if kind == PATIENT else 1


def _name(path: str, asked: _Asked, context: Context) -> str:
    """The search as its cursors name it: whose it is too."""
    used = urlencode(sorted((name, value) for name, value in asked.kept if name != "_count"))
    caller = context.caller
    person = caller.person.hex() if caller.person is not None else ""
    return f"{path}?{used}#{caller.client_id}|{caller.organisation}|{caller.user}|{person}"


def _asked(serving: Serving, request: Request) -> _Asked:
    since, start, end, count, cursor = None, None, None, DEFAULT_COUNT, None
    types: list[str] = []
    kept: list[tuple[str, str]] = []
    for name, value in _given(request):
        match name:
            case "_since":
                since = _period(name, value)[0]
            case "start":
                start = _period(name, value)[0]
            case "end":
                end = _period(name, value)[1]
            case "_type":
                types += _types(serving, value)
            case "_count":
                if not (value.isascii() and value.isdigit()) or not value.strip("0"):
                    raise Invalid("_count must be a whole number above 0")
                count = min(int(value.lstrip("0")[:9]), LIMITS.count)
            case "_cursor":
                cursor = value
                continue
            case "_format" | "_pretty":
                continue
            case _:
                raise NotSupported(f"unknown parameter; offered: {', '.join(_TAKEN)}", code="unknown-parameter")
        kept.append((name, value))
    return _Asked(since, start, end, tuple(types), count, cursor, tuple(kept))


def _given(request: Request) -> list[tuple[str, str]]:
    """The parameters of the address and of a Parameters body."""
    given = list(request.query)
    for each in request.parameters().parameter:
        value = next((each[key] for key in _VALUES if key in each), None)
        if not isinstance(value, str | int):
            raise Invalid(f"give a parameter a value, one of {', '.join(_VALUES)}", expression="Parameters.parameter")
        given.append((each["name"], str(value)))
    return given


def _period(name: str, value: str) -> tuple[datetime, datetime]:
    found = date_range(value.replace(" ", "+"))
    if found is None:
        raise Invalid(f"{name} must be a date or an instant like 2026-01-01 or 2026-01-01T00:00:00Z")
    return found


def _types(serving: Serving, value: str) -> list[str]:
    kinds = value.split(",")
    for kind in kinds:
        if kind not in serving.types:
            raise NotSupported(
                f"a type of _type is not served here; served: {', '.join(sorted(serving.types))}",
                code="unknown-parameter",
            )
    return kinds
