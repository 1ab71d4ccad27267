# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the interactions of one resource type share: its definition, its store, its parameters, its cursors."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.context import Access, Answer, AuditEntry, Context
from fhir_server.limits import LIMITS, SearchLimits
from fhir_server.resource import http_date
from fhir_server.search.index import Extraction
from fhir_server.search.page import Cursors
from fhir_server.search.parameters import SearchParameter
from fhir_server.search.prepared import PreparedSearches
from fhir_server.search.terminology import Terminology
from fhir_server.service import ResourceType, Route
from fhir_server.storage.postgres import ResourceStore, Stored
from fhir_server.storage.schema import ResourceTables
from fhir_server.subscriptions.topics import Change
from fhir_server.validation.packages import Packages

Changed = Callable[[Any, Context, Mapping[str, Any], int, Change], Awaitable[None]]
"""Called with the open connection inside the transaction of a change, with the resource and its version."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One resource type as it is served."""

    type: ResourceType
    store: ResourceStore
    searches: PreparedSearches
    parameters: Mapping[str, SearchParameter]
    extraction: Extraction
    """Of the parameters' values, when a resource is written."""
    cursors: Cursors
    types: Mapping[str, "Serving"] = field(default_factory=dict)
    """All types of the service by name, this one too: where chains and includes may lead."""
    terminology: Terminology | None = None
    limits: SearchLimits = LIMITS
    validate: bool = True
    """Whether what is written is validated (`KernelSettings.validate`)."""
    changed: Changed | None = None
    """Tells subscribers of a change; None for types that no topic is about."""
    packages: Packages | None = None
    """Profiles that the operator has loaded."""

    @property
    def tables(self) -> ResourceTables:
        """The kernel's tables in the service's schema."""
        return self.searches.tables


@dataclass(frozen=True, slots=True)
class Served:
    """An interaction of a resource type with its route: what an entry of a Bundle is held against."""

    route: Route
    serving: Serving
    interaction: Callable[..., Awaitable[Answer]]


def headers(stored: Stored) -> dict[str, str]:
    """`ETag` and `Last-Modified` of a version (https://hl7.org/fhir/R4/http.html#versioning)."""
    return {"ETag": f'W/"{stored.version}"', "Last-Modified": http_date(stored.updated)}


def may_search(serving: Serving, context: Context) -> bool:
    """Whether scopes and roles let the caller search the type; its guard is asked besides."""
    role = {Access.operator: "operator", Access.source_system: "source"}.get(serving.type.access)
    return context.caller.may(serving.type.name, "s") and (role is None or role in context.caller.roles)


async def guard(serving: Serving, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
    """Asks the type's guard; types without one hold no person data."""
    if serving.type.guard is not None:
        await serving.type.guard.check(context, interaction, resource)


def audit_entry(
    serving: Serving, context: Context, operation: str, action: str, resource: Mapping[str, Any] | None
) -> AuditEntry:
    """The event of an interaction."""
    person = serving.type.person(resource) if serving.type.person is not None and resource is not None else None
    return AuditEntry(
        operation=f"{operation} {serving.type.name}",
        action=action,
        person=person,
        information_type=serving.type.information_type,
        ground="self" if person is not None and person == context.caller.person else None,
    )
