# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The rows an export reads, type by type, from one snapshot."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select

from fhir_server.interactions.seeing import Seen
from fhir_server.search.compartment import PATIENT, Belonging, compartment, linked, members
from fhir_server.search.query import Query
from fhir_server.search.sql import matching
from fhir_server.storage.schema import ResourceTables


def select_bodies(
    tables: ResourceTables,
    kind: str,
    seen: Seen,
    *,
    patients: tuple[str, ...] | None,
    compartments: bool,
    since: datetime | None,
    queries: Sequence[Query],
) -> Select[Any]:
    """The bodies of a type. `compartments`: only of these patients (None: of all) and what their resources refer to."""
    resource = tables.resource
    found = select(resource.c.body).where(*seen.sight.of(resource, kind))
    if since is not None:
        found = found.where(resource.c.last_updated >= since)
    if compartments:
        found = found.where(resource.c.id.in_(_belonging(tables, kind, seen, patients)))
    if queries:
        found = found.where(or_(*(and_(*matching(tables, kind, each, seen.sight)) for each in queries)))
    return found


def select_deleted(tables: ResourceTables, kind: str, since: datetime) -> Select[Any]:
    """What of a type was deleted since: whose it was is still known."""
    resource = tables.resource
    return select(resource.c.id, resource.c.body, resource.c.person_key, resource.c.custodian).where(
        resource.c.type == kind, resource.c.deleted.is_(True), resource.c.last_updated >= since
    )


def _belonging(tables: ResourceTables, kind: str, seen: Seen, patients: tuple[str, ...] | None) -> Select[Any]:
    if kind == PATIENT or kind in compartment():
        inside = members(tables, Belonging(frozenset({kind}), seen.sight, patients))
        return select(inside.c.id)
    asked = Belonging(frozenset(seen.types), seen.sight, patients)
    led = linked(tables, asked, members(tables, asked)).subquery()
    return select(led.c.id).where(led.c.type == kind)
