# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The terminology service: which routes and resource types it serves."""

from collections.abc import Awaitable, Callable
from functools import partial

from fhir_server.context import Access, Answer, Context
from fhir_server.service import Request, Route, Service
from terminology import lookup, translate
from terminology.resources import RESOURCES
from terminology.store import AsyncEngine, TerminologyStore

_Handle = Callable[[TerminologyStore, Context, Request], Awaitable[Answer]]


def create_service(*, engine: AsyncEngine) -> Service:
    """The service on a migrated database."""
    store = TerminologyStore(engine)

    def route(path: str, handle: _Handle, resource: str, summary: str) -> Route:
        return Route(
            path, partial(handle, store), Access.directory, (resource, "r"), methods=("GET", "POST"), summary=summary
        )

    return Service(
        name="terminology",
        title="Terminology",
        base="/terminology",
        description="Code systems, value sets and maps; what a code means and what it is in another code system.",
        routes=(
            route("/fhir/CodeSystem/$lookup", lookup.handle, "CodeSystem", "What a code means"),
            route("/fhir/ConceptMap/$translate", translate.handle, "ConceptMap", "What a code is in another system"),
            route("/fhir/ConceptMap/{id}/$translate", translate.handle, "ConceptMap", "The same by one map"),
        ),
        resources=RESOURCES,
        operations=frozenset({"$export"}),
    )
