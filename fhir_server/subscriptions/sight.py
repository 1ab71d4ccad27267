# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Whether somebody may see an event, asked when it is about to be told; and what the access log learns of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from fhir_server.context import Access, AuditEntry, Context
from fhir_server.interactions.serving import Serving, audit_entry, may_search
from fhir_server.outcome import Forbidden, Internal, NotFound
from fhir_server.subscriptions.notification import Told
from fhir_server.subscriptions.store import Event, Numbered
from fhir_server.subscriptions.wanted import Content


async def permitted(types: Mapping[str, Serving], context: Context, event: Event) -> bool:
    """Whether the caller's scopes and roles, the policy and the guard of the type let it see the version.

    Both are asked: an event is found, as by a search, and then read. Raises what a guard raises that cannot answer.
    """
    serving = types.get(event.type)
    if serving is None or not event.body or not may_search(serving, context):
        return False
    guard = serving.type.guard
    if guard is None:
        return True
    resource = orjson.loads(event.body)
    person = serving.type.person(resource) if serving.type.person is not None else None
    custodian = serving.type.custodian(resource) if serving.type.custodian is not None else None
    context.decided = False
    try:
        policy = await guard.policy(context)
        if policy.confines and not policy.permits(person, custodian):
            return False
        await guard.check(context, "read", resource)
    except (Forbidden, NotFound):
        return False
    if serving.type.access is Access.person_data and not context.decided:
        raise Internal(f"no access decision was asked about a {event.type}; the event is withheld")
    return True


async def shown(types: Mapping[str, Serving], context: Context, numbered: Numbered) -> Told:
    """An event as the caller may see it now: it has its number, and without its focus it tells nothing else."""
    return told(numbered, seen=await permitted(types, context, numbered.event))


def told(numbered: Numbered, *, seen: bool) -> Told:
    """An event as it is told."""
    event = numbered.event
    if not seen:
        return Told(numbered.number, event.occurred, event.change, None, None)
    body = None if event.change == "delete" else event.body
    return Told(numbered.number, event.occurred, event.change, (event.type, event.id), body)


def audit_entries(
    types: Mapping[str, Serving],
    context: Context,
    operation: str,
    subscription: str,
    content: Content,
    numbered: Sequence[Numbered],
    events: Sequence[Told],
) -> Iterator[AuditEntry]:
    """An entry for each event about a person that is told with its focus."""
    for each, event in zip(numbered, events, strict=True):
        serving = types.get(each.event.type)
        if serving is None or serving.type.access is not Access.person_data or event.focus is None:
            continue
        made = audit_entry(serving, context, operation, "R", orjson.loads(each.event.body))
        yield replace(made, count=1, detail={"subscription": subscription, "number": each.number, "content": content})
