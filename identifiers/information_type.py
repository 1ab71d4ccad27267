# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What kinds of information the index speaks of, and how each is named elsewhere.

One row joins the RIV-TA service contract and index categorization, the FHIR resource type and the EHDS
priority category. Facts: Inera's EHDS mapping project (CC0) and public code of the national patient
overview; Regulation (EU) 2025/327 Article 14. Categorizations not recorded there are None.
"""

from dataclasses import dataclass
from typing import Final

SYSTEM: Final = "https://ndi.example/fhir/CodeSystem/information-type"


@dataclass(frozen=True, slots=True)
class InformationType:
    """One agreed kind of information."""

    code: str
    display_sv: str
    display_en: str
    service_domain: str
    contract: str
    categorization: str | None
    fhir_types: tuple[str, ...]
    ehds_category: str | None


_DESCRIPTION = "riv:clinicalprocess:healthcond:description"
_ACTOUTCOME = "riv:clinicalprocess:healthcond:actoutcome"
_PRESCRIPTION = "riv:clinicalprocess:activityprescription:actoutcome"
_LOGISTICS = "riv:clinicalprocess:logistics:logistics"

ALL: Final[tuple[InformationType, ...]] = (
    InformationType(
        "alert",
        "Uppmärksamhetsinformation",
        "Allergies and alerts",
        _DESCRIPTION,
        "GetAlertInformation",
        "upp",
        ("AllergyIntolerance", "Flag"),
        "patient-summary",
    ),
    InformationType(
        "diagnosis", "Diagnoser", "Diagnoses", _DESCRIPTION, "GetDiagnosis", "dia", ("Condition",), "patient-summary"
    ),
    InformationType(
        "care-documentation",
        "Vårddokumentation",
        "Care documentation",
        _DESCRIPTION,
        "GetCareDocumentation",
        "voo",
        ("DocumentReference",),
        "discharge-report",
    ),
    InformationType(
        "medication",
        "Läkemedel",
        "Medication",
        _PRESCRIPTION,
        "GetMedicationHistory",
        "lkm-ord",
        ("MedicationStatement", "MedicationRequest", "MedicationDispense"),
        "patient-summary",
    ),
    InformationType(
        "laboratory",
        "Laboratoriesvar",
        "Laboratory results",
        _ACTOUTCOME,
        "GetLaboratoryOrderOutcome",
        "und-kkm-kli",
        ("DiagnosticReport", "Observation"),
        "medical-test-results",
    ),
    InformationType(
        "imaging",
        "Bilddiagnostik",
        "Imaging",
        _ACTOUTCOME,
        "GetImagingOutcome",
        "und-bdi",
        ("DiagnosticReport", "ImagingStudy"),
        "medical-imaging",
    ),
    InformationType(
        "consultation",
        "Konsultationssvar",
        "Consultations",
        _ACTOUTCOME,
        "GetReferralOutcome",
        "und-kon",
        ("DiagnosticReport",),
        None,
    ),
    InformationType(
        "care-contact", "Vårdkontakter", "Care contacts", _LOGISTICS, "GetCareContacts", "vko", ("Encounter",), None
    ),
)

BY_CODE: Final[dict[str, InformationType]] = {each.code: each for each in ALL}
ALERT: Final[InformationType] = BY_CODE["alert"]


def by_code(code: str) -> InformationType | None:
    """The information type with this code, or None."""
    return BY_CODE.get(code)


def by_categorization(service_domain: str, categorization: str) -> InformationType | None:
    """The information type of an engagement-index row, or None; categorizations compare without case."""
    wanted = categorization.lower()
    for each in ALL:
        if each.service_domain == service_domain and each.categorization == wanted:
            return each
    return None


def by_fhir_type(resource_type: str) -> tuple[InformationType, ...]:
    """The information types that carry this FHIR resource type."""
    return tuple(each for each in ALL if resource_type in each.fhir_types)
