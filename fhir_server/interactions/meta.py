# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$meta of an instance: https://hl7.org/fhir/R4/resource-operation-meta.html."""

import orjson

from fhir_server.context import Access, Answer, Context
from fhir_server.interactions.conditions import version_headers
from fhir_server.interactions.serving import Serving, audit_entry, guard, headers
from fhir_server.outcome import Gone, NotFound
from fhir_server.parameters import Parameters
from fhir_server.service import Request


async def meta(serving: Serving, context: Context, request: Request) -> Answer:
    """Profiles, tags, labels and version of the current version, without the resource.

    Permitted to who may read the resource. Raises `NotFound` or `Gone`.
    """
    stored = await serving.store.read(serving.type.name, request.path_params["id"])
    resource = None if stored is None else orjson.loads(stored.body)
    await guard(serving, context, "read", resource)
    if stored is None or resource is None:
        raise NotFound(f"no {serving.type.name} with this id")
    if stored.deleted:
        raise Gone(f"this {serving.type.name} was deleted", headers=version_headers(stored))
    if serving.type.access is Access.person_data:
        context.record(audit_entry(serving, context, "meta", "R", resource))
    return Answer(Parameters().add("return", valueMeta=resource["meta"]).resource(), headers=headers(stored))
