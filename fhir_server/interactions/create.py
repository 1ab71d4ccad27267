# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""create and conditional create: https://hl7.org/fhir/R4/http.html#create and #ccreate."""

from fhir_server.context import Answer, Context
from fhir_server.ids import uuid7_text
from fhir_server.interactions.conditions import create_criteria
from fhir_server.interactions.serving import Serving
from fhir_server.interactions.write import answer, incoming, matching_id, store
from fhir_server.outcome import Conflict
from fhir_server.service import Request


async def create(serving: Serving, context: Context, request: Request, *, planned: str | None = None) -> Answer:
    """Stores a new resource under an id of ours; with `If-None-Exist`, gives the one that exists already.

    `planned`: the id that a transaction has given it, by which its other entries refer to it.
    """
    given = await incoming(serving, context, request, "create")
    criteria = create_criteria(request)
    resource_id = planned or uuid7_text(context.now)
    if criteria is None:
        stored = await store(serving, context, None, given, resource_id, None, "POST")
        return answer(stored, request, created=True)
    async with serving.store.transaction() as connection:
        existing = await matching_id(serving, context, connection, criteria)
        if existing is not None:
            if planned not in (None, existing):
                raise Conflict("another entry has made what this one would create", code="entries-overlap")
            current = await serving.store.current(connection, serving.type.name, existing)
            if current is not None:
                return answer(current, request, created=False)
        stored = await store(serving, context, connection, given, resource_id, None, "POST")
    return answer(stored, request, created=True)
