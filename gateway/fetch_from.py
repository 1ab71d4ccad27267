# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""AllergyIntolerance/$for-register: one unit's records for a quality register (PDL 7 kap.).

Ours; no specification. The answer holds the person in clear: pseudonyms are made by `transfer`.
"""

from typing import Final

from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid
from fhir_server.service import Request
from gateway.federate import Federation
from gateway.search import RESOURCE, person_in
from identifiers.hsa_id import HsaId, InvalidHsaId, parse_hsa_id

ROLES: Final = frozenset({"transfer"})


class ForRegister:
    """The operation with what it is built from."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers a searchset Bundle of one unit's records.

        in:  identifier 1..1 Identifier, unit 1..1 string (HSA-id), register 1..1 string (HSA-id)
        Raises `Invalid`; `Forbidden` with the law's reason, e.g. that the person has objected; `BadGateway`.
        """
        asked = request.parameters()
        unit, register = (hsa_in(asked.required(name, str), name) for name in ("unit", "register"))
        fetched = await self._federation.fetch_from(context, person_in(asked), RESOURCE, unit, register)
        return Answer(fetched.bundle)


def hsa_in(text: str, name: str) -> HsaId:
    """The HSA-id in a parameter. Raises `Invalid`."""
    try:
        return parse_hsa_id(text)
    except InvalidHsaId as error:
        raise Invalid(f"{name}: {error}", expression="Parameters.parameter") from None
