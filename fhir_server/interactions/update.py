# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""update and conditional update: https://hl7.org/fhir/R4/http.html#update and #cond-update."""

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.context import Answer, Context
from fhir_server.ids import uuid7_text
from fhir_server.interactions.conditions import check_match
from fhir_server.interactions.serving import Serving, guard
from fhir_server.interactions.write import Incoming, answer, incoming, matching_id, store
from fhir_server.outcome import Conflict, Invalid
from fhir_server.service import Request
from fhir_server.storage.postgres import Stored
from fhir_server.validation import check_id


async def update(serving: Serving, context: Context, request: Request) -> Answer:
    """Stores the next version under the id in the URL; creates it if it is not there. Honours `If-Match`."""
    resource_id = request.path_params["id"]
    check_id(resource_id)
    given = await incoming(serving, context, request, "update")
    if given.resource.get("id") != resource_id:
        raise Invalid("the id in the body must be the id in the URL", expression="id", code="id-mismatch")
    async with serving.store.transaction() as connection:
        await serving.store.lock_id(connection, serving.type.name, resource_id)
        return await _put(serving, context, request, connection, given, resource_id)


async def conditional_update(
    serving: Serving, context: Context, request: Request, *, planned: str | None = None
) -> Answer:
    """Updates the one resource that the query matches, or creates it. Raises `MultipleMatches`.

    `planned`: the id that a transaction has given it, by which its other entries refer to it.
    """
    given = await incoming(serving, context, request, "update")
    async with serving.store.transaction() as connection:
        matched = await matching_id(serving, context, connection, list(request.query))
        if matched is not None and planned not in (None, matched):
            raise Conflict("another entry has made what this one would create", code="entries-overlap")
        named = given.resource.get("id")
        if matched is not None and named is not None and named != matched:
            raise Invalid(
                "the id in the body is not that of the matching resource", expression="id", code="id-mismatch"
            )
        resource_id = matched or named or planned or uuid7_text(context.now)
        check_id(resource_id)
        return await _put(serving, context, request, connection, given, resource_id)


async def _put(
    serving: Serving,
    context: Context,
    request: Request,
    connection: AsyncConnection,
    given: Incoming,
    resource_id: str,
) -> Answer:
    current = await serving.store.current(connection, serving.type.name, resource_id)
    if current is not None:
        await _may_replace(serving, context, current)
    check_match(request, current)
    stored = await store(serving, context, connection, given, resource_id, current, "PUT")
    return answer(stored, request, created=current is None or current.deleted)


async def _may_replace(serving: Serving, context: Context, current: Stored) -> None:
    """The guard sees what is there too: nobody may take over another person's resource."""
    await guard(serving, context, "update", orjson.loads(current.body))
