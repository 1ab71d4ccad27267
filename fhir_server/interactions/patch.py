# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""patch and conditional patch: https://hl7.org/fhir/R4/http.html#patch and https://hl7.org/fhir/R4/fhirpatch.html."""

from typing import Any, Final

from msgspec.structs import replace
import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server import raw
from fhir_server.context import Answer, Context
from fhir_server.interactions.conditions import check_match, version_headers
from fhir_server.interactions.serving import Serving, guard
from fhir_server.interactions.write import answer, check_roles, incoming, matching_id, store
from fhir_server.outcome import Gone, NotFound, Unprocessable, UnsupportedMediaType
from fhir_server.patching.fhirpath_patch import fhirpath_patch
from fhir_server.patching.json_patch import json_patch, merge_patch
from fhir_server.service import FHIR_JSON, Request

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"


async def patch(serving: Serving, context: Context, request: Request) -> Answer:
    """Stores the next version with the changes that the body describes. Honours `If-Match`."""
    check_roles(serving, context)
    resource_id = request.path_params["id"]
    async with serving.store.transaction() as connection:
        await serving.store.lock_id(connection, serving.type.name, resource_id)
        return await _patch(serving, context, request, connection, resource_id)


async def conditional_patch(serving: Serving, context: Context, request: Request) -> Answer:
    """Patches the one resource that the query matches. Raises `NotFound` or `MultipleMatches`."""
    check_roles(serving, context)
    async with serving.store.transaction() as connection:
        matched = await matching_id(serving, context, connection, list(request.query))
        if matched is None:
            await guard(serving, context, "update", None)
            raise NotFound(f"no {serving.type.name} matches")
        return await _patch(serving, context, request, connection, matched)


def patched(request: Request, resource: Any) -> Any:
    """The resource (of `raw.loads`) after the patch in the body; its form is told by the media type.

    `application/json` is taken for what it holds, since common clients send it: a list is a JSON Patch, Parameters are
    a FHIRPath Patch, any other object is a merge patch. Raises `UnsupportedMediaType`, `Malformed`, `PatchFailed`.
    """
    kind = request.media_type
    if kind not in (JSON_PATCH, MERGE_PATCH) and kind not in FHIR_JSON:
        raise UnsupportedMediaType(
            f"send the patch as {JSON_PATCH}, {MERGE_PATCH} or, a FHIRPath Patch, as application/fhir+json",
            headers={"Accept-Patch": f"{JSON_PATCH}, application/fhir+json, {MERGE_PATCH}"},
        )
    body = raw.loads(request.body)
    if kind == JSON_PATCH or (kind in FHIR_JSON and isinstance(body, list)):
        return json_patch(resource, body)
    if isinstance(body, dict) and kind in FHIR_JSON and (body.get("resourceType") == "Parameters" or "fhir" in kind):
        return fhirpath_patch(resource, body)
    return merge_patch(resource, body)


async def _patch(
    serving: Serving, context: Context, request: Request, connection: AsyncConnection, resource_id: str
) -> Answer:
    current = await serving.store.current(connection, serving.type.name, resource_id)
    # Asked as an update: what may not be updated may not be patched.
    await guard(serving, context, "update", None if current is None else orjson.loads(current.body))
    if current is None:
        raise NotFound(f"no {serving.type.name} with this id")
    if current.deleted:
        raise Gone(f"this {serving.type.name} was deleted", headers=version_headers(current))
    check_match(request, current)
    made = patched(request, raw.loads(current.body))
    if not isinstance(made, dict) or (made.get("resourceType"), made.get("id")) != (serving.type.name, resource_id):
        raise Unprocessable("a patch changes neither the type nor the id of a resource", code="id-mismatch")
    whole = replace(
        request, parsed=None, body=raw.dumps(made), headers={**request.headers, "content-type": "application/fhir+json"}
    )
    given = await incoming(serving, context, whole, "update")
    stored = await store(serving, context, connection, given, resource_id, current, "PATCH")
    return answer(stored, request, created=False)
