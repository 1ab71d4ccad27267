# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""RIV-TA GetAlertInformation 2.0 → Flag, and AllergyIntolerance where the alert is a hypersensitivity.

The table is Inera's EHDS mapping of the contract (CC0, GetAlertInformation): docs/api/gateway/mapping-rivta.md shows
it with what we decided where it is silent. Always a Flag; a hypersensitivity also becomes an AllergyIntolerance to
which the Flag points.
"""

from dataclasses import dataclass
from typing import Any, Final

from gateway.model import concepts
from gateway.model.account import Account
from gateway.model.concepts import EXTENSIONS, extension
from gateway.model.record import (
    CATEGORY,
    CLINICAL,
    CRITICALITY,
    SEVERITY,
    VERIFICATION,
    Record,
    Source,
    Unmappable,
    WrongPatient,
    absent,
    code,
    head,
    hsa,
    pruned,
    subject,
)
from gateway.model.rivta_times import period, when
from gateway.model.translations import Translations
from gateway.model.tree import Node, Reader, leaves
from identifiers import person_number

FLAG_DETAIL: Final = "http://hl7.org/fhir/StructureDefinition/flag-detail"
_BODY: Final = "alertInformationBody"
_HEADER: Final = "alertInformationHeader"
_ROLE: Final = "author"


def alert(node: Node, source: Source, translations: Translations) -> Record | None:
    """One `alertInformation` as FHIR; None if the source has nullified it.

    Raises `WrongPatient` if it is about somebody else, `Unmappable` without document id.
    """
    account = Account(leaves(node))
    reader = Reader(node, account)
    header, body = reader.one(_HEADER), reader.one(_BODY)
    if header is None or body is None:
        raise Unmappable("an alertInformation lacks its header or body")
    _check_patient(header, source)
    if header.take("nullified") in ("true", "1"):
        return None
    document = header.take("documentId")
    if not document:
        raise Unmappable("an alertInformation has no documentId")
    header.take("sourceSystemHSAId")
    approved = header.take("approvedForPatient") in ("true", "1")
    shared = _Shared.of(header, body, source, document, approved)
    flag = _flag(shared, header, body)
    resources = [flag]
    hypersensitivity = body.one("hypersensitivity")
    if hypersensitivity is not None:
        allergy = _allergy(shared, hypersensitivity, translations)
        flag["extension"] = [
            {"url": FLAG_DETAIL, "valueReference": {"reference": f"urn:uuid:{allergy['id']}"}},
            *flag.get("extension", []),
        ]
        resources.insert(0, allergy)
    professional = header.one("accountableHealthcareProfessional")
    return Record(
        source_id=document,
        resources=tuple(pruned(each) for each in resources),
        unit=professional.take("healthcareProfessionalCareUnitHSAId") if professional else None,
        provider=professional.take("healthcareProfessionalCareGiverHSAId") if professional else None,
        losses=account.close(),
        authored=shared.authored,
        patient_may_see=approved,
    )


def _check_patient(header: Reader, source: Source) -> None:
    number, kind = header.take("patientId", "id"), header.take("patientId", "type")
    try:
        found = person_number.parse(f"urn:oid:{kind}", number or "")
    except person_number.InvalidPersonNumber:
        raise WrongPatient("an alertInformation carries no valid patient id") from None
    if found != source.patient:
        raise WrongPatient("an alertInformation is about another person")


@dataclass(frozen=True, slots=True)
class _Shared:
    """What Flag and AllergyIntolerance both need."""

    source: Source
    document: str
    approved: bool
    authored: str | None
    contained: list[dict[str, Any]]
    author: dict[str, Any] | None
    asserter: dict[str, Any] | None
    signed: str | None
    ascertained: str | None
    comment: str | None
    obsolete: str | None

    @classmethod
    def of(cls, header: Reader, body: Reader, source: Source, document: str, approved: bool) -> "_Shared":
        professional = header.one("accountableHealthcareProfessional")
        role = _role(professional) if professional else None
        signer = header.take("legalAuthenticator", "legalAuthenticatorHSAId")
        header.lost("the signer is named by HSA-id", "legalAuthenticator", "legalAuthenticatorName")
        return cls(
            source=source,
            document=document,
            approved=approved,
            authored=when(professional, "authorTime") if professional else None,
            contained=[role] if role else [],
            author=_reference(role),
            asserter={"type": "PractitionerRole", "identifier": hsa(signer)} if signer else None,
            signed=when(header, "legalAuthenticator", "signatureTime"),
            ascertained=when(body, "ascertainedDate"),
            comment=body.take("alertInformationComment"),
            obsolete=when(body, "obsoleteTime"),
        )


def _role(professional: Reader) -> dict[str, Any] | None:
    hsa_id, name = professional.take("healthcareProfessionalHSAId"), professional.take("healthcareProfessionalName")
    unit = professional.one("healthcareProfessionalOrgUnit")
    organisation = None
    if unit is not None:
        unit_id, unit_name = unit.take("orgUnitHSAId"), unit.take("orgUnitName")
        organisation = pruned({"identifier": hsa(unit_id) if unit_id else None, "display": unit_name})
    role_code = concepts.codeable(professional.one("healthcareProfessionalRoleCode"))
    role = pruned(
        {
            "resourceType": "PractitionerRole",
            "id": _ROLE,
            "identifier": [hsa(hsa_id)] if hsa_id else [],
            "practitioner": {"display": name} if name else None,
            "organization": organisation,
            "code": [role_code] if role_code else [],
        }
    )
    return role if len(role) > 2 else None


def _reference(role: dict[str, Any] | None) -> dict[str, Any] | None:
    if role is None:
        return None
    identifiers, practitioner = role.get("identifier"), role.get("practitioner", {})
    return pruned(
        {
            "reference": f"#{_ROLE}",
            "identifier": identifiers[0] if identifiers else None,
            "display": practitioner.get("display"),
        }
    )


def _flag(shared: _Shared, header: Reader, body: Reader) -> dict[str, Any]:
    contact = header.take("careContactId")
    categories = [
        concepts.codeable(body.one("typeOfAlertInformation")),
        concepts.codeable(body.one("hypersensitivity", "typeOfHypersensitivity")),
    ]
    extensions = [
        extension("alert-ascertained-date", "Date", shared.ascertained),
        extension("alert-verified-time", "DateTime", when(body, "verifiedTime")),
        extension("alert-asserted-date", "DateTime", shared.signed),
        extension("alert-asserter", "Reference", shared.asserter),
        *_details(body),
    ]
    said = [shared.comment, *_said(body)]
    text = "\n".join(each for each in said if each)
    extensions.append(extension("alert-information-comment", "String", text or None))
    return {
        **head(shared.source, "Flag", shared.document, patient_may_see=shared.approved),
        "contained": [dict(each) for each in shared.contained],
        "extension": [each for each in extensions if each],
        "status": "inactive" if shared.obsolete else "active",
        "category": [each for each in categories if each],
        "code": _flag_code(body),
        "subject": subject(shared.source),
        "period": period(body, shared.obsolete),
        "encounter": {"type": "Encounter", "identifier": {"value": contact}} if contact else None,
        "author": shared.author,
    }


def _said(body: Reader) -> list[str | None]:
    """Texts that go into the comment, in the table's words."""
    obsolete = body.take("obsoleteComment")
    return [
        f"Inaktiveringskommentar: {obsolete}" if obsolete else None,
        body.take("unstructuredAlertInformation", "unstructuredAlertInformationContent"),
    ]


def _details(body: Reader) -> list[dict[str, Any] | None]:
    """The extensions of each kind of alert."""
    details = [
        *concepts.degrees(body.one("hypersensitivity")),
        extension("alert-treatment-description", "String", body.take("treatment", "treatmentDescription")),
        extension(
            "alert-route-of-transmission",
            "CodeableConcept",
            concepts.codeable(body.one("communicableDisease", "routeOfTransmission")),
        ),
        extension(
            "alert-restriction-of-care-comment", "String", body.take("restrictionOfCare", "restrictionOfCareComment")
        ),
    ]
    treatment = body.one("treatment")
    for each in treatment.all("pharmaceuticalTreatment") if treatment else []:
        details.append(extension("alert-pharmaceutical-treatment", "CodeableConcept", concepts.codeable(each)))
    medicine = body.one("hypersensitivity", "pharmaceuticalHypersensitivity")
    if medicine is not None:
        comment = medicine.take("nonATCSubstanceComment")
        parts: list[dict[str, Any]] = [{"url": "nonATCSubstanceComment", "valueString": comment}] if comment else []
        products = [concepts.codeable(each) for each in medicine.all("pharmaceuticalProductId")]
        all_parts = parts + [
            {"url": "pharmaceuticalProductId", "valueCodeableConcept": each} for each in products if each
        ]
        if all_parts:
            details.append({"url": EXTENSIONS + "alert-pharmaceutical-hypersensitivity", "extension": all_parts})
    return [*details, *(_related(each) for each in body.all("relatedAlertInformation"))]


def _related(related: Reader) -> dict[str, Any]:
    kind = concepts.codeable(related.one("typeOfAlertInformationRelationship"))
    comment = related.take("relationComment")
    documents = [each.take() for each in related.all("documentId")]
    parts: list[dict[str, Any]] = [{"url": "typeOfRelationship", "valueCodeableConcept": kind}] if kind else []
    parts += [{"url": "relationComment", "valueString": comment}] if comment else []
    parts += [{"url": "documentId", "valueString": each} for each in documents if each]
    return {"url": EXTENSIONS + "related-alert-information", "extension": parts}


def _flag_code(body: Reader) -> dict[str, Any]:
    substance = _substance(body.one("hypersensitivity"))
    coded = [
        body.one("seriousDisease", "disease"),
        body.one("treatment", "treatmentCode"),
        body.one("communicableDisease", "communicableDiseaseCode"),
    ]
    heading = body.take("unstructuredAlertInformation", "unstructuredAlertInformationHeading")
    found = [substance, *(concepts.codeable(each) for each in coded), {"text": heading} if heading else None]
    # The table asks for an empty concept where the alert has no code; FHIR allows none, so its absence is said.
    return next((each for each in found if each), absent("not-applicable"))


def _substance(hypersensitivity: Reader | None) -> dict[str, Any] | None:
    if hypersensitivity is None:
        return None
    medicine, other = (
        hypersensitivity.one("pharmaceuticalHypersensitivity"),
        hypersensitivity.one("otherHypersensitivity"),
    )
    if medicine is not None:
        concept = concepts.codeable(medicine.one("atcSubstance"))
        text = medicine.take("nonATCSubstance")
    elif other is not None:
        concept = concepts.codeable(other.one("hypersensitivityAgentCode"))
        text = other.take("hypersensitivityAgent")
    else:
        return None
    if text:
        concept = {**(concept or {}), "text": text}
    return concept


def _allergy(shared: _Shared, hypersensitivity: Reader, translations: Translations) -> dict[str, Any]:
    medicine = hypersensitivity.one("pharmaceuticalHypersensitivity")
    severity = hypersensitivity.one("degreeOfSeverity")
    kind = hypersensitivity.one("typeOfHypersensitivity")
    category = concepts.translated(kind, CATEGORY, translations, name=medicine is None)
    if category is None and medicine is not None:
        category = "medication"
    reaction_severity = concepts.translated(severity, SEVERITY, translations)
    certainty = concepts.translated(hypersensitivity.one("degreeOfCertainty"), VERIFICATION, translations)
    products = [concepts.codeable(each) for each in medicine.all("pharmaceuticalProductId")] if medicine else []
    substances: list[dict[str, Any] | None] = [each for each in products if each]
    if reaction_severity and not substances:
        substances.append(None)
    reactions = [
        pruned({"substance": each, "manifestation": [absent()], "severity": reaction_severity}) for each in substances
    ]
    substance = _substance(hypersensitivity)
    return {
        **head(shared.source, "AllergyIntolerance", shared.document, patient_may_see=shared.approved),
        "contained": [dict(each) for each in shared.contained],
        "extension": [each for each in concepts.degrees(hypersensitivity) if each],
        "clinicalStatus": code(CLINICAL, "inactive" if shared.obsolete else "active"),
        "verificationStatus": code(VERIFICATION, certainty) if certainty else None,
        "type": "allergy",
        "category": [category] if category else [],
        "criticality": concepts.translated(severity, CRITICALITY, translations, name=False),
        "code": concepts.enriched(substance, translations) if substance else absent(),
        "patient": subject(shared.source),
        "onsetDateTime": shared.ascertained,
        "recordedDate": shared.authored,
        "recorder": shared.author,
        "asserter": shared.asserter,
        "note": [{"text": shared.comment}] if shared.comment else [],
        "reaction": reactions,
    }
