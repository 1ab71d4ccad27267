# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `patient_index`: entries, `$locate` and the change feed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import httpx2

from consent.client import DisclosureMode
from fhir_server.context import Context
from fhir_server.outcome import BadGateway, FhirError
from fhir_server.parameters import Parameters
from fhir_server.remote import invoke
from identifiers.person_key import PersonKey
from identifiers.person_number import PersonIdentifier
from patient_index.values import Change, Changes, Coverage, Entry, Located
from patient_index.wire import identifier_value, read_endpoint

__all__ = ["Change", "Changes", "Coverage", "Entry", "HttpIndex", "IndexClient", "Located"]


class IndexClient(Protocol):
    """How other services ask the index."""

    async def locate(
        self, context: Context, identifier: PersonIdentifier, information_types: Sequence[str] = ()
    ) -> Located:
        """Which actors hold what about the person, as far as the caller may know (`Patient/$locate`)."""
        ...

    async def holders(self, context: Context) -> Sequence[Entry]:
        """Every entry about the calling patient, blocked or not, with names: the patient sees who holds what."""
        ...

    async def changes(
        self, context: Context, cursor: str | None, information_types: Sequence[str], limit: int
    ) -> Changes:
        """Changes after `cursor` in commit order, each at least once, none left out. Role transfer."""
        ...


class HttpIndex:
    """`IndexClient` over HTTP, on the caller's behalf. Errors the index tells are raised again as themselves."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: address of the FHIR base, e.g. http://127.0.0.1:8700/patient-index/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def locate(
        self, context: Context, identifier: PersonIdentifier, information_types: Sequence[str] = ()
    ) -> Located:
        """See `IndexClient.locate`."""
        asked = Parameters().add("identifier", valueIdentifier=identifier_value(identifier))
        for each in information_types:
            asked.add("informationType", valueCode=each)
        answer = await self._ask(context, "/Patient/$locate", asked)
        context.decided = True  # the index asked consent on the caller's behalf before it answered
        try:
            return _located(answer)
        except (FhirError, LookupError, ValueError) as error:
            raise _unreadable("Patient/$locate") from error

    async def holders(self, context: Context) -> Sequence[Entry]:
        """See `IndexClient.holders`."""
        answer = await self._ask(context, "/Patient/$holders", Parameters())
        try:
            return [_entry(each) for each in answer.parts("entry")]
        except (FhirError, LookupError, ValueError) as error:
            raise _unreadable("Patient/$holders") from error

    async def changes(
        self, context: Context, cursor: str | None, information_types: Sequence[str], limit: int
    ) -> Changes:
        """See `IndexClient.changes`."""
        asked = Parameters().add("count", valueInteger=limit)
        if cursor is not None:
            asked.add("cursor", valueString=cursor)
        for each in information_types:
            asked.add("informationType", valueCode=each)
        answer = await self._ask(context, "/DocumentReference/$changes", asked)
        try:
            return Changes(tuple(map(_change, answer.parts("change"))), answer.required("cursor", str))
        except (FhirError, LookupError, ValueError) as error:
            raise _unreadable("DocumentReference/$changes") from error

    async def _ask(self, context: Context, path: str, asked: Parameters) -> Parameters:
        return await invoke(self._http, context, self._base + path, asked)


def _located(answer: Parameters) -> Located:
    explanation = answer.part("explanation")
    coverage = answer.part("coverage")
    return Located(
        entries=tuple(map(_entry, answer.parts("entry"))),
        unblocked_exist=answer.required("unblockedExist", bool),
        blocked_exist=answer.optional("blockedExist", bool),
        mode=DisclosureMode(answer.required("mode", str)),
        reason=answer.required("reason", str),
        explanation_sv=explanation.required("sv", str),
        explanation_en=explanation.required("en", str),
        law=answer.required("law", str),
        decision=answer.required("decision", str),
        coverage=Coverage(
            connected=coverage.required("connected", int),
            not_connected=coverage.required("notConnected", int),
            not_connected_names=coverage.values("notConnectedName", str),
        ),
    )


def _entry(given: Parameters) -> Entry:
    endpoints = given.parts("endpoint")
    return Entry(
        id=given.required("id", str),
        person=PersonKey.from_hex(given.required("person", str)),
        custodian=given.required("custodian", str),
        unit=given.required("unit", str),
        information_type=given.required("informationType", str),
        source_system=given.required("sourceSystem", str),
        business_object=given.required("businessObject", str),
        most_recent=given.optional("mostRecent", datetime),
        items=given.optional("items", int),
        period_start=given.optional("periodStart", datetime),
        period_end=given.optional("periodEnd", datetime),
        endpoint=read_endpoint(endpoints[0]) if endpoints else None,
        custodian_name=given.optional("custodianName", str),
        unit_name=given.optional("unitName", str),
    )


def _change(given: Parameters) -> Change:
    identifier = given.required("identifier", dict)
    return Change(
        entry=_entry(given.part("entry")),
        identifier=PersonIdentifier(identifier["system"], identifier["value"]),
        deleted=given.required("deleted", bool),
    )


def _unreadable(what: str) -> BadGateway:
    return BadGateway(f"the index answered {what} in a form that is not its own")
