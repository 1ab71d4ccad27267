# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Notifications as Bundles: https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html.

The first entry is the status as Parameters, R4's place for what R5 calls SubscriptionStatus.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from fhir_server.ids import uuid7
from fhir_server.resource import instant
from fhir_server.subscriptions.topics import Change
from fhir_server.subscriptions.wanted import GUIDE, Content

Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]

_BUNDLE: Final = f"{GUIDE}StructureDefinition/backport-subscription-notification-r4"
_STATUS: Final = f"{GUIDE}StructureDefinition/backport-subscription-status-r4"
_ERRORS: Final = "http://terminology.hl7.org/CodeSystem/subscription-error"
_REQUESTS: Final[dict[Change, tuple[str, str]]] = {
    "create": ("POST", "201"),
    "update": ("PUT", "200"),
    "delete": ("DELETE", "204"),
}


@dataclass(frozen=True, slots=True)
class About:
    """What a notification says of its Subscription."""

    base: str
    id: str
    topic: str
    status: str
    events: int
    """Events since the Subscription began."""
    content: Content
    error: str | None = None
    """Why it is in error."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event with its number; a focus that may not be seen any more is None."""

    number: int
    occurred: datetime
    change: Change
    focus: tuple[str, str] | None
    """Type and id of the resource."""
    body: bytes | None
    """The version of the event; None if it was deleted."""


def status_parameters(about: About, kind: Kind, events: Sequence[Told], identity: str) -> dict[str, Any]:
    """The status of a Subscription."""
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{about.base}/Subscription/{about.id}"}}
    ]
    # "This value SHOULD NOT be present when using empty payloads" (backport-subscription-status-r4).
    if about.content != "empty":
        parameters.append({"name": "topic", "valueCanonical": about.topic})
    parameters += [
        {"name": "status", "valueCode": about.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(about.events)},
        *(_event(about, each) for each in events),
    ]
    if about.error is not None:
        concept = {"coding": [{"system": _ERRORS, "code": "no-response"}], "text": about.error}
        parameters.append({"name": "error", "valueCodeableConcept": concept})
    return {"resourceType": "Parameters", "id": identity, "meta": {"profile": [_STATUS]}, "parameter": parameters}


def notification(about: About, kind: Kind, events: Sequence[Told], now: datetime) -> bytes:
    """The Bundle; bodies are copied as bytes."""
    identity = str(uuid7(now))
    address = f"{about.base}/Subscription/{about.id}/$status"
    entries: list[Any] = [
        {
            "fullUrl": f"urn:uuid:{identity}",
            "resource": status_parameters(about, kind, events, identity),
            "request": {"method": "GET", "url": address},
            "response": {"status": "200"},
        }
    ]
    if about.content == "full-resource":
        entries += _resources(about, events)
    return orjson.dumps(
        {
            "resourceType": "Bundle",
            "id": str(uuid7(now)),
            "meta": {"profile": [_BUNDLE]},
            "type": "history",
            "timestamp": instant(now),
            "entry": entries,
        }
    )


def _event(about: About, event: Told) -> dict[str, Any]:
    part: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": instant(event.occurred)},
    ]
    if about.content != "empty" and event.focus is not None:
        part.append({"name": "focus", "valueReference": {"reference": "/".join((about.base, *event.focus))}})
    return {"name": "notification-event", "part": part}


def _resources(about: About, events: Iterable[Told]) -> Iterable[dict[str, Any]]:
    for event in events:
        if event.focus is None:
            continue
        kind, identity = event.focus
        method, status = _REQUESTS[event.change]
        body = {} if event.body is None else {"resource": orjson.Fragment(event.body)}
        yield {
            "fullUrl": f"{about.base}/{kind}/{identity}",
            **body,
            "request": {"method": method, "url": kind if method == "POST" else f"{kind}/{identity}"},
            "response": {"status": status},
        }
