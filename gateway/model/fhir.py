# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""FHIR R4 sources: the resource passes through, normalised so that merged answers do not clash or leak.

Changed: id and meta.source (deterministic, ours), patient (logical reference only), references that lead nowhere
outside the source, narrative. Accounted for by comparing the leaves before and after.
"""

from collections.abc import Iterator, Mapping, Sequence
import re
from typing import Any, Final

from gateway.model.account import Account, general
from gateway.model.concepts import enriched
from gateway.model.record import (
    META_SOURCE,
    NOPATIENT,
    VERIFICATION,
    Record,
    Source,
    Unmappable,
    WrongPatient,
    pruned,
    source_identifier,
    stable_id,
    subject,
)
from gateway.model.translations import Translations
from identifiers import person_number, systems

_CONTEXT: Final = re.compile(
    r"resourceType|id|meta/(versionId|lastUpdated|source)|patient/(reference|type|display)"
    r"|patient/identifier/(use|system|value|assigner/.*|type/.*)|text/(status|div)"
)
_FOREIGN: Final = "is a reference that only the source can follow"
_NARRATIVE: Final = "is narrative beyond the data"


def allergy(
    resource: Mapping[str, Any],
    source: Source,
    translations: Translations,
    provenances: Sequence[Mapping[str, Any]] = (),
) -> Record | None:
    """One AllergyIntolerance of a FHIR source; None if it is marked as entered in error.

    Raises `WrongPatient` unless it is about the patient, `Unmappable` without id.
    """
    source_id = resource.get("id")
    if not isinstance(source_id, str) or not source_id:
        raise Unmappable("a resource has no id")
    _check_patient(resource.get("patient"), source)
    if _in_error(resource):
        return None
    account = Account(path for path, _ in json_leaves(resource))
    passed = {key: value for key, value in resource.items() if key != "text"}
    passed = _without_foreign_references(passed, "", account)
    passed["id"] = stable_id(source, "AllergyIntolerance", source_id)
    passed["meta"] = {**_kept_meta(resource), "source": META_SOURCE + source.system}
    passed["patient"] = subject(source)
    passed["identifier"] = [*resource.get("identifier", []), source_identifier(source, source_id)]
    if isinstance(passed.get("code"), dict):
        passed["code"] = enriched(passed["code"], translations)
    narrative = resource.get("text")
    if isinstance(narrative, Mapping) and narrative.get("status") == "additional":
        account.lost("text/div", _NARRATIVE)
    _book(account, resource, passed)
    unit, provider = _agents(resource, provenances)
    security = passed["meta"].get("security", [])
    return Record(
        source_id=source_id,
        resources=(pruned(passed),),
        losses=account.close(),
        unit=unit,
        provider=provider,
        authored=resource.get("recordedDate") if isinstance(resource.get("recordedDate"), str) else None,
        patient_may_see=not any(NOPATIENT.items() <= dict(each).items() for each in security),
    )


def json_leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar with its path; empty objects and lists count as nothing."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from json_leaves(each, f"{path}/{key}" if path else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from json_leaves(each, f"{path}[{number}]")
    elif value is not None:
        yield path, value


def _check_patient(patient: Any, source: Source) -> None:
    identifier = patient.get("identifier") if isinstance(patient, Mapping) else None
    if not isinstance(identifier, Mapping):
        raise WrongPatient("a resource does not name its patient by identifier")
    try:
        found = person_number.parse(str(identifier.get("system", "")), str(identifier.get("value", "")))
    except person_number.InvalidPersonNumber:
        raise WrongPatient("a resource carries no valid patient identifier") from None
    if found != source.patient:
        raise WrongPatient("a resource is about another person")


def _in_error(resource: Mapping[str, Any]) -> bool:
    status = resource.get("verificationStatus")
    codings = status.get("coding", []) if isinstance(status, Mapping) else []
    return any(each.get("code") == "entered-in-error" and each.get("system") == VERIFICATION for each in codings)


def _kept_meta(resource: Mapping[str, Any]) -> dict[str, Any]:
    meta = resource.get("meta")
    return {key: value for key, value in meta.items() if key != "source"} if isinstance(meta, Mapping) else {}


def _without_foreign_references(value: Any, path: str, account: Account) -> Any:
    """A copy without relative references: they only mean something at the source."""
    if isinstance(value, Mapping):
        copy = {}
        for key, each in value.items():
            here = f"{path}/{key}" if path else str(key)
            if (
                key == "reference"
                and isinstance(each, str)
                and not each.startswith(("#", "urn:"))
                and path != "patient"
            ):
                account.lost(here, _FOREIGN)
                continue
            copied = _without_foreign_references(each, here, account)
            if copied != {}:
                copy[key] = copied
        return copy
    if isinstance(value, list):
        copies = [_without_foreign_references(each, f"{path}[{n}]", account) for n, each in enumerate(value)]
        return [each for each in copies if each != {}]
    return value


def _book(account: Account, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """A leaf is mapped if its value stands anywhere at the same kind of place afterwards."""
    kept = {(general(path), value) for path, value in json_leaves(after)}
    account.context_where(_CONTEXT)
    for path, value in json_leaves(before):
        if (general(path), value) in kept:
            account.mapped(path)


def _agents(resource: Mapping[str, Any], provenances: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Author and custodian of the Provenance that targets the resource, as HSA-ids."""
    reference = f"AllergyIntolerance/{resource.get('id')}"
    unit = provider = None
    for provenance in provenances:
        targets = [str(each.get("reference", "")) for each in provenance.get("target", [])]
        if not any(each.partition("/_history/")[0].endswith(reference) for each in targets):
            continue
        for agent in provenance.get("agent", []):
            roles = {str(coding.get("code")) for coding in agent.get("type", {}).get("coding", [])}
            identifier = agent.get("who", {}).get("identifier", {})
            if systems.canonical_system(str(identifier.get("system", ""))) != systems.HSA_ID:
                continue
            unit = identifier.get("value") if "author" in roles else unit
            provider = identifier.get("value") if "custodian" in roles else provider
    return unit, provider
