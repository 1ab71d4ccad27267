# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$names: who these HSA-ids are, in one call. Ours; no specification."""

from typing import Final

from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from provider_catalog.resolve import hsa_id
from provider_catalog.store import CatalogStore

MAX_NAMES: Final = 1000


async def handle(store: CatalogStore, context: Context, request: Request) -> Answer:
    """Answer the organisations known among those asked for; the others are left out.

    in:  hsaId 1..1000 string
    out: organisation 0..* {hsaId string, name string, provider string, providerName string, kind code, active boolean}
    Raises `Invalid` for a wrong HSA-id.
    """
    wanted = request.parameters().values("hsaId", str)
    if not 1 <= len(wanted) <= MAX_NAMES:
        raise Invalid(f"hsaId is given 1 to {MAX_NAMES} times", expression="Parameters.parameter")
    parsed = [hsa_id(each, "Parameters.parameter") for each in wanted]
    answer = Parameters()
    for _, each in sorted((await store.organisations(parsed)).items()):
        answer.add(
            "organisation",
            part=[
                {"name": "hsaId", "valueString": each.hsa_id},
                {"name": "name", "valueString": each.name},
                {"name": "provider", "valueString": each.provider},
                *([{"name": "providerName", "valueString": each.provider_name}] if each.provider_name else []),
                {"name": "kind", "valueCode": each.kind},
                {"name": "active", "valueBoolean": each.active},
            ],
        )
    return Answer(answer.resource())
