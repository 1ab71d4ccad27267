# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The consent service in process: the same answers as over HTTP, without the wire."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from consent import changes, state_care_relation
from consent.app import create_service
from consent.client import ConsentChanges, Decisions, DisclosureMode, Question
from consent.decide import Decider
from consent.store import AsyncEngine, ConsentStore
from fhir_server.app import KernelSettings, routes_of
from fhir_server.context import Context
from fhir_server.endpoint import authorize
from fhir_server.service import Request
from identifiers.person_key import PersonKey, PersonKeys
from provider_catalog.client import CatalogClient

_JSON = {"content-type": "application/fhir+json"}


class LocalConsent:
    """`ConsentClient` on the service's own store and the kernel's own interactions."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        keys: PersonKeys,
        catalog: CatalogClient,
        mode: DisclosureMode = DisclosureMode.SE,
        settings: KernelSettings | None = None,
    ) -> None:
        """`settings`: those the service is served with, so that writes keep their audit events."""
        self._store = ConsentStore(engine)
        self._decider = Decider(self._store, mode)
        service = create_service(engine=engine, keys=keys, catalog=catalog, mode=mode)
        routes = routes_of(service, engine, settings or KernelSettings())
        self._routes = {(method, route.path): route for route in routes for method in route.methods}

    async def decide(self, context: Context, question: Question) -> Decisions:
        """See `ConsentClient`."""
        return await self._decider.decide(context, question)

    async def changes(self, context: Context, cursor: str | None, limit: int) -> ConsentChanges:
        """See `ConsentClient`."""
        return await changes.changes(self._store, context, cursor, limit)

    async def consents(self, context: Context) -> Sequence[dict[str, Any]]:
        """See `ConsentClient`."""
        bundle = await self._call(context, "POST", "/fhir/Consent/_search", query=(("_count", "1000"),))
        return [entry["resource"] for entry in bundle.get("entry", ())]

    async def give(self, context: Context, consent: dict[str, Any]) -> dict[str, Any]:
        """See `ConsentClient`."""
        return await self._call(context, "POST", "/fhir/Consent", consent)

    async def withdraw(self, context: Context, consent_id: str) -> dict[str, Any]:
        """See `ConsentClient`."""
        current = await self._call(context, "GET", "/fhir/Consent/{id}", id=consent_id)
        ended = {**current, "status": "inactive"}
        return await self._call(context, "PUT", "/fhir/Consent/{id}", ended, id=consent_id)

    async def state_care_relation(self, context: Context, person: PersonKey, reason: str, hours: int) -> datetime:
        """See `ConsentClient`."""
        return await state_care_relation.state(self._store, context, person, reason, hours)

    async def _call(
        self,
        context: Context,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        **path_params: str,
    ) -> dict[str, Any]:
        """One interaction of the kernel, authorized as it is over HTTP."""
        route = self._routes[method, path]
        authorize(route, context.caller)
        request = Request(
            method=method,
            path=path.format(**path_params),
            path_params=path_params,
            query=query,
            headers=_JSON if body is not None else {},
            body=b"" if body is None else orjson.dumps(body),
            base="",
        )
        answer = await route.handler(context, request)
        value: Any = orjson.loads(answer.body) if isinstance(answer.body, bytes) else answer.body
        return dict(value or {})
