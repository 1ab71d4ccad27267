# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Small consent and catalogue with behaviour of their own, and the index as tests speak to it.

The index alone is under test here; it meets the real consent and catalogue in tests/e2e.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx2
from sqlalchemy.ext.asyncio import AsyncEngine

from consent.client import (
    ConsentChanges,
    Decision,
    Decisions,
    Disclosure,
    DisclosureMode,
    Entity,
    Operation,
    Question,
)
from fhir_server.context import Caller, CallerKind, Context
from fhir_server.outcome import NotSupported, Unavailable
from identifiers import systems
from identifiers.hsa_id import parse_hsa_id
from identifiers.information_type import SYSTEM as TYPE_SYSTEM
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import parse
from patient_index.document import ENTRY_SYSTEM, ITEM_COUNT, SOURCE_SYSTEM
from provider_catalog.client import Organisation, Place, ProviderState, ResolvedEndpoint
from tests.support.callers import DENTIST, SOURCE_NORR, ListAudit, bearer

ASTRID = "195701032863"
BERTIL = "199001032391"
FHIR = "application/fhir+json"
PROVIDER, UNIT, SYSTEM = "SE0000000011-VG", "SE0000000011-VE1", "SE0000000011-SYS"


@dataclass
class RuleConsent:
    """A `ConsentClient` with the rules the index needs: own records, consent of the person, outer blocks."""

    mode: DisclosureMode = DisclosureMode.SE
    given: set[tuple[PersonKey, str]] = field(default_factory=set)
    """Person and care provider that may read."""
    blocked: set[str] = field(default_factory=set)
    """HSA-ids of blocked units and providers."""
    available: bool = True
    questions: list[Question] = field(default_factory=list)

    async def decide(self, context: Context, question: Question) -> Decisions:
        if not self.available:
            raise Unavailable("consent cannot be reached; try again")
        self.questions.append(question)
        context.decided = True
        items = tuple(self._decision(context.caller, question, each) for each in question.entities)
        told = None if self.mode is DisclosureMode.EHDS else any(each.blocked for each in items)
        return Decisions(
            id=f"decision-{len(self.questions)}",
            policy_version="test",
            mode=self.mode,
            items=items,
            unblocked_exist=any(not each.blocked for each in items),
            blocked_exist=told,
        )

    def _decision(self, caller: Caller, question: Question, entity: Entity) -> Decision:
        own = caller.organisation == entity.holder
        herself = caller.kind is CallerKind.patient and caller.person == question.person
        blocked = bool({entity.unit, entity.holder} & self.blocked) and not own and not herself
        if blocked:
            return _decision(False, "OUTER_BLOCK", "SVOD 2 kap. 3 §", None, blocked=True)
        if herself or own:
            return _decision(True, "SELF" if herself else "OWN_RECORD", "PDL", "self" if herself else "own-record")
        if question.operation is Operation.existence:
            return _decision(True, "EXISTENCE", "SVOD 2 kap. 4 §", None, disclosure=Disclosure.existence)
        if (question.person, caller.organisation) in self.given:
            return _decision(True, "SVOD_3_1", "SVOD 3 kap. 1 §", "consent")
        return _decision(False, "NO_CONSENT", "SVOD 3 kap. 1 §", None)

    async def changes(self, context: Context, cursor: str | None, limit: int) -> ConsentChanges:
        raise NotSupported("not part of these tests")

    async def consents(self, context: Context) -> Sequence[dict[str, Any]]:
        raise NotSupported("not part of these tests")

    async def give(self, context: Context, consent: dict[str, Any]) -> dict[str, Any]:
        raise NotSupported("not part of these tests")

    async def withdraw(self, context: Context, consent_id: str) -> dict[str, Any]:
        raise NotSupported("not part of these tests")

    async def state_care_relation(self, context: Context, person: PersonKey, reason: str, hours: int) -> datetime:
        raise NotSupported("not part of these tests")


def _decision(
    permitted: bool,
    reason: str,
    law: str,
    ground: str | None,
    *,
    disclosure: Disclosure | None = None,
    blocked: bool = False,
) -> Decision:
    return Decision(
        permitted=permitted,
        disclosure=disclosure or (Disclosure.full if permitted else Disclosure.none),
        reason=reason,
        rule="test",
        law=law,
        explanation_sv=f"Skäl: {reason}",
        explanation_en=f"Reason: {reason}",
        ground=ground,
        blocked=blocked,
    )


@dataclass
class TableCatalog:
    """A `CatalogClient` over a table: organisations and one endpoint a source system."""

    names: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, ResolvedEndpoint] = field(default_factory=dict)
    network: list[ProviderState] = field(default_factory=list)
    resolved: list[list[Place]] = field(default_factory=list)

    async def resolve(
        self, context: Context, unit: str, information_type: str, source_system: str | None = None
    ) -> ResolvedEndpoint | None:
        (found,) = await self.resolve_many(context, [Place(unit, information_type, source_system)])
        return found

    async def resolve_many(self, context: Context, places: Sequence[Place]) -> list[ResolvedEndpoint | None]:
        for place in places:
            parse_hsa_id(place.unit)
        self.resolved.append(list(places))
        return [self.endpoints.get(place.source_system or "") for place in places]

    async def organisations(self, context: Context, hsa_ids: Sequence[str]) -> dict[str, Organisation]:
        return {
            hsa: Organisation(hsa, self.names[hsa], hsa, self.names[hsa], "care-unit")
            for hsa in map(parse_hsa_id, hsa_ids)
            if hsa in self.names
        }

    async def providers(self, context: Context) -> Sequence[ProviderState]:
        return self.network


def catalogue() -> TableCatalog:
    """Region Norr and its clinic connected, one provider not."""
    return TableCatalog(
        names={PROVIDER: "Region Norr", UNIT: "Medicinkliniken Norr"},
        endpoints={SYSTEM: ResolvedEndpoint("https://norr.example/fhir", "fhir-rest", SYSTEM, UNIT, (UNIT, PROVIDER))},
        network=[
            ProviderState(PROVIDER, "Region Norr", True, ("alert",)),
            ProviderState("SE0000000066-VG", "Hälsocentralen Väst AB", False),
        ],
    )


def entry_document(
    business_object: str = "bo-1",
    *,
    number: str = ASTRID,
    status: str = "current",
    when: str = "2026-03-01T10:00:00+01:00",
    items: int | None = 1,
    unit: str = UNIT,
    custodian: str = PROVIDER,
    kind: str = "alert",
    **changed: Any,
) -> dict[str, Any]:
    """A registration of Medicinkliniken Norr."""
    identifier = {"system": ENTRY_SYSTEM, "value": business_object}
    extension: list[dict[str, Any]] = [{"url": SOURCE_SYSTEM, "valueIdentifier": _hsa(SYSTEM)}]
    if items is not None:
        extension.append({"url": ITEM_COUNT, "valueUnsignedInt": items})
    return {
        "resourceType": "DocumentReference",
        "extension": extension,
        "masterIdentifier": identifier,
        "identifier": [identifier],
        "status": status,
        "type": {"coding": [{"system": TYPE_SYSTEM, "code": kind}]},
        "category": [{"coding": [{"system": TYPE_SYSTEM, "code": kind}]}],
        "subject": {"identifier": {"system": systems.PERSONNUMMER, "value": number}},
        "date": when,
        "author": [{"identifier": _hsa(unit)}],
        "custodian": {"identifier": _hsa(custodian)},
        "content": [{"attachment": {"contentType": "application/fhir+json"}}],
        **changed,
    }


def _hsa(value: str) -> dict[str, str]:
    return {"system": systems.HSA_ID, "value": value}


def clinician(organisation: str) -> Caller:
    """A member of staff of a care provider."""
    return replace(DENTIST, organisation=organisation, unit=f"{organisation[:12]}-VE9")


@dataclass(frozen=True)
class Index:
    """The running index, and what stands behind it."""

    http: httpx2.AsyncClient
    consent: RuleConsent
    catalog: TableCatalog
    audit: ListAudit
    keys: PersonKeys
    engine: AsyncEngine

    def key(self, number: str = ASTRID) -> PersonKey:
        return self.keys.of(parse(systems.PERSONNUMMER, number))

    async def register(
        self, document: dict[str, Any], *, caller: Caller = SOURCE_NORR, business_object: str | None = None
    ) -> httpx2.Response:
        name = business_object or document["masterIdentifier"]["value"]
        return await self.http.put(
            "/patient-index/fhir/DocumentReference",
            params={"identifier": f"{ENTRY_SYSTEM}|{name}"},
            json=document,
            headers={**bearer(caller), "Content-Type": FHIR},
        )

    async def ask(self, operation: str, caller: Caller, *parameters: dict[str, Any]) -> httpx2.Response:
        body = {"resourceType": "Parameters", "parameter": list(parameters)}
        return await self.http.post(
            f"/patient-index/fhir/{operation}", json=body, headers={**bearer(caller), "Content-Type": FHIR}
        )

    async def locate(self, caller: Caller = DENTIST, number: str = ASTRID, **types: str) -> dict[str, Any]:
        """The answer of `$locate` as a dict, parts as dicts, `entry` as a list."""
        asked = [{"name": "informationType", "valueCode": each} for each in types.values()]
        answer = await self.ask("Patient/$locate", caller, person_parameter(number), *asked)
        assert answer.status_code == 200, answer.text
        return flat(answer.json())

    async def soap(self, operation: str, body: bytes, caller: Caller = SOURCE_NORR) -> httpx2.Response:
        headers = {**bearer(caller), "Content-Type": "text/xml; charset=utf-8"}
        return await self.http.post(f"/patient-index/soap/{operation}", content=body, headers=headers)


def person_parameter(number: str = ASTRID, system: str = systems.PERSONNUMMER) -> dict[str, Any]:
    return {"name": "identifier", "valueIdentifier": {"system": system, "value": number}}


def flat(resource: dict[str, Any]) -> dict[str, Any]:
    """Parameters as a dict; repeated `entry` and `change` as lists."""
    return _flat(resource.get("parameter", []))


def _flat(parts: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        name = part["name"]
        value = _flat(part["part"]) if "part" in part else next(part[key] for key in part if key != "name")
        if name in ("entry", "change", "notConnectedName", "path") and name != "part":
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found
