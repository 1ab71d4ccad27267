# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a register gets of an AllergyIntolerance: the variables it asked for, and nothing that names the person.

PDL (2008:355) 7:8: only data that are needed, and number or name only where coded data are not enough. The result
is built up from an allow-list, so an element this file does not name is never sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import hashlib
import json
import re
from typing import Any, Final

from identifiers import systems
from identifiers.person_number import InvalidPersonNumber, parse_swedish

RESOURCES: Final[Mapping[str, str]] = {"alert": "AllergyIntolerance"}
"""The FHIR resource type fetched for an information type; the types this slice can transfer."""

REQUIRABLE: Final[Mapping[str, str]] = {
    "code": "code",
    "category": "category",
    "recorded-date": "recordedDate",
    "criticality": "criticality",
    "verification-status": "verificationStatus",
    "clinical-status": "clinicalStatus",
}
"""Variables a register may declare mandatory, by the name in its row, with the element that holds them."""

DEFAULT_REQUIRED: Final = ("code", "recorded-date")

_SOURCE_RECORD: Final = "https://ndi.example/fhir/NamingSystem/source-record"
_ERROR: Final = "entered-in-error"
_NUMBER = re.compile(r"(?<![0-9])(?:[0-9]{8}|[0-9]{6})[-+ ]?[0-9]{4}(?![0-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """One record as its source holds it now."""

    source_record: str
    """The record's identity at its source: an identifier with its system, else the resource id."""
    content: Mapping[str, Any] | None
    """The register's variables as elements of an AllergyIntolerance; None if withdrawn or quarantined."""
    content_hash: bytes | None
    """SHA-256 of the canonical JSON of `content`."""
    quarantine: str | None = None
    """Why the record cannot be sent as it is, e.g. mandatory-missing:code."""

    @property
    def withdrawn(self) -> bool:
        """The source says the record was never true (entered-in-error)."""
        return self.content is None and self.quarantine is None


def found(resource: Mapping[str, Any], unit: str, required: Sequence[str]) -> Found:
    """The variables of an AllergyIntolerance documented at `unit` (HSA-id).

    Raises `ValueError` if the resource has neither identifier nor id: then nobody can tell its versions apart.
    """
    identity = _identity(resource)
    if _codes(resource.get("verificationStatus")) == [_ERROR]:
        return Found(identity, None, None)
    content = _content(resource, unit)
    for variable in required:
        if not content.get(REQUIRABLE[variable]):
            return Found(identity, None, None, f"mandatory-missing:{variable}")
    if any(_holds_person_number(text) for text in _texts(content)):
        return Found(identity, None, None, "person-number-in-text")
    return Found(identity, content, content_hash(content))


def content_hash(content: Mapping[str, Any]) -> bytes:
    """SHA-256 over canonical JSON: equal for equal variables, whatever their order in the source."""
    return hashlib.sha256(_canonical(content).encode()).digest()


def _content(resource: Mapping[str, Any], unit: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "clinicalStatus": _status(resource.get("clinicalStatus")),
        "verificationStatus": _status(resource.get("verificationStatus")),
        "category": sorted({each for each in resource.get("category") or () if isinstance(each, str)}),
        "criticality": resource.get("criticality"),
        "code": _concept(resource.get("code")),
        "onsetDateTime": resource.get("onsetDateTime"),
        "recordedDate": resource.get("recordedDate"),
        "recorder": {"identifier": {"system": systems.HSA_ID, "value": unit}},
        "reaction": _reactions(resource.get("reaction") or ()),
    }
    return {name: value for name, value in content.items() if value}


def _identity(resource: Mapping[str, Any]) -> str:
    """The gateway's own identifier of a source's record is unique with its assigner; others may not be."""
    identifiers = [each for each in resource.get("identifier") or () if each.get("value")]
    for each in identifiers:
        if each.get("system") == _SOURCE_RECORD:
            assigner = ((each.get("assigner") or {}).get("identifier") or {}).get("value", "")
            return f"{_SOURCE_RECORD}|{assigner}|{each['value']}"
    for each in identifiers:
        return f"{each.get('system', '')}|{each['value']}"
    if resource.get("id"):
        return str(resource["id"])
    raise ValueError("the record has neither identifier nor id")


def _status(concept: Any) -> dict[str, Any] | None:
    """Status concepts carry codes alone: their text is free, their display adds nothing."""
    coding = _coding(concept)
    return {"coding": coding} if coding else None


def _concept(concept: Any) -> dict[str, Any] | None:
    if not isinstance(concept, Mapping):
        return None
    built: dict[str, Any] = {}
    if coding := _coding(concept):
        built["coding"] = coding
    if isinstance(concept.get("text"), str) and concept["text"].strip():
        built["text"] = concept["text"].strip()
    return built or None


def _coding(concept: Any) -> list[dict[str, str]]:
    """System and code only: a change of a display text is no change of a register variable."""
    if not isinstance(concept, Mapping):
        return []
    kept = [
        {key: each[key] for key in ("system", "code") if isinstance(each.get(key), str)}
        for each in concept.get("coding") or ()
        if isinstance(each, Mapping) and each.get("code")
    ]
    return sorted(kept, key=_canonical)


def _codes(concept: Any) -> list[str]:
    return [each["code"] for each in _coding(concept)]


def _reactions(reactions: Iterable[Any]) -> list[dict[str, Any]]:
    built = []
    for reaction in reactions:
        manifestations = [
            kept for each in reaction.get("manifestation") or () if (kept := _manifestation(each)) is not None
        ]
        if manifestations:
            one: dict[str, Any] = {"manifestation": sorted(manifestations, key=_canonical)}
            if reaction.get("severity"):
                one["severity"] = reaction["severity"]
            built.append(one)
    return sorted(built, key=_canonical)


def _manifestation(concept: Any) -> dict[str, Any] | None:
    """Codes where there are codes; the free text only where it is all there is."""
    coding = _coding(concept)
    return {"coding": coding} if coding else _concept(concept)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name == "text":
                yield each
            else:
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _holds_person_number(text: str) -> bool:
    """A valid number in free text, in any written form; such a record waits for a human."""
    for match in _NUMBER.finditer(text):
        digits = re.sub(r"[^0-9]", "", match.group())
        for written in (digits,) if len(digits) == 12 else (f"19{digits}", f"20{digits}"):
            try:
                parse_swedish(written)
            except InvalidPersonNumber:
                continue
            return True
    return False


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
