# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The statements by which versions are written: resource, history, search values and audit events in one.

One statement for any number of new resources, one for the next version of a resource. Arrays and `unnest` instead of a
statement for each table and row (docs/decisions/0001-storage.md): half the time on one connection.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import asyncpg

from fhir_server.search.index import SearchValues
from fhir_server.storage.pinned import Statement
from fhir_server.storage.schema import ResourceTables, tables

_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
_GIVEN: Mapping[str, str] = {
    "type": "text", "id": "text", "version": "bigint", "last_updated": "timestamptz", "method": "text",
    "body": "bytea", "person_key": "bytea", "custodian": "text",
}  # fmt: skip
"""The arrays of a statement for many versions."""
_RESOURCE = "type, id, version, last_updated, body, person_key, custodian"
_HISTORY = "type, id, version, last_updated, method, body"


@dataclass(frozen=True, slots=True)
class Version:
    """A version that is to be written."""

    type: str
    id: str
    version: int
    updated: Any
    method: str
    body: bytes
    values: SearchValues
    person_key: bytes | None
    custodian: str | None
    event: bytes = b""
    """Its audit event as JSON; empty where events are kept in another way."""


class Writing:
    """The statements for the kernel's tables in one schema."""

    def __init__(self, schema: str, audit_function: str | None) -> None:
        """`audit_function`: SQL function that keeps the events; without it there are none."""
        self._schema, self._audit = schema, audit_function

    @property
    def audited(self) -> bool:
        """Whether events are kept."""
        return self._audit is not None

    def new(self, versions: Sequence[Version]) -> Statement:
        """First versions of resources, any number of any type."""
        return self._many(versions, _new)

    def changed(self, versions: Sequence[Version]) -> Statement:
        """Next versions of resources that are there or were deleted, each of another resource."""
        return self._many(versions, _changed)

    def _many(self, versions: Sequence[Version], build: Callable[[str, str | None, tuple[str, ...]], str]) -> Statement:
        columns: list[list[Any]] = [
            [each.type for each in versions],
            [each.id for each in versions],
            [each.version for each in versions],
            [each.updated for each in versions],
            [each.method for each in versions],
            [each.body for each in versions],
            [each.person_key for each in versions],
            [each.custodian for each in versions],
        ]
        found: dict[str, list[list[Any]]] = {}
        for each in versions:
            for name, rows in each.values.by_table():
                into = found.get(name)
                if into is None:
                    into = found[name] = [[] for _ in range(len(rows[0]) + 2)]
                into[0] += [each.type] * len(rows)
                into[1] += [each.id] * len(rows)
                for column, values in zip(into[2:], zip(*rows, strict=True), strict=True):
                    column += values
        arguments: list[Any] = [*columns, *(column for some in found.values() for column in some)]
        if self._audit is not None:
            arguments.append(_events(versions))
        return Statement(build(self._schema, self._audit, tuple(found)), arguments)

    def next(self, version: Version) -> Statement:
        """The next version of a resource that is there, or was deleted."""
        arguments: list[Any] = [
            version.type, version.id, version.version, version.updated, version.method, version.body,
            version.person_key, version.custodian,
        ]  # fmt: skip
        names = []
        for name, rows in version.values.by_table():
            names.append(name)
            arguments += [list(column) for column in zip(*rows, strict=True)]
        if self._audit is not None:
            arguments.append(_events([version]))
        return Statement(_next(self._schema, self._audit, tuple(names)), arguments)

    def deleted(self, version: Version) -> Statement:
        """The deleted version of a resource; its search values go."""
        arguments: list[Any] = [version.type, version.id, version.version, version.updated, version.body]
        if self._audit is not None:
            arguments.append(_events([version]))
        return Statement(_deleted(self._schema, self._audit), arguments)


def _events(versions: Sequence[Version]) -> str:
    return f"[{b','.join(each.event for each in versions).decode()}]"


@cache
def _new(schema: str, audit: str | None, names: tuple[str, ...]) -> str:
    written = f"new AS (INSERT INTO {schema}.resource (deleted, {_RESOURCE}) SELECT false, {_RESOURCE} FROM {_ROWS})"
    return _together(schema, audit, names, [written])


@cache
def _changed(schema: str, audit: str | None, names: tuple[str, ...]) -> str:
    given = ", ".join(f"{each} = u.{each}" for each in _RESOURCE.split(", ")[2:])
    same = "type = u.type AND {0}.id = u.id"
    written = (
        f"changed AS (UPDATE {schema}.resource r SET deleted = false, {given} FROM {_ROWS} WHERE r.{same.format('r')})"
    )
    gone = [
        f"gone_{number} AS (DELETE FROM {schema}.{table.name} v USING {_ROWS} WHERE v.{same.format('v')})"
        for number, table in enumerate(tables(schema).value_tables)
    ]
    return _together(schema, audit, names, [written, *gone])


def _together(schema: str, audit: str | None, names: tuple[str, ...], steps: list[str]) -> str:
    """The steps, and what is the same for all: history and search values."""
    steps = [
        *steps,
        f"kept AS (INSERT INTO {schema}.resource_history (deleted, {_HISTORY}) SELECT false, {_HISTORY} FROM {_ROWS})",
    ]
    at = len(_GIVEN) + 1
    for name in names:
        table = _table(tables(schema), name)
        columns = {"type": "text", "id": "text", **_columns(table)}
        into = ", ".join(columns)
        source = f"unnest({_arrays(columns, at)}) AS u({into})"
        steps.append(f"{name} AS (INSERT INTO {schema}.{table.name} ({into}) SELECT {into} FROM {source})")
        at += len(columns)
    return f"WITH {', '.join(steps)} {_audited(audit, at)}"


@cache
def _next(schema: str, audit: str | None, names: tuple[str, ...]) -> str:
    steps = [
        f"changed AS (UPDATE {schema}.resource SET version = $3::bigint, last_updated = $4::timestamptz, "
        "deleted = false, body = $6::bytea, person_key = $7::bytea, custodian = $8::text "
        "WHERE type = $1::text AND id = $2::text)",
        f"kept AS (INSERT INTO {schema}.resource_history (type, id, version, last_updated, deleted, method, body) "
        "VALUES ($1::text, $2::text, $3::bigint, $4::timestamptz, false, $5::text, $6::bytea))",
        *_emptied(schema),
    ]
    at = 9
    for name in names:
        table = _table(tables(schema), name)
        columns = _columns(table)
        into = ", ".join(columns)
        source = f"unnest({_arrays(columns, at)}) AS u({into})"
        steps.append(
            f"{name} AS (INSERT INTO {schema}.{table.name} (type, id, {into}) "
            f"SELECT $1::text, $2::text, {into} FROM {source})"
        )
        at += len(columns)
    return f"WITH {', '.join(steps)} {_audited(audit, at)}"


@cache
def _deleted(schema: str, audit: str | None) -> str:
    steps = [
        f"changed AS (UPDATE {schema}.resource SET version = $3::bigint, last_updated = $4::timestamptz, "
        "deleted = true WHERE type = $1::text AND id = $2::text)",
        f"kept AS (INSERT INTO {schema}.resource_history (type, id, version, last_updated, deleted, method, body) "
        "VALUES ($1::text, $2::text, $3::bigint, $4::timestamptz, true, 'DELETE', $5::bytea))",
        *_emptied(schema),
    ]
    return f"WITH {', '.join(steps)} {_audited(audit, 6)}"


def _emptied(schema: str) -> list[str]:
    """The old values go; all steps of a statement see the rows that were there before it."""
    return [
        f"gone_{number} AS (DELETE FROM {schema}.{table.name} WHERE type = $1::text AND id = $2::text)"
        for number, table in enumerate(tables(schema).value_tables)
    ]


def _audited(audit: str | None, at: int) -> str:
    return "SELECT 1" if audit is None else f"SELECT {audit}(${at}::jsonb)"


def _arrays(columns: Mapping[str, str], at: int) -> str:
    return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), at))


_ROWS = f"unnest({_arrays(_GIVEN, 1)}) AS u({', '.join(_GIVEN)})"


def _table(kept: ResourceTables, name: str) -> Table:
    table: Table = getattr(kept, name)
    return table


@cache
def _columns(table: Table) -> dict[str, str]:
    """The columns of a value table that are a parameter's, with their types, in the order of `search.index`."""
    kinds = {"TEXT": "text", "TIMESTAMP WITH TIME ZONE": "timestamptz", "NUMERIC": "numeric"}
    return {
        each.name: kinds[each.type.compile(_DIALECT).partition(" COLLATE")[0]]
        for each in table.columns
        if each.name not in ("type", "id")
    }
