# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The mapping of openEHR adverse reactions as data: archetype path → FHIR element and conversion.

Archetypes: EVALUATION.adverse_reaction_risk v0, v1 and v2 with its CLUSTER.adverse_reaction_event v1, and the older
EVALUATION.adverse_reaction v1. at-codes and their meaning are facts of the published archetypes (openEHR CKM);
specialised codes (at0002.1) follow their parent. docs/api/gateway/mapping-openehr.md shows this table.
"""

from dataclasses import dataclass, field
from enum import Enum
import re
from typing import Final


class Convert(Enum):
    """What becomes of an ELEMENT's value."""

    concept = "concept"
    """DV_TEXT or DV_CODED_TEXT → CodeableConcept."""
    concepts = "concepts"
    """The same, into a list."""
    text = "text"
    note = "note"
    """DV_TEXT → Annotation in a list."""
    time = "time"
    onset = "onset"
    """DV_DATE_TIME, DV_DURATION, DV_INTERVAL or DV_TEXT → onset[x]."""
    updated = "updated"
    """DV_DATE_TIME → meta.lastUpdated."""
    code = "code"
    """Local at-code or known text → code of a required binding."""
    codes = "codes"
    """The same, into a list."""
    clinical = "clinical"
    verification = "verification"
    """at-code or known text → CodeableConcept of a required binding."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    path: str
    """Attributes and node ids below the EVALUATION, or below the reaction's CLUSTER."""
    element: str
    """Element of AllergyIntolerance, or of its reaction."""
    convert: Convert
    codes: dict[str, str] = field(default_factory=dict)
    """at-code or text in lower case → FHIR code."""


@dataclass(frozen=True, slots=True)
class Archetype:
    """The rules of one archetype."""

    rules: tuple[Rule, ...]
    reactions: dict[str, tuple[Rule, ...]]
    """Path of a CLUSTER that becomes AllergyIntolerance.reaction → its rules."""


_CRITICALITY: Final = {
    "at0102": "low",
    "at0103": "high",
    "at0124": "unable-to-assess",
    "low": "low",
    "high": "high",
    "indeterminate": "unable-to-assess",
    "unable to assess": "unable-to-assess",
}
_CATEGORY: Final = {
    "at0121": "food",
    "at0122": "medication",
    "food": "food",
    "medication": "medication",
    "environment": "environment",
    "environmental": "environment",
    "biologic": "biologic",
}
_MECHANISM: Final = {
    "at0059": "allergy",
    "at0060": "intolerance",
    "allergy": "allergy",
    "intolerance": "intolerance",
    "immune mediated": "allergy",
    "non-immune mediated": "intolerance",
}
_VERIFICATION: Final = {
    "at0127": "unconfirmed",
    "at0064": "unconfirmed",
    "at0065": "confirmed",
    "at0066": "refuted",
    "at0067": "confirmed",
    "suspected": "unconfirmed",
    "likely": "unconfirmed",
    "unconfirmed": "unconfirmed",
    "presumed": "presumed",
    "confirmed": "confirmed",
    "refuted": "refuted",
    "resolved": "confirmed",
}
RESOLVED: Final = frozenset({"at0067", "resolved"})
"""v1 keeps Resolved among the verification codes; FHIR keeps it in clinicalStatus."""
_CLINICAL: Final = {
    "at0131": "active",
    "at0132": "inactive",
    "active": "active",
    "inactive": "inactive",
    "resolved": "resolved",
}


def _severity(mild: str, moderate: str, severe: str) -> dict[str, str]:
    words = {each: each for each in ("mild", "moderate", "severe")}
    return {**words, mild: "mild", moderate: "moderate", severe: "severe"}


_EVENT_V1: Final = (
    Rule("items[at0010]", "substance", Convert.concept),
    Rule("items[at0011]", "manifestation", Convert.concepts),
    Rule("items[at0012]", "description", Convert.text),
    Rule("items[at0027]", "onset", Convert.time),
    Rule("items[at0089]", "severity", Convert.code, _severity("at0093", "at0092", "at0090")),
    Rule("items[at0106]", "exposureRoute", Convert.concept),
    Rule("items[at0032]", "note", Convert.note),
)
_EVENT_CLUSTER: Final = (
    Rule("items[at0001]", "substance", Convert.concept),
    Rule("items[at0006]", "manifestation", Convert.concepts),
    Rule("items[at0007]", "description", Convert.text),
    Rule("items[at0008]", "onset", Convert.time),
    Rule("items[at0010]", "severity", Convert.code, _severity("at0011", "at0012", "at0013")),
    Rule("items[at0017]", "exposureRoute", Convert.concept),
    Rule("items[at0024]", "note", Convert.note),
)
_RISK: Final = Archetype(
    rules=(
        Rule("data[at0001]/items[at0002]", "code", Convert.concept),
        Rule("data[at0001]/items[at0130]", "clinicalStatus", Convert.clinical, _CLINICAL),
        Rule("data[at0001]/items[at0063]", "verificationStatus", Convert.verification, _VERIFICATION),
        Rule("data[at0001]/items[at0101]", "criticality", Convert.code, _CRITICALITY),
        Rule("data[at0001]/items[at0120]", "category", Convert.codes, _CATEGORY),
        Rule("data[at0001]/items[at0058]", "type", Convert.code, _MECHANISM),
        Rule("data[at0001]/items[at0117]", "lastOccurrence", Convert.time),
        Rule("data[at0001]/items[at0133]", "onset", Convert.onset),
        Rule("data[at0001]/items[at0006]", "note", Convert.note),
        Rule("protocol[at0042]/items[at0062]", "lastUpdated", Convert.updated),
    ),
    reactions={
        "data[at0001]/items[at0009]": _EVENT_V1,
        "data[at0001]/items[openEHR-EHR-CLUSTER.adverse_reaction_event.v1]": _EVENT_CLUSTER,
    },
)
_ADVERSE_REACTION: Final = Archetype(
    rules=(
        Rule("data[at0001]/items[at0002]", "code", Convert.concept),
        Rule("data[at0001]/items[at0006]", "note", Convert.note),
    ),
    reactions={
        "data[at0001]/items[at0009]": (
            Rule("items[at0010]", "substance", Convert.concept),
            Rule("items[at0011]", "manifestation", Convert.concepts),
            Rule("items[at0026]/items[at0012]", "description", Convert.text),
            Rule("items[at0026]/items[at0027]", "onset", Convert.time),
            Rule("items[at0032]", "note", Convert.note),
        )
    },
)
_FAMILIES: Final = (
    (re.compile(r"openEHR-EHR-EVALUATION\.adverse_reaction_risk(-[a-z0-9_]+)?\.v[012]", re.IGNORECASE), _RISK),
    (re.compile(r"openEHR-EHR-EVALUATION\.adverse_reaction(-[a-z0-9_]+)?\.v1", re.IGNORECASE), _ADVERSE_REACTION),
)
ARCHETYPES: Final = tuple(archetype for _, archetype in _FAMILIES)
"""Every archetype with rules."""
QUERIED: Final = tuple(f"openEHR-EHR-EVALUATION.adverse_reaction_risk.v{version}" for version in (0, 1, 2))
"""Archetypes asked for when a server is queried."""

CONTEXT: Final = re.compile(
    r"(.*/)?("
    r"_type|archetype_node_id|archetype_details/.*|rm_version|language/.*|encoding/.*|territory/.*|category/.*"
    # Names are labels of the template; a name that says more than the archetype is beyond this account.
    r"|name/(value|_type|defining_code/.*)"
    r")"
)
"""Leaves that describe the record's form: types, archetypes, labels, language and encoding."""


def rules_of(archetype_id: str) -> Archetype | None:
    """The rules for an archetype id, or None if it is no adverse reaction we know."""
    return next((rules for pattern, rules in _FAMILIES if pattern.fullmatch(archetype_id)), None)


def general_code(node_id: str) -> str:
    """The parent of a specialised at-code: at0002.1 → at0002; others unchanged."""
    match = re.fullmatch(r"(at[1-9]?\d{3,})(\.\d+)+", node_id)
    return match.group(1) if match else node_id
