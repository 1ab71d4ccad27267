# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Update of the Swedish engagement index: riv:itintegration:engagementindex:Update 1.0 (RIV-TA BP 2.1).

Stored when the answer leaves: the very next FindContent shows it. All rows or none.
"""

from typing import Final

from lxml import etree

from fhir_server.context import Answer, Context
from fhir_server.service import Request
from identifiers.person_key import PersonKeys
from patient_index import soap
from patient_index.engagement import (
    FIELDS,
    EngagementIndexSettings,
    Transaction,
    check_update,
    person_of,
    registration,
)
from patient_index.registrar import Registrar

SCOPE: Final = ("DocumentReference", "u")
MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes a message may have: 1,000 rows, the most that the contract allows, with every element as long as it may be
(1,100 characters a row, four bytes each) and the tags around them, written for people to read."""
_SCHEMA: Final = "update.xsd"


class Update:
    """The operation with what it is built from."""

    def __init__(self, registrar: Registrar, keys: PersonKeys, settings: EngagementIndexSettings) -> None:
        self._registrar, self._keys, self._settings = registrar, keys, settings

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers UpdateResponse with ResultCode OK, or raises what becomes a fault (EI000-EI006)."""
        message = soap.parse(request.body, _SCHEMA, f"{{{soap.UPDATE}}}Update")
        transactions = [
            _transaction(each) for each in message.payload.iterfind(f"{{{soap.UPDATE}}}engagementTransaction")
        ]
        check_update(message.logical_address, transactions, self._settings, now=context.now)
        stated = []
        for each in transactions:
            person = person_of(each.engagement, "")
            stated.append((registration(each, self._keys.of(person)), person))
        await self._registrar.register(context, stated, "engagement-update")
        payload = etree.Element(f"{{{soap.UPDATE}}}UpdateResponse", nsmap={"up": soap.UPDATE})
        soap.append(payload, soap.UPDATE, {"ResultCode": "OK"})
        return soap.answer(payload, _SCHEMA)


def _transaction(element: etree._Element) -> Transaction:
    engagement = element.find(f"{{{soap.CORE}}}engagement")
    flag = element.findtext(f"{{{soap.CORE}}}deleteFlag", "").strip()
    rows = {} if engagement is None else soap.elements(engagement, FIELDS, soap.CORE)
    return Transaction(delete=flag in ("true", "1"), engagement=rows)
