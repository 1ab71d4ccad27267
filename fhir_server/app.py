# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Serves a `Service`: its operations, the interactions of its resource types, its capability statement."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
import os
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine
import structlog

from fhir_server.bulk.serve import Bulk, bulk_of
from fhir_server.context import Access, Answer, AuditSink, Authenticator, Context
from fhir_server.endpoint import Endpoint, KernelSettings, Receive, Scope, Send, send_answer
from fhir_server.interactions.bundle import BundleHandler
from fhir_server.interactions.capabilities import capability_statement
from fhir_server.interactions.create import create
from fhir_server.interactions.delete import conditional_delete, delete
from fhir_server.interactions.everything import check_compartment, everything
from fhir_server.interactions.history import SystemHistory, history
from fhir_server.interactions.meta import meta
from fhir_server.interactions.patch import conditional_patch, patch
from fhir_server.interactions.read import read, vread
from fhir_server.interactions.search import search
from fhir_server.interactions.serving import Served, Serving
from fhir_server.interactions.update import conditional_update, update
from fhir_server.interactions.validate import validate
from fhir_server.outcome import FhirError
from fhir_server.router import Routes
from fhir_server.search.index import Extraction
from fhir_server.search.page import Cursors
from fhir_server.search.parameters import parameters_for
from fhir_server.search.prepared import PreparedSearches
from fhir_server.search.terminology import Terminology
from fhir_server.service import Handler, Request, ResourceType, Route, Service
from fhir_server.storage.postgres import ResourceStore
from fhir_server.storage.schema import tables
from fhir_server.subscriptions.serve import Subscriptions, subscriptions_of
from fhir_server.trace import trace_id_of
from fhir_server.validation.packages import Packages

__all__ = ["Application", "KernelSettings", "background", "create_app", "routes_of"]

log = structlog.get_logger("ndi.service")

Background = Callable[[], Coroutine[Any, Any, None]]
Interaction = Callable[..., Awaitable[Answer]]
"""Takes a `Serving`, the context and the request."""


class Application:
    """A service as an ASGI application."""

    def __init__(self, base: str, endpoints: Sequence[Endpoint], background: Background | None) -> None:
        """`background`: what must run beside it."""
        self._routes: Routes[Endpoint] = Routes()
        for each in endpoints:
            self._routes.add(base + each.route.path, each.route.methods, each)
        self.background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; the life of a process begins and ends without doing."""
        if scope["type"] == "lifespan":
            for what in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{what}.complete"})
            return
        try:
            endpoint, scope["path_params"] = self._routes.find(scope["method"], scope["path"])
        except FhirError as error:
            await send_answer(send, Answer(error.outcome(), error.status, error.headers), trace_id_of(None))
            return
        await endpoint(scope, receive, send)


class Worker(Protocol):
    """Works beside the requests."""

    async def run(self, audit: AuditSink) -> None:
        """Until it is cancelled."""
        ...


def create_app(
    service: Service,
    *,
    engine: AsyncEngine | None,
    authenticator: Authenticator,
    audit: AuditSink,
    settings: KernelSettings | None = None,
    terminology: Terminology | None = None,
) -> Application:
    """The service as an ASGI application.

    Raises `ValueError` if a route or resource type does not declare what the kernel must enforce.
    """
    settings = settings or KernelSettings()
    routes, workers = _built(service, engine, settings, terminology)
    if not settings.validate:
        log.warning("resources are stored without being validated", service=service.name)
    endpoints = [
        Endpoint(service.name, service.base, route, authenticator=authenticator, audit=audit, settings=settings)
        for route in routes
    ]
    return Application(service.base, endpoints, partial(_together, workers, audit) if workers else None)


def background(app: Application) -> Background | None:
    """What must run beside an app of `create_app` until the process ends: the workers of its jobs and notifications."""
    return app.background


async def _together(workers: Sequence[Worker], audit: AuditSink) -> None:
    async with asyncio.TaskGroup() as group:
        for each in workers:
            group.create_task(each.run(audit))


def routes_of(
    service: Service, engine: AsyncEngine | None, settings: KernelSettings, terminology: Terminology | None = None
) -> list[Route]:
    """Every route of a service, operations first since `{id}` would match them."""
    return _built(service, engine, settings, terminology)[0]


def _built(
    service: Service, engine: AsyncEngine | None, settings: KernelSettings, terminology: Terminology | None
) -> tuple[list[Route], list[Worker]]:
    workers: list[Worker] = []
    if service.topics and engine is None:
        raise ValueError(f"{service.name} has topics and needs a database")
    subscriptions = None if engine is None else subscriptions_of(service, engine, settings)
    if subscriptions is not None:
        service = subscriptions.served(service)
    routes = [Route("/fhir/metadata", partial(_capabilities, service, terminology), Access.public, methods=("GET",))]
    routes += service.routes
    if service.resources:
        if engine is None:
            raise ValueError(f"{service.name} serves resources and needs a database")
        store = ResourceStore(engine, service.name, audit_function=settings.audit_function)
        searches = PreparedSearches(tables(service.name))
        types: dict[str, Serving] = {}
        packages = Packages(settings.packages) if settings.packages is not None else None
        for resource in service.resources:
            made = _serving(service, resource, store, searches, settings, types, terminology, subscriptions)
            types[resource.name] = replace(made, packages=packages)
        if subscriptions is not None:
            subscriptions.with_types(types)
            routes += subscriptions.routes()
            workers.append(subscriptions.worker())
        check_compartment(service.name, types)
        bulk = bulk_of(service, engine, types, settings)
        served = [each for serving in types.values() for each in _resource_routes(serving, bulk)]
        if service.interactions & {"batch", "transaction"}:
            bundle = BundleHandler(service, store, routes, served, settings.max_entries)
            routes.append(Route("/fhir", bundle, Access.each_entry, summary="Batch and transaction"))
        if "history" in service.interactions:
            routes.append(
                Route("/fhir/_history", SystemHistory(served), Access.each_entry, methods=("GET",), summary="History")
            )
        if bulk is not None:
            routes += bulk.routes()
            workers.append(bulk.worker)
        routes += [each.route for each in served]
    return routes, workers


def _serving(
    service: Service,
    resource: ResourceType,
    store: ResourceStore,
    searches: PreparedSearches,
    settings: KernelSettings,
    types: Mapping[str, Serving],
    terminology: Terminology | None,
    subscriptions: Subscriptions | None,
) -> Serving:
    if resource.access is Access.person_data and resource.guard is None:
        raise ValueError(f"{resource.name} of {service.name} holds person data and needs a guard")
    if resource.access is Access.person_data and resource.person is None:
        raise ValueError(f"{resource.name} of {service.name} holds person data and must name the person")
    if "delete" in resource.interactions and resource.within is not None and resource.removed is None:
        raise ValueError(f"{resource.name} of {service.name} derives rows when written and must remove them on delete")
    # Without a secret that processes share, a cursor is good for the process that gave it.
    secret = settings.cursor_secret or os.urandom(32)
    parameters = parameters_for(resource.name, resource.search)
    watched = subscriptions is not None and subscriptions.watched(resource.name)
    return Serving(
        resource,
        store,
        searches,
        parameters,
        Extraction(parameters.values()),
        Cursors(secret),
        types,
        terminology,
        limits=settings.search,
        validate=settings.validate,
        changed=subscriptions.changed if subscriptions is not None and watched else None,
    )


def _resource_routes(serving: Serving, bulk: Bulk | None) -> Iterator[Served]:
    resource = serving.type
    root, offered = f"/fhir/{resource.name}", resource.interactions

    def route(path: str, handler: Interaction, permission: str, method: str) -> Served:
        called: Handler = partial(handler, serving)
        if bulk is not None and handler is search:
            called = bulk.searching(serving, called)
        made = Route(path, called, resource.access, (resource.name, permission), methods=(method,))
        return Served(made, serving, handler)

    if "$validate" in resource.operations:
        yield route(f"{root}/$validate", validate, "r", "POST")
        yield route(f"{root}/{{id}}/$validate", validate, "r", "POST")
        yield route(f"{root}/{{id}}/$validate", validate, "r", "GET")
    if "$everything" in resource.operations:
        yield route(f"{root}/{{id}}/$everything", everything, "r", "GET")
        yield route(f"{root}/{{id}}/$everything", everything, "r", "POST")
    if "$meta" in resource.operations:
        yield route(f"{root}/{{id}}/$meta", meta, "r", "GET")
        yield route(f"{root}/{{id}}/$meta", meta, "r", "POST")
    if "search" in offered:
        yield route(f"{root}/_search", search, "s", "POST")
        yield route(root, search, "s", "GET")
    if "history" in offered:
        yield route(f"{root}/_history", history, "s", "GET")
    if "create" in offered:
        yield route(root, create, "c", "POST")
    if "update" in offered:
        yield route(root, conditional_update, "u", "PUT")
        yield route(f"{root}/{{id}}", update, "u", "PUT")
    if "patch" in offered:
        yield route(root, conditional_patch, "u", "PATCH")
        yield route(f"{root}/{{id}}", patch, "u", "PATCH")
    if "delete" in offered:
        yield route(root, conditional_delete, "d", "DELETE")
        yield route(f"{root}/{{id}}", delete, "d", "DELETE")
    if "read" in offered:
        yield route(f"{root}/{{id}}", read, "r", "GET")
    if "vread" in offered:
        yield route(f"{root}/{{id}}/_history/{{version}}", vread, "r", "GET")
    if "history" in offered:
        yield route(f"{root}/{{id}}/_history", history, "r", "GET")


async def _capabilities(
    service: Service, terminology: Terminology | None, context: Context, request: Request
) -> Answer:
    known = terminology.modifiers if terminology is not None else frozenset[str]()
    return Answer(capability_statement(service, request.base, context.now, known))
