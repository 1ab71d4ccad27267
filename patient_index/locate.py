# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient/$locate: which actors hold what about a person, as far as the caller may know.

Ours; no specification. SVOD 2022:913 2 kap. 4-5 §§ and 3 kap.; EHDS Article 8. See docs/api/patient_index/locate.md.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from consent.client import ConsentClient
from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from identifiers.information_type import BY_CODE, by_code
from identifiers.person_key import PersonKeys
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier
from patient_index.entries import coverage, described
from patient_index.model import UNCLASSIFIED, person_identifier
from patient_index.opening import open_entries
from patient_index.store import IndexStore
from patient_index.values import Located
from patient_index.wire import coverage_parts, entry_parts
from provider_catalog.client import CatalogClient

SCOPE: Final = ("Patient", "r")
_IDENTIFIER: Final = "Parameters.parameter.where(name='identifier').value"


class Locate:
    """The operation with what it is built from."""

    def __init__(self, store: IndexStore, keys: PersonKeys, consent: ConsentClient, catalog: CatalogClient) -> None:
        self._store, self._keys, self._consent, self._catalog = store, keys, consent, catalog

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers `$locate`.

        in:  identifier 1..1 Identifier, informationType 0..* code
        out: unblockedExist, blockedExist (not in EHDS mode), mode, reason, law, explanation, decision, entry 0..*,
             coverage. Always the same parts, so that an empty answer says what it means.
        Raises `Invalid` on a number or type that cannot be, `Unavailable` if no decision can be had.
        """
        asked = request.parameters()
        located = await self.do(context, person_in(asked), information_types_in(asked))
        return Answer(_answer(located).resource())

    async def do(
        self, context: Context, identifier: PersonIdentifier, information_types: Sequence[str] = ()
    ) -> Located:
        """See `IndexClient.locate`."""
        person = self._keys.of(identifier)
        opened = await open_entries(context, self._consent, person, await self._store.of_person(person))
        # The filter meets only what is opened: an existence answer for one type would tell the type.
        wanted = [
            each
            for each in opened.entries
            if not information_types or each.registration.information_type in information_types
        ]
        listed, network = await asyncio.gather(
            described(context, self._catalog, wanted), coverage(context, self._catalog)
        )
        only = information_types[0] if len(information_types) == 1 else None
        context.record(opened.event("locate", person, [each.unit for each in listed], only))
        return Located(
            entries=tuple(listed),
            unblocked_exist=opened.unblocked_exist,
            blocked_exist=opened.blocked_exist,
            mode=opened.mode,
            reason=opened.reason,
            explanation_sv=opened.explanation_sv,
            explanation_en=opened.explanation_en,
            law=opened.law,
            decision=opened.decision,
            coverage=network,
        )


def person_in(asked: Parameters) -> PersonIdentifier:
    """The parameter `identifier`. Raises `Invalid`; the text never repeats the value."""
    given = asked.required("identifier", dict)
    system, value = given.get("system"), given.get("value")
    if not isinstance(system, str) or not isinstance(value, str):
        raise Invalid("identifier needs system and value", expression=_IDENTIFIER)
    try:
        return person_identifier(system, value)
    except InvalidPersonNumber as error:
        raise Invalid(f"identifier: {error}", code="invalid-person-number", expression=_IDENTIFIER) from None


def information_types_in(asked: Parameters) -> tuple[str, ...]:
    """The parameters `informationType`. Raises `Invalid` on a code that no entry can have."""
    codes = asked.values("informationType", str)
    if any(by_code(code) is None and code != UNCLASSIFIED for code in codes):
        raise Invalid(f"informationType must be one of {', '.join(BY_CODE)}", code="unknown-information-type")
    return codes


def _answer(located: Located) -> Parameters:
    answer = Parameters().add("unblockedExist", valueBoolean=located.unblocked_exist)
    if located.blocked_exist is not None:
        answer.add("blockedExist", valueBoolean=located.blocked_exist)
    answer.add("mode", valueCode=located.mode.value)
    answer.add("reason", valueCode=located.reason)
    answer.add("law", valueString=located.law)
    answer.add(
        "explanation",
        part=[
            {"name": "sv", "valueString": located.explanation_sv},
            {"name": "en", "valueString": located.explanation_en},
        ],
    )
    answer.add("decision", valueId=located.decision)
    for each in located.entries:
        answer.add("entry", part=entry_parts(each))
    return answer.add("coverage", part=coverage_parts(located.coverage))
