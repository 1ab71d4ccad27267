# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Conditional update of DocumentReference: a source registers, changes or withdraws an entry.

https://hl7.org/fhir/R4/http.html#cond-update, in the manner of IHE MHD ITI-105 (simplified publish).
"""

from typing import Final

from fhir_server.context import Answer, Context
from fhir_server.service import Request
from identifiers.person_key import PersonKeys
from patient_index.document import business_object_of, document, registration_of
from patient_index.registrar import Registrar

SCOPE: Final = ("DocumentReference", "u")


class Register:
    """The interaction with what it is built from."""

    def __init__(self, registrar: Registrar, keys: PersonKeys) -> None:
        self._registrar, self._keys = registrar, keys

    async def handle(self, context: Context, request: Request) -> Answer:
        """`PUT DocumentReference?identifier=<entry system>|<business object>`; `entered-in-error` withdraws.

        201 with what was stored first, 200 with what is stored now: an older message or a replay changes nothing.
        200 without a body where the source has registered the object, more recently, for another unit.
        Raises `Invalid` or `Unprocessable` by element, `Forbidden` for another provider's entry.
        """
        business_object = business_object_of(list(request.query))
        row, person = registration_of(request.resource("DocumentReference"), business_object, self._keys)
        stored, changed = await self._registrar.register_one(context, (row, person), "register")
        if stored is None:
            return Answer(None, status=200)
        return Answer(
            document(stored, person),
            status=201 if changed and stored.version == 1 else 200,
            headers={"ETag": f'W/"{stored.version}"'},
        )
