# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The provider catalogue: which routes and resource types it serves."""

from collections.abc import Awaitable, Callable
from functools import partial

from fhir_server.context import Access, Answer, Context
from fhir_server.service import Interaction, Request, ResourceType, Route, Service
from provider_catalog import names, providers, resolve
from provider_catalog.capability import SEARCH
from provider_catalog.entries import WRITERS, OwnEntries, prepare
from provider_catalog.store import (
    AsyncEngine,
    CatalogStore,
    remove_endpoint,
    remove_organization,
    write_endpoint,
    write_organization,
)

INTERACTIONS: frozenset[Interaction] = frozenset(
    {"read", "vread", "create", "update", "patch", "delete", "search", "history"}
)
_WITHIN = {"Organization": write_organization, "Endpoint": write_endpoint}
_REMOVED = {"Organization": remove_organization, "Endpoint": remove_endpoint}

_Handle = Callable[[CatalogStore, Context, Request], Awaitable[Answer]]


def create_service(*, engine: AsyncEngine) -> Service:
    """The service on a migrated database."""
    store = CatalogStore(engine)

    def route(path: str, handle: _Handle, scope: str, summary: str) -> Route:
        return Route(path, partial(handle, store), Access.directory, (scope, "r"), summary=summary)

    return Service(
        name="provider_catalog",
        title="Provider catalogue",
        base="/provider-catalog",
        interactions=frozenset({"batch", "transaction", "history"}),
        description="Organisations, units, services and endpoints; where to fetch an information type of a unit.",
        routes=(
            route(
                "/fhir/Endpoint/$resolve", resolve.handle, "Endpoint", "Where to fetch an information type of a unit"
            ),
            route("/fhir/Organization/$names", names.handle, "Organization", "Who these HSA-ids are"),
            route("/fhir/Organization/$providers", providers.handle, "Organization", "The coverage of the network"),
        ),
        resources=tuple(
            ResourceType(
                name=name,
                access=Access.directory,
                interactions=INTERACTIONS,
                search=search,
                guard=OwnEntries(),
                prepare=prepare,
                within=_WITHIN.get(name),
                removed=_REMOVED.get(name),
                write_roles=WRITERS,
            )
            for name, search in SEARCH.items()
        ),
        operations=frozenset({"$export"}),
    )
