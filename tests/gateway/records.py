# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Records as three kinds of sources hold them, written for these tests."""

from typing import Any

from gateway import soap
from gateway.model.record import Source
from identifiers import systems
from identifiers.person_number import PersonIdentifier

ASTRID = PersonIdentifier(systems.PERSONNUMMER, "195701032863")
BERTIL = PersonIdentifier(systems.PERSONNUMMER, "199001032391")
NORR, MITT, SYD = ("SE0000000011", "SE0000000022", "SE0000000033")
SOURCE = Source(f"{SYD}-SYS", ASTRID)

ALERT = """
<q:alertInformation>
  <d:alertInformationHeader>
    <d:documentId>{document}</d:documentId>
    <d:sourceSystemHSAId>{region}-SYS</d:sourceSystemHSAId>
    <d:patientId><d:id>{number}</d:id><d:type>1.2.752.129.2.1.3.1</d:type></d:patientId>
    <d:accountableHealthcareProfessional>
      <d:authorTime>20230918093000</d:authorTime>
      <d:healthcareProfessionalHSAId>{region}-L4</d:healthcareProfessionalHSAId>
      <d:healthcareProfessionalName>Signe Söderlund</d:healthcareProfessionalName>
      <d:healthcareProfessionalCareUnitHSAId>{unit}</d:healthcareProfessionalCareUnitHSAId>
      <d:healthcareProfessionalCareGiverHSAId>{region}-VG</d:healthcareProfessionalCareGiverHSAId>
    </d:accountableHealthcareProfessional>
    <d:approvedForPatient>{approved}</d:approvedForPatient>
    {header}
  </d:alertInformationHeader>
  <d:alertInformationBody>
    <d:typeOfAlertInformation><d:originalText>Överkänslighet</d:originalText></d:typeOfAlertInformation>
    <d:ascertainedDate>20230918</d:ascertainedDate>
    <d:validityTimePeriod><d:start>20230918093000</d:start></d:validityTimePeriod>
    <d:alertInformationComment>Utslag efter dos</d:alertInformationComment>
    {body}
  </d:alertInformationBody>
</q:alertInformation>
"""
HYPERSENSITIVITY = """
<d:hypersensitivity>
  <d:degreeOfSeverity>
    <d:code>sk</d:code><d:codeSystem>1.2.752.129.2.2.3.3</d:codeSystem><d:displayName>Skadlig</d:displayName>
  </d:degreeOfSeverity>
  <d:degreeOfCertainty>
    <d:code>m</d:code><d:codeSystem>1.2.752.129.2.2.3.11</d:codeSystem><d:displayName>Misstänkt</d:displayName>
  </d:degreeOfCertainty>
  <d:pharmaceuticalHypersensitivity>
    <d:atcSubstance>
      <d:code>J01DC02</d:code><d:codeSystem>1.2.752.129.2.2.3.1.1</d:codeSystem>
      <d:displayName>cefuroxim</d:displayName>
    </d:atcSubstance>
  </d:pharmaceuticalHypersensitivity>
</d:hypersensitivity>
"""


def alert(
    number: str = ASTRID.value,
    *,
    document: str = "d-1",
    region: str = SYD,
    unit: str | None = None,
    approved: str = "true",
    header: str = "",
    body: str = HYPERSENSITIVITY,
) -> str:
    """One alertInformation."""
    return ALERT.format(
        number=number, document=document, region=region, unit=unit or f"{region}-VE1", approved=approved,
        header=header, body=body,
    )  # fmt: skip


def message(*alerts: str, result: str = "<d:resultCode>OK</d:resultCode><d:logId>1</d:logId>") -> bytes:
    """A SOAP answer."""
    told = f"<q:result>{result}</q:result>" if result else ""
    return (
        f'<s:Envelope xmlns:s="{soap.ENVELOPE}" xmlns:q="{soap.RESPONDER}" xmlns:d="{soap.DESCRIPTION}"><s:Body>'
        f"<q:GetAlertInformationResponse>{''.join(alerts)}{told}</q:GetAlertInformationResponse>"
        "</s:Body></s:Envelope>"
    ).encode()


def allergy(number: str = ASTRID.value, *, id_: str = "n-1", **more: Any) -> dict[str, Any]:
    """An AllergyIntolerance as a FHIR source holds it."""
    return {
        "resourceType": "AllergyIntolerance",
        "id": id_,
        "meta": {"versionId": "3", "lastUpdated": "2024-05-01T08:00:00Z"},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Penicillin</div>'},
        "identifier": [{"system": "https://norr.example/allergy", "value": f"allergy-{id_}"}],
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
        "code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "J01CE02"}], "text": "Penicillin"},
        "patient": {
            "reference": "Patient/N-1001",
            "identifier": {"system": systems.PERSONNUMMER, "value": number},
        },
        "encounter": {"reference": "Encounter/e-7", "display": "Akutbesök"},
        "recordedDate": "2019-04-12T14:20:00+02:00",
        "reaction": [{"manifestation": [{"text": "Anafylaxi"}], "severity": "severe"}],
        **more,
    }


def searchset(*resources: dict[str, Any]) -> dict[str, Any]:
    """A searchset Bundle."""
    entries = [{"resource": each, "search": {"mode": "match"}} for each in resources]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        **({"entry": entries} if entries else {}),
    }


def text(value: str) -> dict[str, Any]:
    """DV_TEXT."""
    return {"_type": "DV_TEXT", "value": value}


def local(at_code: str, value: str) -> dict[str, Any]:
    """DV_CODED_TEXT with a local at-code."""
    return {
        "_type": "DV_CODED_TEXT",
        "value": value,
        "defining_code": {
            "_type": "CODE_PHRASE",
            "terminology_id": {"_type": "TERMINOLOGY_ID", "value": "local"},
            "code_string": at_code,
        },
    }


def element(node_id: str, value: dict[str, Any]) -> dict[str, Any]:
    """ELEMENT."""
    return {"_type": "ELEMENT", "archetype_node_id": node_id, "name": text(node_id), "value": value}


def evaluation(*items: dict[str, Any], version: int = 2, **more: Any) -> dict[str, Any]:
    """An adverse reaction with these items below data[at0001]."""
    return {
        "_type": "EVALUATION",
        "archetype_node_id": f"openEHR-EHR-EVALUATION.adverse_reaction_risk.v{version}",
        "name": text("Adverse reaction risk"),
        "subject": {"_type": "PARTY_SELF"},
        "data": {"_type": "ITEM_TREE", "archetype_node_id": "at0001", "name": text("Tree"), "items": list(items)},
        **more,
    }


def composition(
    *content: dict[str, Any], uid: str = "c0ffee00-1::mitt::2", unit: str | None = f"{MITT}-VE1"
) -> dict[str, Any]:
    """A composition with this content."""
    context: dict[str, Any] = {
        "_type": "EVENT_CONTEXT",
        "start_time": {"_type": "DV_DATE_TIME", "value": "2021-11-02T10:40:00+01:00"},
    }
    if unit:
        context["health_care_facility"] = {
            "_type": "PARTY_IDENTIFIED",
            "external_ref": {
                "_type": "PARTY_REF",
                "id": {"_type": "GENERIC_ID", "value": unit, "scheme": "urn:oid:1.2.752.29.4.19"},
                "namespace": "urn:oid:1.2.752.29.4.19",
                "type": "ORGANISATION",
            },
        }
    return {
        "_type": "COMPOSITION",
        "archetype_node_id": "openEHR-EHR-COMPOSITION.adverse_reaction_list.v1",
        "name": text("Adverse reaction list"),
        "uid": {"_type": "OBJECT_VERSION_ID", "value": uid},
        "composer": {"_type": "PARTY_IDENTIFIED", "name": "Mira Mellberg"},
        "context": context,
        "content": list(content) or [LATEX],
    }


LATEX = evaluation(
    element("at0002", text("Naturgummilatex")),
    element("at0063", local("at0065", "Confirmed")),
    element("at0101", local("at0103", "High")),
)
