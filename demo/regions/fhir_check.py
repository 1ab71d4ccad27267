# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Small R4 checks of what the FHIR simulator stores: known elements, required elements, required bindings.

https://hl7.org/fhir/R4/allergyintolerance.html, https://hl7.org/fhir/R4/patient.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_ANY: Final = {"resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension",
               "modifierExtension"}  # fmt: skip
ELEMENTS: Final[dict[str, frozenset[str]]] = {
    "AllergyIntolerance": frozenset(
        _ANY
        | {"identifier", "clinicalStatus", "verificationStatus", "type", "category", "criticality", "code", "patient",
           "encounter", "onsetDateTime", "onsetAge", "onsetPeriod", "onsetRange", "onsetString", "recordedDate",
           "recorder", "asserter", "lastOccurrence", "note", "reaction"}
    ),
    "Patient": frozenset(
        _ANY
        | {"identifier", "active", "name", "telecom", "gender", "birthDate", "deceasedBoolean", "deceasedDateTime",
           "address", "maritalStatus", "multipleBirthBoolean", "multipleBirthInteger", "photo", "contact",
           "communication", "generalPractitioner", "managingOrganization", "link"}
    ),
}  # fmt: skip
_LISTS: Final = frozenset({"identifier", "category", "note", "reaction", "extension", "contained", "name"})
_CODES: Final[dict[str, frozenset[str]]] = {
    "type": frozenset({"allergy", "intolerance"}),
    "criticality": frozenset({"low", "high", "unable-to-assess"}),
}
_CATEGORIES: Final = frozenset({"food", "medication", "environment", "biologic"})
_STATUS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "clinicalStatus": (
        "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
        frozenset({"active", "inactive", "resolved"}),
    ),
    "verificationStatus": (
        "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
        frozenset({"unconfirmed", "confirmed", "refuted", "entered-in-error", "presumed"}),
    ),
}
_SEVERITIES: Final = frozenset({"mild", "moderate", "severe"})


class Fault(Exception):
    """What is wrong, where (FHIRPath), and the HTTP status it is told with."""

    def __init__(self, text: str, expression: str, *, status: int = 422, code: str = "invalid") -> None:
        super().__init__(text)
        self.text, self.expression, self.status, self.code = text, expression, status, code


def check(resource: object, wanted: str) -> dict[str, Any]:
    """The resource, if it holds as far as these checks go. Raises `Fault`."""
    if not isinstance(resource, dict) or resource.get("resourceType") != wanted:
        raise Fault(f"send a {wanted} as a JSON object", wanted, status=400, code="structure")
    for name in resource:
        if name.removeprefix("_") not in ELEMENTS[wanted]:
            raise Fault("R4 does not know this element here; take it out", f"{wanted}.{name}", code="structure")
    for name in _LISTS & resource.keys():
        if not isinstance(resource[name], list) or not resource[name]:
            raise Fault("this element is a list with at least one value", f"{wanted}.{name}", code="structure")
    if wanted == "AllergyIntolerance":
        _check_allergy(resource)
    return resource


def _check_allergy(resource: Mapping[str, Any]) -> None:
    patient = resource.get("patient")
    if not isinstance(patient, dict) or not (patient.get("identifier") or patient.get("reference")):
        raise Fault("name the patient by identifier", "AllergyIntolerance.patient", code="required")
    for name, allowed in _CODES.items():
        if name in resource and resource[name] not in allowed:
            raise Fault(f"one of {', '.join(sorted(allowed))}", f"AllergyIntolerance.{name}", code="code-invalid")
    for each in resource.get("category", ()):
        if each not in _CATEGORIES:
            raise Fault("a category of R4", "AllergyIntolerance.category", code="code-invalid")
    for name, (system, allowed) in _STATUS.items():
        if name in resource and status_code(resource, name) not in allowed:
            raise Fault(f"a code of {system}", f"AllergyIntolerance.{name}", code="code-invalid")
    in_error = status_code(resource, "verificationStatus") == "entered-in-error"
    if in_error == ("clinicalStatus" in resource):
        raise Fault("clinicalStatus stands exactly when the record is not entered-in-error (ait-1, ait-2)",
                    "AllergyIntolerance.clinicalStatus", code="invariant")  # fmt: skip
    for number, reaction in enumerate(resource.get("reaction", ())):
        where = f"AllergyIntolerance.reaction[{number}]"
        if not isinstance(reaction, dict) or not reaction.get("manifestation"):
            raise Fault("a reaction has at least one manifestation", f"{where}.manifestation", code="required")
        if reaction.get("severity", "mild") not in _SEVERITIES:
            raise Fault("mild, moderate or severe", f"{where}.severity", code="code-invalid")


def status_code(resource: Mapping[str, Any], name: str) -> str | None:
    """The code of clinicalStatus or verificationStatus in its own system, or None."""
    value = resource.get(name)
    codings: Sequence[Any] = value.get("coding", ()) if isinstance(value, dict) else ()
    for coding in codings:
        if isinstance(coding, dict) and coding.get("system") == _STATUS[name][0]:
            return str(coding.get("code"))
    return None
