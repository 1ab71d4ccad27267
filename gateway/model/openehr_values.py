# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""openEHR data values (DV_TEXT, DV_CODED_TEXT, DV_DATE_TIME …) as FHIR datatypes, booked in the account."""

from typing import Any

from gateway.model import codes, times
from gateway.model.openehr_rules import Rule
from gateway.model.record import pruned
from gateway.model.tree import Reader

TEXTS = frozenset({"DV_TEXT", "DV_CODED_TEXT"})
TIMES = frozenset({"DV_DATE_TIME", "DV_DATE"})


def kind(value: Reader) -> str:
    """The reference model's type of the value."""
    return value.peek("_type") or "DV_TEXT"


def concept(value: Reader) -> dict[str, Any] | None:
    """A text or coded text as CodeableConcept, with its term mappings as further codings."""
    if kind(value) not in TEXTS:
        return None
    text = value.take("value")
    phrases = [value.one("defining_code"), *(each.one("target") for each in value.all("mappings"))]
    codings = [coding for coding in (_coding(each, text) for each in phrases if each) if coding]
    return pruned({"coding": codings, "text": text}) or None


def _coding(phrase: Reader, text: str | None) -> dict[str, Any] | None:
    terminology = phrase.peek("terminology_id", "value")
    system = codes.uri(terminology) if terminology and terminology != "local" else None
    if system is None:
        reason = "the code system has no address; the text is kept"
        phrase.lost(reason, "code_string")
        phrase.lost(reason, "terminology_id", "value")
        return None
    phrase.take("terminology_id", "value")
    display = phrase.take("preferred_term") or (text if phrase.path.endswith("defining_code") else None)
    return pruned({"system": system, "code": phrase.take("code_string"), "display": display})


def text(value: Reader) -> str | None:
    """The text of a text."""
    return value.take("value") if kind(value) in TEXTS else None


def time(value: Reader) -> str | None:
    """A date or time as FHIR dateTime; one that is none is named as a loss."""
    written = value.peek("value")
    # In XML the type is left out where the reference model allows only one.
    if written is None or value.peek("_type") not in (None, *TIMES):
        return None
    try:
        converted = times.from_iso(written)
    except times.BadTime:
        value.lost("is no ISO 8601 time", "value")
        return None
    value.take("value")
    return converted


def coded(value: Reader, rule: Rule) -> str | None:
    """The FHIR code of a local at-code or of a text that is known; others are named as a loss."""
    if kind(value) not in TEXTS:
        return None
    symbol = value.peek("defining_code", "code_string")
    words = value.peek("value") or ""
    found = rule.codes.get(symbol or "") or rule.codes.get(words.strip().lower())
    if found is None:
        reason = f"no code of AllergyIntolerance.{rule.element} says the same"
        value.lost(reason, "value")
        value.lost(reason, "defining_code", "code_string")
        value.context("defining_code", "terminology_id", "value")
        return None
    value.take("value")
    value.take("defining_code", "code_string")
    value.context("defining_code", "terminology_id", "value")
    return found


def onset(value: Reader) -> dict[str, Any]:
    """onset[x] of whatever kind the value is."""
    match kind(value):
        case "DV_DATE_TIME" | "DV_DATE":
            moment = time(value)
            return {"onsetDateTime": moment} if moment else {}
        case "DV_TEXT" | "DV_CODED_TEXT":
            written = text(value)
            return {"onsetString": written} if written else {}
        case "DV_DURATION":
            age = _years(value.peek("value") or "")
            if age is None:
                return {}
            value.take("value")
            return {"onsetAge": {"value": age, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}}
        case name if name.startswith("DV_INTERVAL"):
            ends = {key: value.one(name) for key, name in (("start", "lower"), ("end", "upper"))}
            found = {key: time(each) for key, each in ends.items() if each is not None}
            for flag in ("lower_included", "upper_included", "lower_unbounded", "upper_unbounded"):
                value.context(flag)
            period = pruned(found)
            return {"onsetPeriod": period} if period else {}
        case _:
            return {}


def _years(duration: str) -> int | None:
    digits = duration.removeprefix("P").removesuffix("Y")
    return int(digits) if duration == f"P{digits}Y" and digits.isascii() and digits.isdigit() else None
