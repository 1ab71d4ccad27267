# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""create AllergyIntolerance (https://hl7.org/fhir/R4/http.html#create): stored at the caller's own unit.

The gateway stores nothing: it finds the unit's own FHIR endpoint in the catalogue and hands the resource over. That
source tells the index, as with everything it holds.
"""

from dataclasses import replace
from typing import Any, Final

import orjson

from consent.client import ConsentClient, Entity, Operation, Question
from fhir_server.context import Answer, AuditEntry, CallerKind, Context
from fhir_server.outcome import BadGateway, Forbidden, Unavailable, Unprocessable
from fhir_server.service import Request
from fhir_server.validation import validate
from gateway.model import fhir
from gateway.model.record import Source, Unmappable, WrongPatient, hsa, subject
from gateway.model.translations import Translations
from gateway.search import RESOURCE, checked
from gateway.settings import GatewaySettings
from gateway.sources import SourceFailed, SourceSilent
from gateway.sources.http import Received, SourceHttp
from identifiers.information_type import ALERT
from identifiers.person_key import PersonKeys
from identifiers.person_number import PersonIdentifier
from provider_catalog.client import CatalogClient, ResolvedEndpoint

SCOPE: Final = (RESOURCE, "c")
_HEADERS: Final = {
    "Content-Type": "application/fhir+json",
    "Accept": "application/fhir+json",
    "Prefer": "return=representation",
}


class Create:
    """The interaction with what it is built from."""

    def __init__(
        self,
        *,
        keys: PersonKeys,
        catalog: CatalogClient,
        consent: ConsentClient,
        http: SourceHttp,
        settings: GatewaySettings,
    ) -> None:
        self._keys, self._catalog, self._consent = keys, catalog, consent
        self._http, self._settings = http, settings

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers 201 with the resource as a later search gives it, and Location.

        in:  AllergyIntolerance with patient.identifier
        Raises `Malformed`, `Unprocessable`; `Forbidden` for others than staff of a unit, or with the law's reason;
        `BadGateway` or `Unavailable` if the unit's own system refuses or does not answer.
        """
        resource = request.resource(RESOURCE)
        validate(request.body)
        identifier = _patient(resource)
        provider, unit = _own_unit(context)
        person = self._keys.of(identifier)
        entity = Entity(provider, unit, ALERT.code)
        decisions = await self._consent.decide(context, Question(person, Operation.read_content, (entity,)))
        decision = decisions.items[0]
        written = AuditEntry(
            operation="create",
            action="C",
            outcome="denied",
            person=person,
            information_type=ALERT.code,
            holders=(unit,),
            ground=decision.ground,
            reason=decision.reason,
            law=decision.law,
            decision=decisions.id,
        )
        if not decision.permitted:
            context.record(written)
            raise Forbidden(
                f"{decision.explanation_en} ({decision.law})", code=decision.reason.lower().replace("_", "-")
            )
        try:
            stored = await self._store(context, resource, identifier, unit)
        except (BadGateway, Unavailable, Unprocessable):
            context.record(replace(written, outcome="failed"))
            raise
        context.record(replace(written, outcome="success", count=1))
        location = f"{request.base}/{RESOURCE}/{stored['id']}"
        return Answer(stored, status=201, headers={"Location": location})

    async def _store(
        self, context: Context, resource: dict[str, Any], identifier: PersonIdentifier, unit: str
    ) -> dict[str, Any]:
        endpoint = await self._catalog.resolve(context, unit, ALERT.code)
        if endpoint is None or endpoint.connection_type != "fhir-rest":
            raise Unprocessable("your unit has no FHIR endpoint in the catalogue to store this at", code="no-endpoint")
        source = Source(endpoint.logical_address, identifier)
        body = _for_source(resource, source, context)
        seconds = min(self._settings.source_seconds, context.time_left())
        within = replace(context, deadline=context.clock() + seconds)
        url = f"{endpoint.address.rstrip('/')}/{RESOURCE}"
        try:
            received = await self._http.send(within, "POST", url, content=orjson.dumps(body), headers=_HEADERS)
        except SourceSilent as error:
            raise Unavailable(f"your unit's system {error}; it is not known whether it stored this") from None
        except SourceFailed as error:
            raise BadGateway(f"your unit's system {error}") from None
        return _stored(received, endpoint, source)


def _own_unit(context: Context) -> tuple[str, str]:
    caller = context.caller
    if caller.kind is not CallerKind.staff or not caller.unit or not caller.organisation:
        raise Forbidden("only staff of a care unit document; log in with an assignment", code="staff-only")
    return caller.organisation, caller.unit


def _patient(resource: dict[str, Any]) -> PersonIdentifier:
    identifier = resource.get("patient", {}).get("identifier")
    if not isinstance(identifier, dict) or not identifier.get("system") or not identifier.get("value"):
        raise Unprocessable(
            "name the patient by patient.identifier with system and value",
            expression="AllergyIntolerance.patient.identifier",
        )
    return checked(identifier["system"], identifier["value"], "AllergyIntolerance.patient.identifier")


def _for_source(resource: dict[str, Any], source: Source, context: Context) -> dict[str, Any]:
    """What is handed over: who recorded it and when come from the login, unless the resource says so."""
    body = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    body["patient"] = subject(source)
    if context.caller.user:
        recorder = {"identifier": hsa(context.caller.user), "display": context.caller.user_name or context.caller.user}
        body.setdefault("recorder", recorder)
    body.setdefault("recordedDate", context.now.isoformat())
    return body


def _stored(received: Received, endpoint: ResolvedEndpoint, source: Source) -> dict[str, Any]:
    """The resource as the source stored it, normalised as every search does."""
    if 400 <= received.status < 500:
        raise Unprocessable(f"your unit's system refused it with HTTP status {received.status}", code="refused")
    if received.status not in (200, 201):
        raise BadGateway(f"your unit's system answered with HTTP status {received.status}")
    try:
        record = fhir.allergy(received.json(), source, Translations())
    except (SourceFailed, Unmappable, WrongPatient) as error:
        raise BadGateway(f"your unit's system answered 201, but {error}") from None
    if record is None:
        raise BadGateway("your unit's system answered with a record that is entered in error")
    return record.resources[0]
