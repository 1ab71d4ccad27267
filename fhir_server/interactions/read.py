# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""read, vread and conditional read: https://hl7.org/fhir/R4/http.html#read, #vread and #cread."""

from typing import Final

from msgspec.structs import replace
import orjson

from fhir_server.context import Access, Answer, Context
from fhir_server.interactions.conditions import unchanged, version_headers
from fhir_server.interactions.serving import Serving, audit_entry, guard, headers
from fhir_server.outcome import Gone, Invalid, NotFound, NotSupported
from fhir_server.search.query import parse_query
from fhir_server.search.subset import Subset, subset
from fhir_server.service import Request
from fhir_server.storage.postgres import Stored

_PARAMETERS: Final = frozenset({"_format", "_pretty", "_summary", "_elements"})


async def read(serving: Serving, context: Context, request: Request) -> Answer:
    """The current version, or the part that `_summary` or `_elements` asks for; 304 when the caller has it.

    Raises `NotFound`, or `Gone` with the ETag of the deletion.
    """
    part = _part(serving, request)
    stored = await serving.store.read(serving.type.name, request.path_params["id"])
    answer = await _answer(serving, context, request, stored, "read")
    if part is None or not isinstance(answer.body, bytes):
        return answer
    return replace(answer, body=part(serving.type.name, answer.body))


async def vread(serving: Serving, context: Context, request: Request) -> Answer:
    """One version. Raises `NotFound` or `Gone`."""
    version = request.path_params["version"]
    if not version.isascii() or not version.isdigit() or len(version) > 18:
        raise NotFound(f"no such version of this {serving.type.name}")
    stored = await serving.store.vread(serving.type.name, request.path_params["id"], int(version))
    return await _answer(serving, context, request, stored, "vread")


def _part(serving: Serving, request: Request) -> Subset | None:
    """https://hl7.org/fhir/R4/http.html#parameters. Raises `NotSupported` for what a read does not take."""
    for name, _ in request.query:
        if name not in _PARAMETERS:
            raise NotSupported(
                f"unknown parameter; a read takes {', '.join(sorted(_PARAMETERS))}", code="unknown-parameter"
            )
    asked = [(name, value) for name, value in request.query if name in ("_summary", "_elements")]
    if not asked:
        return None
    query = parse_query(asked, serving.parameters)
    if query.summary == "count":
        raise Invalid("_summary=count is asked of a search")
    return subset(query.summary, query.elements)


async def _answer(
    serving: Serving, context: Context, request: Request, stored: Stored | None, interaction: str
) -> Answer:
    if stored is None:
        await guard(serving, context, interaction, None)
        raise NotFound(f"no {serving.type.name} with this id")
    person_data = serving.type.access is Access.person_data
    # Parsed for who must look at it; a type without a guard holds no person data.
    resource = orjson.loads(stored.body) if person_data or serving.type.guard is not None else None
    await guard(serving, context, interaction, resource)
    if stored.deleted:
        raise Gone(f"this {serving.type.name} was deleted", headers=version_headers(stored))
    if person_data:
        context.record(audit_entry(serving, context, interaction, "R", resource))
    tags = headers(stored)
    if unchanged(request, stored):
        return Answer(None, status=304, headers=tags, updated=stored.updated)
    return Answer(stored.body, headers=tags, updated=stored.updated)
