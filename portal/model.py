# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the pages show, computed from what the services answer. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from consent.client import KIND_SYSTEM
from identifiers import systems
from identifiers.information_type import BY_CODE
from patient_index.client import Entry

CONSENT, OUTER_BLOCK, OPT_OUT = "shared-record", "outer-block", "register-opt-out"
LOSS = "mapping-loss"
_ANSWERED = "source-answered"
KINDS = (CONSENT, OUTER_BLOCK, OPT_OUT)
_ROLE = {CONSENT: "IRCP", OUTER_BLOCK: "CST", OPT_OUT: "IRCP"}
_TYPE = {CONSENT: "permit", OUTER_BLOCK: "deny", OPT_OUT: "deny"}


def consent_resource(kind: str, party: str) -> dict[str, Any]:
    """The Consent that the person gives, sets or states; the service fills in who she is."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": KIND_SYSTEM, "code": kind}]}],
        "policyRule": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                    "code": "OPTIN" if kind == CONSENT else "OPTOUT",
                }
            ]
        },
        "provision": {
            "type": _TYPE[kind],
            "actor": [
                {
                    "role": {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                "code": _ROLE[kind],
                            }
                        ]
                    },
                    "reference": {"identifier": {"system": systems.HSA_ID, "value": party}},
                }
            ],
        },
    }


def consent_row(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A Consent as a row: id, kind, whom it concerns, since when."""
    coding: Mapping[str, Any] = next(
        (
            coding
            for category in resource.get("category", [])
            for coding in category.get("coding", [])
            if coding.get("system") == KIND_SYSTEM
        ),
        {},
    )
    actors = resource.get("provision", {}).get("actor", [])
    party = next(
        (actor["reference"]["identifier"]["value"] for actor in actors if "identifier" in actor["reference"]), ""
    )
    return {
        "id": resource["id"],
        "kind": coding.get("code", ""),
        "active": resource.get("status") == "active",
        "party": party,
        "since": resource.get("dateTime") or resource.get("meta", {}).get("lastUpdated"),
    }


def holder_rows(entries: Iterable[Entry], consents: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    """Who holds what about the person, with the block that applies to it."""
    blocks = {row["party"]: row["id"] for row in consents if row["active"] and row["kind"] == OUTER_BLOCK}
    rows = []
    for entry in sorted(entries, key=_recency, reverse=True):
        kind = BY_CODE.get(entry.information_type)
        block = blocks.get(entry.unit) or blocks.get(entry.custodian)
        rows.append(
            {
                "custodian": entry.custodian,
                "custodianName": entry.custodian_name or entry.custodian,
                "unit": entry.unit,
                "unitName": entry.unit_name or entry.unit,
                "informationType": entry.information_type,
                "informationTypeName": _name(kind, entry.information_type, language),
                "mostRecent": entry.most_recent.isoformat() if entry.most_recent else None,
                "items": entry.items,
                "blocked": block is not None,
                "block": block,
            }
        )
    return rows


def allergy_rows(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The allergies of a merged Bundle, the most critical first."""
    rows = []
    for entry in bundle.get("entry", []):
        resource = entry.get("resource", {})
        if resource.get("resourceType") != "AllergyIntolerance":
            continue
        reactions = [
            _text(manifestation)
            for reaction in resource.get("reaction", [])
            for manifestation in reaction.get("manifestation", [])
        ]
        rows.append(
            {
                "substance": _text(resource.get("code", {})),
                "criticality": resource.get("criticality"),
                "reactions": [text for text in reactions if text],
                "recorded": resource.get("recordedDate") or resource.get("onsetDateTime"),
                "source": resource.get("meta", {}).get("source"),
            }
        )
    return sorted(rows, key=lambda row: (row["criticality"] != "high", row["substance"]))


def notices(bundle: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the reader must know about a Bundle: silent sources, blocked information, what mapping lost."""
    found = []
    for entry in bundle.get("entry", []):
        resource = entry.get("resource", {})
        if resource.get("resourceType") == "OperationOutcome":
            for each in resource.get("issue", []):
                codes = each.get("details", {}).get("coding", [{}])
                if codes[0].get("code") == _ANSWERED:
                    continue  # shown among the sources
                found.append(
                    {
                        "severity": each.get("severity", "information"),
                        "code": codes[0].get("code", ""),
                        "text": each.get("details", {}).get("text") or each.get("diagnostics", ""),
                    }
                )
    return found


def _recency(entry: Entry) -> datetime:
    return entry.most_recent or datetime.min.replace(tzinfo=UTC)


def _text(concept: Mapping[str, Any]) -> str:
    if concept.get("text"):
        return str(concept["text"])
    for coding in concept.get("coding", []):
        if coding.get("display"):
            return str(coding["display"])
    return next((str(coding["code"]) for coding in concept.get("coding", []) if coding.get("code")), "")


def _name(kind: Any, code: str, language: str) -> str:
    if kind is None:
        return code
    return str(kind.display_sv if language == "sv" else kind.display_en)
