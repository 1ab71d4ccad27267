# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$status and $events of a Subscription.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html and
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-events.html
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from fhir_server.bulk import callers
from fhir_server.context import Answer, Context
from fhir_server.ids import uuid7
from fhir_server.interactions.serving import Serving
from fhir_server.outcome import Invalid, NotFound, NotSupported
from fhir_server.service import Request
from fhir_server.subscriptions.notification import About, notification, status_parameters
from fhir_server.subscriptions.ownership import is_operator
from fhir_server.subscriptions.sight import audit_entries, shown
from fhir_server.subscriptions.store import State, SubscriptionStore
from fhir_server.subscriptions.topics import Topic
from fhir_server.subscriptions.wanted import CONTENTS, Content, wanted

_STATUSES: Final = frozenset({"requested", "active", "error", "off"})
_PAGE: Final = 100
"""Events in one answer: the next are asked for by `eventsSinceNumber`."""


def about(state: State, content: Content) -> About:
    """What a notification says of the Subscription."""
    error = state.error if state.status in ("error", "off") else None
    return About(state.base, state.id, state.topic, state.status, state.events, content, error)


@dataclass(frozen=True, slots=True)
class Status:
    """The handler of `$status`, of one and of all that the caller may see."""

    store: SubscriptionStore
    topics: Mapping[str, Topic]

    async def __call__(self, context: Context, request: Request) -> Answer:
        """in: id 0..* id, status 0..* code (both ignored at an instance); out: a searchset of status Parameters.

        Raises `NotFound` for an instance that is not there or another's.
        """
        context.decided = True
        given = _parameters(request, {"id": "valueId", "status": "valueCode"})
        own = request.path_params.get("id")
        wrong = set(given["status"]) - _STATUSES
        if wrong:
            raise Invalid(f"status must be one of {', '.join(sorted(_STATUSES))}")
        ids, statuses = ([own], []) if own is not None else (given["id"], given["status"])
        found = await self.store.states(owner=_owner(context), ids=ids, statuses=statuses)
        if own is not None and not found:
            raise NotFound("no Subscription with this id")
        entries = [_entry(each, context) for each in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
        return Answer({name: value for name, value in bundle.items() if value != []})


@dataclass(frozen=True, slots=True)
class Events:
    """The handler of `$events`: what was notified, or could not be, once more."""

    store: SubscriptionStore
    topics: Mapping[str, Topic]
    types: Mapping[str, Serving]

    async def __call__(self, context: Context, request: Request) -> Answer:
        """in: eventsSinceNumber 0..1 string, eventsUntilNumber 0..1 string, content 0..1 code; out: a notification.

        What the caller may not see any more comes as its number alone. At most 100 events come at a time. Raises
        `NotFound`, `Invalid`.
        """
        context.decided = True
        names = {"eventsSinceNumber": "valueString", "eventsUntilNumber": "valueString", "content": "valueCode"}
        given = _parameters(request, names)
        found = await self.store.states(owner=_owner(context), ids=[request.path_params["id"]], statuses=())
        if not found:
            raise NotFound("no Subscription with this id")
        (state,) = found
        since, until = (_number(given, name) for name in ("eventsSinceNumber", "eventsUntilNumber"))
        content = given["content"][0] if given["content"] else await self._content(state)
        if content not in CONTENTS:
            raise Invalid(f"content must be one of {', '.join(CONTENTS)}")
        numbered = await self.store.notified(state.id, since=since or 1, until=until, count=_PAGE)
        told = [await shown(self.types, context, each) for each in numbered]
        made = about(state, content)
        for each in audit_entries(self.types, context, "read event", state.id, made.content, numbered, told):
            context.record(each)
        return Answer(notification(made, "query-event", told, context.now))

    async def _content(self, state: State) -> Content:
        stored = await self.types["Subscription"].store.read("Subscription", state.id)
        if stored is None or stored.deleted:
            raise NotFound("no Subscription with this id")
        return wanted(orjson.loads(stored.body)).content


def _entry(state: State, context: Context) -> dict[str, Any]:
    identity = str(uuid7(context.now))
    return {
        "fullUrl": f"urn:uuid:{identity}",
        # What `empty` keeps from the channel the owner may know here.
        "resource": status_parameters(about(state, "id-only"), "query-status", (), identity),
        "search": {"mode": "match"},
    }


def _owner(context: Context) -> bytes | None:
    return None if is_operator(context.caller) else callers.owner(context.caller)


def _parameters(request: Request, offered: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """By GET in the query, by POST in Parameters as well."""
    given: list[tuple[str, Any]] = [pair for pair in request.query if pair[0] not in ("_format", "_pretty")]
    if request.body:
        listed: Iterable[Any] = request.resource("Parameters").get("parameter") or ()
        given += [(each.get("name"), each.get(offered.get(each.get("name"), ""))) for each in listed]
    found: dict[str, list[str]] = {name: [] for name in offered}
    for name, value in given:
        if name not in found:
            raise NotSupported(f"unknown parameter; offered: {', '.join(sorted(offered))}", code="unknown-parameter")
        if not isinstance(value, str):
            raise Invalid(f"{name} takes a {offered[name]}")
        found[name].append(value)
    return dict(found)


def _number(given: Mapping[str, Sequence[str]], name: str) -> int | None:
    values = given[name]
    if not values:
        return None
    if len(values) > 1 or not (values[0].isascii() and values[0].isdigit()) or len(values[0]) > 18:
        raise Invalid(f"{name} must be one number")
    return int(values[0])
