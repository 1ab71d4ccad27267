# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a mapping gives, and the values all mappings share: ids, references, labels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
import uuid

from gateway.model.account import Loss
from identifiers import systems
from identifiers.person_number import PersonIdentifier

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://ndi.example/fhir/gateway")
SOURCE_RECORD: Final = "https://ndi.example/fhir/NamingSystem/source-record"
"""System of identifiers that are only unique within one source system, which is named as assigner."""
META_SOURCE: Final = f"urn:oid:{systems.OID_HSA_ID_RIVTA}#"
NOPATIENT: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOPATIENT"}
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
CATEGORY: Final = "http://hl7.org/fhir/allergy-intolerance-category"
CRITICALITY: Final = "http://hl7.org/fhir/allergy-intolerance-criticality"
SEVERITY: Final = "http://hl7.org/fhir/reaction-event-severity"

REQUIRED: Final[dict[str, frozenset[str]]] = {
    CLINICAL: frozenset({"active", "inactive", "resolved"}),
    VERIFICATION: frozenset({"unconfirmed", "confirmed", "refuted", "entered-in-error", "presumed"}),
    CATEGORY: frozenset({"food", "medication", "environment", "biologic"}),
    CRITICALITY: frozenset({"low", "high", "unable-to-assess"}),
    SEVERITY: frozenset({"mild", "moderate", "severe"}),
}
"""The codes of R4's required bindings; a translation to anything else is not used."""


class WrongPatient(ValueError):
    """The source answered with a record of somebody else than was asked for."""


class Unmappable(ValueError):
    """The source's record lacks what makes it a record. The text never repeats content."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who is asked for whom."""

    system: str
    """HSA-id of the source system."""
    patient: PersonIdentifier


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a source as FHIR resources."""

    source_id: str
    resources: tuple[dict[str, Any], ...]
    losses: tuple[Loss, ...]
    unit: str | None = None
    """HSA-id of the care unit as the record itself says it."""
    provider: str | None = None
    """HSA-id of the care provider as the record itself says it."""
    authored: str | None = None
    """When it was documented, FHIR dateTime."""
    patient_may_see: bool = True

    def of_type(self, resource_type: str) -> tuple[dict[str, Any], ...]:
        """The resources of one type."""
        return tuple(each for each in self.resources if each["resourceType"] == resource_type)

    def attributed(self, unit: str | None, provider: str) -> "Record":
        """The record with who is responsible filled in where it does not say so itself."""
        return replace(self, unit=self.unit or unit, provider=self.provider or provider)


def stable_id(source: Source, resource_type: str, source_id: str) -> str:
    """The same id for the same record at every reading: UUIDv5 of source system, type and source id."""
    return str(uuid.uuid5(NAMESPACE, f"{source.system}|{resource_type}|{source_id}"))


def head(source: Source, resource_type: str, source_id: str, *, patient_may_see: bool = True) -> dict[str, Any]:
    """resourceType, id, meta and identifier of a mapped resource."""
    meta: dict[str, Any] = {"source": META_SOURCE + source.system}
    if not patient_may_see:
        meta["security"] = [dict(NOPATIENT)]
    return {
        "resourceType": resource_type,
        "id": stable_id(source, resource_type, source_id),
        "meta": meta,
        "identifier": [source_identifier(source, source_id)],
    }


def source_identifier(source: Source, value: str) -> dict[str, Any]:
    """An identifier that the source system gave."""
    return {"system": SOURCE_RECORD, "value": value, "assigner": {"identifier": hsa(source.system)}}


def hsa(value: str) -> dict[str, str]:
    """An HSA-id as Identifier."""
    return {"system": systems.HSA_ID, "value": value}


def subject(source: Source) -> dict[str, Any]:
    """The person as a logical reference: the identifier, never an address."""
    return {"type": "Patient", "identifier": {"system": source.patient.system, "value": source.patient.value}}


def code(system: str, value: str, text: str | None = None) -> dict[str, Any]:
    """A CodeableConcept with one coding."""
    concept: dict[str, Any] = {"coding": [{"system": system, "code": value}]}
    return {**concept, "text": text} if text else concept


def absent(reason: str = "unknown") -> dict[str, Any]:
    """A required element the source says nothing about (https://hl7.org/fhir/R4/extension-data-absent-reason.html)."""
    return {"extension": [{"url": ABSENT, "valueCode": reason}]}


def pruned(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource without empty elements, which FHIR does not allow."""
    return {key: value for key, value in resource.items() if value is not None and value != [] and value != {}}
