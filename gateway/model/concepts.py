# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Coded values of RIV-TA (CVType) as CodeableConcept, and their translation."""

from typing import Any, Final

from gateway.model import codes
from gateway.model.record import pruned
from gateway.model.translations import Translations
from gateway.model.tree import Reader

EXTENSIONS: Final = "https://fhir.inera.se/ig/ehds-tk/StructureDefinition/"
"""Canonical base of the extensions that the published mapping names."""


def codeable(value: Reader | None) -> dict[str, Any] | None:
    """A coded value; the name of a code system is context where its OID stands beside it."""
    if value is None:
        return None
    system, symbol = value.take("codeSystem"), value.take("code")
    if system:
        value.context("codeSystemName")
    text = value.take("originalText")
    coding = pruned(
        {
            "system": (codes.uri(system) or system) if system else None,
            "version": value.take("codeSystemVersion"),
            "code": symbol,
            "display": value.take("displayName"),
        }
    )
    codings = [coding] if coding else []
    if symbol and system == codes.OID_ATC and codes.is_atc(symbol):
        codings.append(pruned({"system": codes.ATC, "code": symbol, "display": coding.get("display")}))
    return pruned({"coding": codings, "text": text}) or None


def degrees(hypersensitivity: Reader | None) -> list[dict[str, Any] | None]:
    """Severity and certainty as the source coded them."""
    if hypersensitivity is None:
        return []
    return [
        extension("alert-degree-of-severity", "CodeableConcept", codeable(hypersensitivity.one("degreeOfSeverity"))),
        extension("alert-degree-of-certainty", "CodeableConcept", codeable(hypersensitivity.one("degreeOfCertainty"))),
    ]


def extension(name: str, kind: str, value: Any) -> dict[str, Any] | None:
    """An extension of the published mapping, or None without value."""
    return {"url": EXTENSIONS + name, f"value{kind}": value} if value else None


def translated(value: Reader | None, target: str, translations: Translations, *, name: bool = True) -> str | None:
    """The code in `target`; without a map its absence is named, the source's own text is kept elsewhere."""
    if value is None:
        return None
    system, symbol = value.peek("codeSystem"), value.peek("code")
    found = translations.find(codes.uri(system) or system, symbol, target) if system and symbol else None
    if found is None and name:
        reason = f"no map to {target} is loaded; code and text are kept as the source gave them"
        value.account.lost(f"{value.path}/code" if symbol else value.path, reason)
    elif found is not None and name and not found.exact:
        reason = f"is translated to {found.code} of {target}, which is {found.equivalence}, not the same"
        value.account.lost(f"{value.path}/code", reason)
    return found.code if found else None


def enriched(concept: dict[str, Any], translations: Translations) -> dict[str, Any]:
    """The concept with a SNOMED CT coding beside local ones, where a map is loaded."""
    codings = list(concept.get("coding", []))
    if any(each.get("system") == codes.SNOMED for each in codings):
        return concept
    for each in concept.get("coding", []):
        system, symbol = each.get("system"), each.get("code")
        found = translations.find(system, symbol, codes.SNOMED) if system and symbol else None
        if found is not None:
            codings.append(pruned({"system": codes.SNOMED, "code": found.code, "display": found.display}))
            break
    return {**concept, "coding": codings} if codings else concept
