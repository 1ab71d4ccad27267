# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""delete and conditional delete of one match: https://hl7.org/fhir/R4/http.html#delete and #3.1.0.7.1."""

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.context import Answer, Context
from fhir_server.interactions.conditions import check_match, version_headers
from fhir_server.interactions.serving import Serving, audit_entry, guard
from fhir_server.interactions.write import check_roles, hook, matching_id, not_before
from fhir_server.service import Request
from fhir_server.storage.postgres import Deletion


async def delete(serving: Serving, context: Context, request: Request) -> Answer:
    """Makes a deleted version: reading it is 410 from now on, no search finds it, its history stays.

    204 also when nothing is there or it was deleted before; then nothing is written. Honours `If-Match`.
    """
    resource_id = request.path_params["id"]
    check_roles(serving, context)
    async with serving.store.transaction() as connection:
        await serving.store.lock_id(connection, serving.type.name, resource_id)
        return await _delete(serving, context, request, connection, resource_id)


async def conditional_delete(serving: Serving, context: Context, request: Request) -> Answer:
    """Deletes the one resource that the query matches; 204 also when none does. Raises `MultipleMatches`."""
    check_roles(serving, context)
    async with serving.store.transaction() as connection:
        matched = await matching_id(serving, context, connection, list(request.query))
        if matched is None:
            await guard(serving, context, "delete", None)
            return Answer(None, status=204)
        return await _delete(serving, context, request, connection, matched)


async def _delete(
    serving: Serving, context: Context, request: Request, connection: AsyncConnection, resource_id: str
) -> Answer:
    current = await serving.store.current(connection, serving.type.name, resource_id)
    resource = None if current is None else orjson.loads(current.body)
    await guard(serving, context, "delete", resource)
    check_match(request, current)
    if current is None or resource is None:
        return Answer(None, status=204)
    if current.deleted:
        return Answer(None, status=204, headers=version_headers(current))
    deleted = await serving.store.delete(
        connection,
        Deletion(current, not_before(current, context.now)),
        context=context,
        entry=audit_entry(serving, context, "delete", "D", resource),
        within=hook(serving, serving.type.removed, context, resource, current.version + 1, "delete"),
    )
    return Answer(None, status=204, headers=version_headers(deleted))
