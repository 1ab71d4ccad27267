# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Search of DocumentReference in the manner of IHE MHD ITI-67 (find document references).

https://hl7.org/fhir/R4/http.html#search. Only what the decision opens is found: everything else leaves no trace in
entries, counts or links. GET is served for clients that only know it; no link repeats the identifier.
"""

from typing import Any, Final

from consent.client import ConsentClient
from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid, NotSupported, issue, operation_outcome
from fhir_server.service import Request
from identifiers.information_type import SYSTEM as TYPE_SYSTEM
from identifiers.person_key import PersonKeys
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier
from patient_index.document import document
from patient_index.model import StoredEntry, person_identifier, shown
from patient_index.opening import Opened, open_entries
from patient_index.store import IndexStore

SCOPE: Final = ("DocumentReference", "s")

_PERSON: Final = ("patient.identifier", "patient:identifier", "subject:identifier", "subject.identifier")
_TYPE: Final = ("type", "category")
_IGNORED: Final = ("_format", "_pretty")


class Search:
    """The interaction with what it is built from."""

    def __init__(self, store: IndexStore, keys: PersonKeys, consent: ConsentClient) -> None:
        self._store, self._keys, self._consent = store, keys, consent

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers a searchset.

        in: patient.identifier 1..1 token, type or category 0..* token (comma: or), status 0..1 token
        Raises `Invalid` without a person or on a number that cannot be, `NotSupported` on other parameters.
        """
        person, wanted = _asked(request.search_parameters())
        key = self._keys.of(person)
        opened = await open_entries(context, self._consent, key, await self._store.of_person(key))
        found = [
            each for each in opened.entries if all(each.registration.information_type in types for types in wanted)
        ]
        context.record(opened.event("index-search", key, [each.registration.unit for each in found]))
        return Answer(_bundle(found, person, opened, request.base))


def _asked(parameters: list[tuple[str, str]]) -> tuple[PersonIdentifier, list[frozenset[str]]]:
    persons: list[str] = []
    types: list[frozenset[str]] = []
    for name, value in parameters:
        if name in _PERSON:
            persons.append(value)
        elif name in _TYPE:
            types.append(frozenset(_code(each) for each in value.split(",")))
        elif name == "status":
            if value != "current":
                raise NotSupported("only current entries can be searched for: status=current")
        elif name not in _IGNORED:
            raise NotSupported(
                f"search parameter {shown(name)} is not offered here: use patient.identifier, type, status"
            )
    if len(persons) != 1:
        raise Invalid("search for one person: patient.identifier=<system>|<value>")
    system, separator, value = persons[0].partition("|")
    if not separator:
        raise Invalid("patient.identifier needs its system: <system>|<value>")
    try:
        return person_identifier(system, value), types
    except InvalidPersonNumber as error:
        raise Invalid(f"patient.identifier: {error}", code="invalid-person-number") from None


def _code(token: str) -> str:
    system, separator, code = token.rpartition("|")
    if separator and system not in ("", TYPE_SYSTEM):
        return ""  # a code of another system: no entry has it
    return code


def _bundle(found: list[StoredEntry], person: PersonIdentifier, opened: Opened, base: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": f"{base}/DocumentReference/{each.id}",
            "resource": document(each, person),
            "search": {"mode": "match"},
        }
        for each in found
    ]
    if not opened.entries:
        told = issue("information", "informational", opened.reason, opened.explanation_en)
        entries.append({"resource": operation_outcome([told]), "search": {"mode": "outcome"}})
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": f"{base}/DocumentReference/_search"}],
    }
    if entries:
        bundle["entry"] = entries
    return bundle
