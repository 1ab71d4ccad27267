# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the writing interactions share: parse, check, stamp, store in one transaction with events and search values."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.context import Answer, Context
from fhir_server.interactions.profiled import check_declared
from fhir_server.interactions.serving import Serving, audit_entry, guard, headers
from fhir_server.outcome import Conflict, Forbidden, Invalid
from fhir_server.resource import stamp
from fhir_server.search.query import parse_query
from fhir_server.search.sight import Sight
from fhir_server.service import Request
from fhir_server.storage.postgres import NewVersion, Stored
from fhir_server.subscriptions.topics import Change
from fhir_server.validation import validate_rules, validate_structure


@dataclass(frozen=True, slots=True)
class Incoming:
    """A checked resource and its bytes."""

    resource: dict[str, Any]
    body: bytes


def check_roles(serving: Serving, context: Context) -> None:
    """Raises `Forbidden` unless the caller has one of the roles that writing the type asks for."""
    roles = serving.type.write_roles
    if roles and not roles & context.caller.roles:
        raise Forbidden(f"writing {serving.type.name} needs one of the roles {', '.join(sorted(roles))}")


async def incoming(serving: Serving, context: Context, request: Request, interaction: str) -> Incoming:
    """The body, validated, completed by the service and permitted by its guard."""
    check_roles(serving, context)
    resource = request.resource(serving.type.name)
    body = request.body
    if serving.validate:
        validate_structure(body)
    if serving.type.prepare is not None:
        prepared = await serving.type.prepare(context, resource)
        if prepared is not resource:
            resource, body = prepared, orjson.dumps(prepared)
    # After the service has completed it: a Consent gets its policyRule (ppc-1) from us.
    if serving.validate:
        validate_rules(resource)
        check_declared(serving.packages, serving.type.profiles, resource)
    await guard(serving, context, interaction, resource)
    return Incoming(resource, body)


async def store(
    serving: Serving,
    context: Context,
    connection: AsyncConnection | None,
    given: Incoming,
    resource_id: str,
    current: Stored | None,
    method: str,
) -> Stored:
    """Stores the next version of `resource_id`, without a connection in a transaction of its own.

    Raises `Conflict` if another write made it first.
    """
    resource = {**given.resource, "id": resource_id}
    person = serving.type.person(resource) if serving.type.person is not None else None
    updated = not_before(current, context.now)
    new = NewVersion(
        type=serving.type.name,
        id=resource_id,
        updated=updated,
        method=method,
        values=serving.extraction.values(resource),
        stamped=lambda version: stamp(
            given.body, given.resource, resource_id=resource_id, version=version, updated=updated
        ),
        person_key=person.value if person is not None else None,
        custodian=serving.type.custodian(resource) if serving.type.custodian is not None else None,
    )
    made = current is None or current.deleted
    entry = audit_entry(serving, context, "create" if made else "update", "C" if made else "U", resource)
    version = 1 if current is None else current.version + 1
    within = hook(serving, serving.type.within, context, resource, version, "create" if made else "update")
    try:
        return await serving.store.write(connection, new, current, context=context, entry=entry, within=within)
    except IntegrityError as error:
        raise Conflict("another request changed this resource at the same time; read it and try again") from error


def not_before(current: Stored | None, now: datetime) -> datetime:
    """The moment of the next version: a request that came first may write last, and time must not run backwards."""
    return now if current is None else max(now, current.updated)


def named_criteria(criteria: list[tuple[str, str]]) -> str:
    """The criteria as one text that does not depend on their order: what is locked."""
    return "&".join(f"{name}={value}" for name, value in sorted(criteria))


async def matching_id(
    serving: Serving, context: Context, connection: AsyncConnection, criteria: list[tuple[str, str]]
) -> str | None:
    """The id of the one resource the criteria of a conditional write match; the criteria are locked.

    The criteria see what the caller may find: else an answer would tell what others have.
    """
    query = parse_query(criteria, serving.parameters, limits=serving.limits)
    if not query.conditions and query.ids is None:
        raise Invalid("a conditional write needs at least one search parameter")
    await serving.store.lock_criteria(connection, serving.type.name, named_criteria(criteria))
    policies = {} if serving.type.guard is None else {serving.type.name: await serving.type.guard.policy(context)}
    statement = serving.searches.ids(serving.type.name, query, Sight.under(policies))
    return await serving.store.match(connection, statement)


def answer(stored: Stored, request: Request, *, created: bool) -> Answer:
    """201 or 200 with Location, ETag and the body `Prefer` asks for (https://hl7.org/fhir/R4/http.html#ops)."""
    tags = headers(stored)
    if created:
        tags["Location"] = f"{request.base}/{stored.type}/{stored.id}/_history/{stored.version}"
    minimal = "return=minimal" in request.headers.get("prefer", "")
    return Answer(None if minimal else stored.body, 201 if created else 200, tags, updated=stored.updated)


def hook(
    serving: Serving,
    called: Callable[[Any, Context, Mapping[str, Any]], Awaitable[None]] | None,
    context: Context,
    resource: Mapping[str, Any],
    version: int,
    change: Change,
) -> Callable[[AsyncConnection], Awaitable[None]] | None:
    """A service's hook bound to what is written, and the outbox of its topics; None if there is neither."""
    changed = serving.changed
    if called is None and changed is None:
        return None

    async def within(connection: AsyncConnection) -> None:
        if called is not None:
            await called(connection, context, resource)
        if changed is not None:
            await changed(connection, context, resource, version, change)

    return within
