# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The catalogue's own tables and queries. They are written in the transaction that stores the resource.

Resolving is one keyed query: each unit keeps its way up to the care provider as an array, so nothing climbs at run
time. Resources themselves are the kernel's (`fhir_server.storage`).
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    any_,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.context import Context
from fhir_server.outcome import Conflict
from identifiers.hsa_id import HsaId
from provider_catalog.client import Organisation, ProviderState
from provider_catalog.model import Route, Step, Unit, path_of, routes_of, unit_of

__all__ = ["SCHEMA", "AsyncEngine", "CatalogStore", "metadata", "write_endpoint", "write_organization"]

SCHEMA: Final = "provider_catalog"

metadata = MetaData(schema=SCHEMA)

unit = Table(
    "unit",
    metadata,
    Column("hsa_id", Text, primary_key=True),
    Column("resource_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("path", ARRAY(Text), nullable=False, comment="from the unit itself up to its care provider"),
    Column("provider", Text, nullable=False, comment="the last of path"),
)
Index("unit_by_path", unit.c.path, postgresql_using="gin")
Index("unit_by_provider", unit.c.provider)

route = Table(
    "route",
    metadata,
    Column("unit", Text, nullable=False),
    Column("information_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("connection_type", Text, nullable=False),
    Column("logical_address", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("valid_from", DateTime(timezone=True)),
    Column("valid_to", DateTime(timezone=True), comment="first instant after the period"),
    PrimaryKeyConstraint("unit", "information_type", "resource_id"),
)
Index("route_by_resource", route.c.resource_id)

# The hot query: one index lookup of the unit, one of the routes for each organisation on its way.
_STEPS = text(
    """
    SELECT asked.n, step.unit AS step, route.*
    FROM unnest(CAST(:units AS text[]), CAST(:types AS text[])) WITH ORDINALITY AS asked (unit, information_type, n)
    LEFT JOIN provider_catalog.unit AS known ON known.hsa_id = asked.unit
    CROSS JOIN LATERAL unnest(coalesce(known.path, ARRAY[asked.unit])) WITH ORDINALITY AS step (unit, depth)
    LEFT JOIN provider_catalog.route
        ON route.unit = step.unit AND route.information_type = asked.information_type
    ORDER BY asked.n, step.depth, route.resource_id
    """
)


class CatalogStore:
    """Reads of the addressing tables."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def steps(self, queries: Sequence[tuple[str, str]]) -> list[list[Step]]:
        """For each unit and information type the organisations from the unit to its provider, with their routes."""
        values = {"units": [each for each, _ in queries], "types": [each for _, each in queries]}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_STEPS, values)).all()
        found: list[list[Step]] = []
        for _, of_query in groupby(rows, key=lambda row: row.n):
            by_unit = groupby(of_query, key=lambda row: row.step)
            found.append([Step(name, tuple(_route(row) for row in group if row.unit)) for name, group in by_unit])
        return found

    async def organisations(self, hsa_ids: Sequence[str]) -> dict[str, Organisation]:
        """The organisations known among these, by HSA-id."""
        above = unit.alias("above")
        statement = (
            select(unit, above.c.name.label("provider_name"))
            .outerjoin(above, above.c.hsa_id == unit.c.provider)
            .where(unit.c.hsa_id == any_(literal(list(hsa_ids), ARRAY(Text))))
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return {
            row.hsa_id: Organisation(
                hsa_id=row.hsa_id,
                name=row.name,
                provider=row.provider,
                provider_name=row.provider_name or "",
                kind=row.kind,
                active=row.active,
            )
            for row in rows
        }

    async def providers(self, context: Context) -> list[ProviderState]:
        """Every active care provider with the information types that can be fetched from it now, by HSA-id."""
        below = unit.alias("below")
        now = context.now
        usable = (
            (route.c.unit == below.c.hsa_id)
            & (route.c.status == "active")
            & (route.c.valid_from.is_(None) | (route.c.valid_from <= now))
            & (route.c.valid_to.is_(None) | (route.c.valid_to > now))
        )
        types = func.array_agg(route.c.information_type.distinct()).filter(route.c.information_type.is_not(None))
        statement = (
            select(unit.c.hsa_id, unit.c.name, types.label("types"))
            .outerjoin(below, below.c.provider == unit.c.hsa_id)
            .outerjoin(route, usable)
            .where(unit.c.kind == "care-provider", unit.c.active)
            .group_by(unit.c.hsa_id)
            .order_by(unit.c.hsa_id)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [ProviderState(row.hsa_id, row.name, bool(row.types), tuple(sorted(row.types or ()))) for row in rows]


async def write_organization(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Keeps `unit` in step with an Organization. Raises `Conflict` if another one has its HSA-id."""
    entry = unit_of(resource)
    resource_id: str = resource["id"]
    await _take_out_unit(connection, resource_id, unless=None if entry is None else entry.hsa_id)
    if entry is not None:
        await _write_unit(connection, entry, resource_id)


async def remove_organization(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Takes a deleted Organization out of addressing; what stood below it stands on its own."""
    await _take_out_unit(connection, resource["id"], unless=None)


async def remove_endpoint(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Takes the routes of a deleted Endpoint away."""
    await connection.execute(delete(route).where(route.c.resource_id == resource["id"]))


async def write_endpoint(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Keeps `route` in step with an Endpoint."""
    await remove_endpoint(connection, context, resource)
    rows = [
        {
            "unit": each.unit,
            "information_type": each.information_type,
            "resource_id": resource["id"],
            "connection_type": each.connection_type,
            "logical_address": each.logical_address,
            "address": each.address,
            "status": each.status,
            "valid_from": each.valid_from,
            "valid_to": each.valid_to,
        }
        for each in routes_of(resource)
    ]
    if rows:
        await connection.execute(insert(route), rows)


async def _take_out_unit(connection: AsyncConnection, resource_id: str, *, unless: HsaId | None) -> None:
    """Removes what an Organization was in addressing, unless it stays under the same HSA-id."""
    # Two writes could otherwise each read the other's old parent and together close a ring.
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"{SCHEMA}.unit"))))
    before = await connection.scalar(select(unit.c.hsa_id).where(unit.c.resource_id == resource_id))
    if before is not None and before != unless:
        await connection.execute(delete(unit).where(unit.c.resource_id == resource_id))
        await _replace_tail(connection, HsaId(before), (HsaId(before),))


async def _write_unit(connection: AsyncConnection, entry: Unit, resource_id: str) -> None:
    above = await connection.scalar(select(unit.c.path).where(unit.c.hsa_id == entry.parent))
    path = path_of(entry, above)
    values = {
        "resource_id": resource_id,
        "name": entry.name,
        "kind": entry.kind,
        "active": entry.active,
        "path": list(path),
        "provider": path[-1],
    }
    upsert = postgresql.insert(unit).values(hsa_id=entry.hsa_id, **values)
    upsert = upsert.on_conflict_do_update(
        index_elements=[unit.c.hsa_id], set_=values, where=unit.c.resource_id == resource_id
    )
    if await connection.scalar(upsert.returning(unit.c.hsa_id)) is None:
        raise Conflict(
            "another Organization has this HSA-id; update it by PUT Organization?identifier=…",
            code="hsa-id-taken",
            expression="Organization.identifier",
        )
    await _replace_tail(connection, entry.hsa_id, path)


async def _replace_tail(connection: AsyncConnection, hsa_id: HsaId, path: Sequence[HsaId]) -> None:
    """Gives every organisation below `hsa_id` the new way from there upwards."""
    head = unit.c.path[1 : func.array_position(unit.c.path, hsa_id) - 1]
    await connection.execute(
        update(unit)
        .where(unit.c.path.contains([hsa_id]), unit.c.hsa_id != hsa_id)
        .values(path=func.array_cat(head, literal(list(path), ARRAY(Text))), provider=path[-1])
    )


def _route(row: Any) -> Route:
    return Route(
        unit=row.unit,
        information_type=row.information_type,
        connection_type=row.connection_type,
        logical_address=row.logical_address,
        address=row.address,
        status=row.status,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )
