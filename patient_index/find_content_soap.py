# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""FindContent of the Swedish engagement index: riv:itintegration:engagementindex:FindContent 1.0 (RIV-TA BP 2.1).

The contract leaves the question of who may see to the caller; here only what the decision opens is answered.
"""

from typing import Final

from lxml import etree

from consent.client import ConsentClient
from fhir_server.context import Answer, Context
from fhir_server.service import Request
from identifiers.person_key import PersonKeys
from patient_index import soap
from patient_index.engagement import FIELDS, EngagementIndexSettings, engagement, matches, query
from patient_index.opening import open_entries
from patient_index.store import IndexStore

SCOPE: Final = ("DocumentReference", "s")
_SCHEMA: Final = "find_content.xsd"


class FindContent:
    """The operation with what it is built from."""

    def __init__(
        self, store: IndexStore, keys: PersonKeys, consent: ConsentClient, settings: EngagementIndexSettings
    ) -> None:
        self._store, self._keys, self._consent, self._settings = store, keys, consent, settings

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers the engagements that match and are opened; none is an empty answer. Raises what becomes a fault."""
        message = soap.parse(request.body, _SCHEMA, f"{{{soap.FIND_CONTENT}}}FindContent")
        asked = query(soap.elements(message.payload, FIELDS, soap.FIND_CONTENT))
        person = self._keys.of(asked.person)
        opened = await open_entries(context, self._consent, person, await self._store.of_person(person))
        found = [each for each in opened.entries if matches(each, asked, self._settings)]
        context.record(opened.event("find-content", person, [each.registration.unit for each in found]))
        payload = etree.Element(
            f"{{{soap.FIND_CONTENT}}}FindContentResponse", nsmap={"find": soap.FIND_CONTENT, "ei": soap.CORE}
        )
        for each in found:
            row = etree.SubElement(payload, f"{{{soap.FIND_CONTENT}}}engagement")
            soap.append(row, soap.CORE, engagement(each, asked.person, self._settings))
        return soap.answer(payload, _SCHEMA)
