# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `consent`: the question, the decision, and how to ask."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import httpx2

from consent.model.question import (
    KIND_SYSTEM,
    ConsentChange,
    ConsentChanges,
    Decision,
    Decisions,
    Disclosure,
    DisclosureMode,
    Entity,
    Operation,
    Question,
)
from fhir_server.context import Context
from fhir_server.parameters import Parameters
from fhir_server.remote import call, invoke
from identifiers.person_key import PersonKey

__all__ = [
    "KIND_SYSTEM", "ConsentChange", "ConsentChanges", "ConsentClient", "Decision", "Decisions", "Disclosure",
    "DisclosureMode", "Entity", "HttpConsent", "Operation", "Question",
]  # fmt: skip


class ConsentClient(Protocol):
    """How other services ask. Every method raises `Unavailable` when the store cannot be reached: then deny."""

    async def decide(self, context: Context, question: Question) -> Decisions:
        """Decides for the context's caller and marks the context as decided."""
        ...

    async def changes(self, context: Context, cursor: str | None, limit: int) -> ConsentChanges:
        """Changes after `cursor`, oldest first, each at least once. Role transfer or operator."""
        ...

    async def consents(self, context: Context) -> Sequence[dict[str, Any]]:
        """The patient's own Consent resources, for the portal. Caller must be the person."""
        ...

    async def give(self, context: Context, consent: dict[str, Any]) -> dict[str, Any]:
        """Stores a Consent of the calling person (consent, block, opt-out) and answers it as stored."""
        ...

    async def withdraw(self, context: Context, consent_id: str) -> dict[str, Any]:
        """Sets a Consent of the calling person to inactive: withdraws a consent, lifts a block."""
        ...

    async def state_care_relation(self, context: Context, person: PersonKey, reason: str, hours: int) -> datetime:
        """The caller states a current care relation (patientrelation, SVOD 3:1) for so many hours; answers its end."""
        ...


class HttpConsent:
    """`ConsentClient` over HTTP, on the caller's behalf."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: the service's FHIR base, e.g. http://127.0.0.1:8700/consent/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def decide(self, context: Context, question: Question) -> Decisions:
        """See `ConsentClient`."""
        asked = Parameters().add("person", valueString=question.person.hex())
        asked.add("operation", valueCode=question.operation.value)
        if question.register is not None:
            asked.add("register", valueString=question.register)
        for entity in question.entities:
            asked.add("entity", part=_entity_parts(entity))
        decisions = decisions_of(await invoke(self._http, context, f"{self._base}/Consent/$decide", asked))
        context.decided = True
        return decisions

    async def changes(self, context: Context, cursor: str | None, limit: int) -> ConsentChanges:
        """See `ConsentClient`."""
        asked = Parameters().add("count", valueInteger=limit)
        if cursor is not None:
            asked.add("cursor", valueString=cursor)
        answer = await invoke(self._http, context, f"{self._base}/Consent/$changes", asked)
        return ConsentChanges(
            tuple(
                ConsentChange(
                    person=PersonKey.from_hex(each.required("person", str)),
                    kind=each.required("kind", str),
                    consent_id=each.required("consent", str),
                    active=each.required("active", bool),
                    register=each.optional("register", str),
                )
                for each in answer.parts("change")
            ),
            answer.required("cursor", str),
        )

    async def consents(self, context: Context) -> Sequence[dict[str, Any]]:
        """See `ConsentClient`."""
        bundle = await call(self._http, context, "POST", f"{self._base}/Consent/_search?_count=1000")
        return [entry["resource"] for entry in bundle.get("entry", ())]

    async def give(self, context: Context, consent: dict[str, Any]) -> dict[str, Any]:
        """See `ConsentClient`."""
        return await call(self._http, context, "POST", f"{self._base}/Consent", consent)

    async def withdraw(self, context: Context, consent_id: str) -> dict[str, Any]:
        """See `ConsentClient`."""
        url = f"{self._base}/Consent/{consent_id}"
        current = await call(self._http, context, "GET", url)
        return await call(self._http, context, "PUT", url, {**current, "status": "inactive"})

    async def state_care_relation(self, context: Context, person: PersonKey, reason: str, hours: int) -> datetime:
        """See `ConsentClient`."""
        asked = Parameters().add("person", valueString=person.hex()).add("reason", valueString=reason)
        asked.add("hours", valueInteger=hours)
        url = f"{self._base}/Patient/$state-care-relation"
        return (await invoke(self._http, context, url, asked)).required("until", datetime)


def decisions_of(answer: Parameters) -> Decisions:
    """The decisions on the wire. Raises `Invalid` or `BadGateway` when not in our form: then nothing is permitted."""
    return Decisions(
        id=answer.required("id", str),
        policy_version=answer.required("policyVersion", str),
        mode=DisclosureMode(answer.required("mode", str)),
        items=tuple(
            Decision(
                permitted=each.required("permitted", bool),
                disclosure=Disclosure(each.required("disclosure", str)),
                reason=each.required("reason", str),
                rule=each.required("rule", str),
                law=each.required("law", str),
                explanation_sv=each.required("sv", str),
                explanation_en=each.required("en", str),
                ground=each.optional("ground", str),
                obligations=each.values("obligation", str),
                blocked=each.required("blocked", bool),
            )
            for each in answer.parts("decision")
        ),
        unblocked_exist=answer.required("unblockedExist", bool),
        blocked_exist=answer.optional("blockedExist", bool),
    )


def _entity_parts(entity: Entity) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "holder", "valueString": entity.holder},
        {"name": "informationType", "valueCode": entity.information_type},
        {"name": "social", "valueBoolean": entity.social},
    ]
    if entity.unit is not None:
        parts.append({"name": "unit", "valueString": entity.unit})
    if entity.recorded is not None:
        parts.append({"name": "recorded", "valueDateTime": entity.recorded.isoformat()})
    return parts
