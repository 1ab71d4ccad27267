# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How a source makes itself known: registers in the catalogue, and tells the index what it holds, at least once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC
import logging
from typing import Any

import httpx2

from demo.actors import (
    CANONICAL,
    CONNECTION_TYPES,
    HSA_SYSTEM,
    INFORMATION_TYPES,
    ORGANISATION_KINDS,
    PERSONNUMMER,
    Actor,
)
from demo.regions.store import Engagement, Store
from demo.tokens import LoginFailed, SystemLogin

FHIR_JSON = "application/fhir+json"
ENTRY_SYSTEM = f"{CANONICAL}/NamingSystem/index-entry"
SCOPE = "system/DocumentReference.cu system/Organization.cu system/Endpoint.cu"
LONGEST_PAUSE = 5.0

log = logging.getLogger("demo.publish")


class NotTaken(Exception):
    """The other side did not take it; the text has no content of the message."""


Publisher = Callable[[Engagement], Awaitable[None]]
"""Sends one state to the index. Raises `NotTaken`, `LoginFailed` or httpx2.HTTPError."""


def _identifier(hsa_id: str) -> dict[str, str]:
    return {"system": HSA_SYSTEM, "value": hsa_id}


def catalogue_entries(actor: Actor, address: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Resource type, HSA-id and body of what the actor registers: provider, unit and endpoint."""
    kind = {"care-provider": "Care provider", "care-unit": "Care unit"}
    provider, unit = (
        {
            "resourceType": "Organization",
            "identifier": [_identifier(hsa_id)],
            "active": True,
            "type": [{"coding": [{"system": ORGANISATION_KINDS, "code": code, "display": kind[code]}]}],
            "name": name,
        }
        for hsa_id, name, code in (
            (actor.provider, actor.provider_name, "care-provider"),
            (actor.unit, actor.unit_name, "care-unit"),
        )
    )
    unit["partOf"] = {"identifier": _identifier(actor.provider), "display": actor.provider_name}
    endpoint = {
        "resourceType": "Endpoint",
        "identifier": [_identifier(actor.system)],
        "status": "active",
        "connectionType": {"system": CONNECTION_TYPES, "code": actor.protocol},
        "managingOrganization": {"identifier": _identifier(actor.provider), "display": actor.provider_name},
        "payloadType": [{"coding": [{"system": INFORMATION_TYPES, "code": "alert"}]}],
        "address": address + actor.path,
    }
    return [
        ("Organization", actor.provider, provider),
        ("Organization", actor.unit, unit),
        ("Endpoint", actor.system, endpoint),
    ]


def index_entry(actor: Actor, engagement: Engagement) -> dict[str, Any]:
    """The DocumentReference that registers the engagement (conditional update by its identifier)."""
    identifier = {"system": ENTRY_SYSTEM, "value": str(engagement.business_object)}
    coding = [{"system": INFORMATION_TYPES, "code": "alert"}]
    return {
        "resourceType": "DocumentReference",
        "extension": [
            {"url": f"{CANONICAL}/StructureDefinition/source-system", "valueIdentifier": _identifier(actor.system)},
            {"url": f"{CANONICAL}/StructureDefinition/item-count", "valueUnsignedInt": engagement.items},
        ],
        "masterIdentifier": identifier,
        "identifier": [identifier],
        "status": "current" if engagement.items else "entered-in-error",
        "type": {"coding": coding},
        "category": [{"coding": coding}],
        "subject": {"identifier": {"system": PERSONNUMMER, "value": engagement.number}},
        "date": engagement.most_recent.astimezone(UTC).isoformat(),
        "author": [{"identifier": _identifier(actor.unit), "display": actor.unit_name}],
        "custodian": {"identifier": _identifier(actor.provider), "display": actor.provider_name},
        "content": [{"attachment": {"contentType": FHIR_JSON}}],
    }


class Network:
    """The infrastructure as a source sees it."""

    def __init__(self, http: httpx2.AsyncClient, ndi: str, login: SystemLogin, actor: Actor) -> None:
        self._http, self._ndi, self._login, self.actor = http, ndi, login, actor

    async def put(self, path: str, params: dict[str, str], body: dict[str, Any]) -> None:
        """A conditional update. Raises `NotTaken`, `LoginFailed` or httpx2.HTTPError."""
        answer = await self._http.put(
            self._ndi + path,
            params=params,
            json=body,
            headers={**await self._login.headers(), "Content-Type": FHIR_JSON, "Accept": FHIR_JSON},
        )
        self.check(answer)

    def check(self, answer: httpx2.Response) -> None:
        """Raises `NotTaken` unless it was taken."""
        if answer.status_code == 401:
            self._login.forget()
        if not answer.is_success:
            raise NotTaken(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}")

    async def post_xml(self, path: str, action: str, body: bytes) -> httpx2.Response:
        """A SOAP call; faults come back as they are. Raises `LoginFailed` or httpx2.HTTPError."""
        headers = {**await self._login.headers(), "Content-Type": "text/xml; charset=utf-8", "SOAPAction": action}
        answer = await self._http.post(self._ndi + path, content=body, headers=headers)
        if answer.status_code == 401:
            self._login.forget()
        return answer

    async def register(self, address: str) -> None:
        """Registers provider, unit and endpoint. Raises as `put`."""
        for resource_type, hsa_id, body in catalogue_entries(self.actor, address):
            await self.put(f"/provider-catalog/fhir/{resource_type}", {"identifier": f"{HSA_SYSTEM}|{hsa_id}"}, body)

    async def publish(self, engagement: Engagement) -> None:
        """Tells the index by FHIR. The URL carries the opaque business object only. Raises as `put`."""
        await self.put(
            "/patient-index/fhir/DocumentReference",
            {"identifier": f"{ENTRY_SYSTEM}|{engagement.business_object}"},
            index_entry(self.actor, engagement),
        )


async def until_done(what: str, step: Callable[[], Awaitable[None]]) -> None:
    """Repeats `step` with growing pauses until it succeeds."""
    pause = 0.2
    while True:
        try:
            return await step()
        except (NotTaken, LoginFailed, httpx2.HTTPError) as error:
            log.warning("%s: not taken, again in %.1f s: %s %s", what, pause, type(error).__name__, error)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


class Sender:
    """Empties the outbox: woken by each change, tries again with growing pauses."""

    def __init__(self, store: Store, publisher: Publisher) -> None:
        self._store, self._publisher = store, publisher
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        pause = 0.2
        while True:
            self._woken.clear()
            engagement = await self._store.next_unsent()
            if engagement is None:
                await self._woken.wait()
                continue
            try:
                await self._publisher(engagement)
            except (NotTaken, LoginFailed, httpx2.HTTPError) as error:
                log.warning("index: not taken, again in %.1f s: %s %s", pause, type(error).__name__, error)
                await self._store.not_sent(engagement)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                log.info("index: told of %s", engagement.business_object)
                await self._store.sent(engagement)
                pause = 0.2
