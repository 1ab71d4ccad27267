# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$providers: the coverage of the network, the same for every person. Ours; no specification."""

from fhir_server.context import Answer, Context
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from provider_catalog.store import CatalogStore


async def handle(store: CatalogStore, context: Context, request: Request) -> Answer:
    """Answer every active care provider and whether anything can be fetched from it now.

    in:  nothing
    out: provider 0..* {hsaId string, name string, connected boolean, informationType 0..* code}, by HSA-id
    """
    request.parameters()
    answer = Parameters()
    for each in await store.providers(context):
        answer.add(
            "provider",
            part=[
                {"name": "hsaId", "valueString": each.hsa_id},
                {"name": "name", "valueString": each.name},
                {"name": "connected", "valueBoolean": each.connected},
                *({"name": "informationType", "valueCode": code} for code in each.information_types),
            ],
        )
    return Answer(answer.resource())
