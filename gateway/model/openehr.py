# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""openEHR compositions, canonical JSON or XML → AllergyIntolerance, by the table in `openehr_rules`.

Adverse reactions are found anywhere in the composition, whatever template they stand in. An entry whose subject is
not the patient (a relative, a fetus) is left out and named.
"""

from collections.abc import Iterator
import re
from typing import Any, Final

from gateway.model import openehr_values as values
from gateway.model.account import Account
from gateway.model.concepts import enriched
from gateway.model.openehr_rules import CONTEXT, RESOLVED, Archetype, Convert, Rule, general_code, rules_of
from gateway.model.record import (
    CLINICAL,
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
from gateway.model.times import is_instant
from gateway.model.translations import Translations
from gateway.model.tree import Node, Reader, leaves, located
from identifiers.hsa_id import HsaId, InvalidHsaId, parse_hsa_id

NAMESPACE: Final = "http://schemas.openehr.org/v1"
_ENTRIES: Final = frozenset({"EVALUATION", "OBSERVATION", "INSTRUCTION", "ACTION", "ADMIN_ENTRY", "GENERIC_ENTRY"})
_OTHER_ENTRY: Final = "is another kind of entry than was asked for"
_COMPOSITION_CONTEXT: Final = re.compile(r"context/(setting|end_time)/.*|uid/.*")


def composition(root: Node, source: Source, translations: Translations) -> Record:
    """One composition as FHIR: an AllergyIntolerance for each adverse reaction in it.

    Raises `WrongPatient` if it names another person as its subject, `Unmappable` without uid.
    """
    account = Account(leaves(root))
    reader = Reader(root, account)
    uid = reader.peek("uid", "value")
    if not uid:
        raise Unmappable("a composition has no uid")
    object_id = uid.partition("::")[0]
    started = reader.one("context", "start_time")
    recorded = values.time(started) if started else None
    recorder = _party(reader.one("composer"))
    facility = reader.one("context", "health_care_facility")
    unit = _facility(facility)
    resources = []
    for number, entry in enumerate(entries(reader)):
        archetype = rules_of(entry.peek("archetype_node_id") or "")
        if archetype is None:
            _leave_out(entry, _OTHER_ENTRY)
            continue
        if not _is_about(entry, source):
            _leave_out(entry, "is about another person than the patient")
            continue
        source_id = f"{object_id}/{entry.peek('uid', 'value') or number}"
        entry.context("uid", "value")
        resource = _allergy(entry, archetype, head(source, "AllergyIntolerance", source_id), source, translations)
        resource["recordedDate"], resource["recorder"] = recorded, recorder
        resources.append(pruned(resource))
    account.context_where(CONTEXT)
    account.context_where(_COMPOSITION_CONTEXT)
    return Record(source_id=object_id, resources=tuple(resources), losses=account.close(), unit=unit, authored=recorded)


def entries(reader: Reader) -> Iterator[Reader]:
    """Every entry below, through sections of any depth, in order."""
    for path, child in located(reader.node, reader.path):
        below = Reader(child, reader.account, path)
        if child.name in ("content", "items") and child.value("_type") in _ENTRIES:
            yield below
        elif child.name in ("content", "items"):
            yield from entries(below)


def _leave_out(entry: Reader, reason: str) -> None:
    """Books everything in the entry as one loss: its archetype says what it is."""
    archetype = entry.peek("archetype_node_id") or "an entry"
    for path in leaves(entry.node, entry.path):
        if CONTEXT.fullmatch(path):
            entry.account.context(path)
        else:
            entry.account.lost(path, reason, told=archetype)


def _is_about(entry: Reader, source: Source) -> bool:
    """Whether the entry's subject is the patient. Raises `WrongPatient` if a self names somebody else."""
    if entry.peek("subject", "_type") not in (None, "PARTY_SELF"):
        return False
    named = entry.peek("subject", "external_ref", "id", "value")
    if named is not None and len(re.sub(r"\D", "", named)) == 12 and re.sub(r"\D", "", named) != source.patient.value:
        raise WrongPatient("an entry names another person as its subject")
    return True


def _facility(facility: Reader | None) -> HsaId | None:
    """The care unit, where the facility is named by HSA-id."""
    if facility is None:
        return None
    for names in (("external_ref", "id", "value"), ("identifiers", "id")):
        try:
            unit = parse_hsa_id(facility.peek(*names) or "")
        except InvalidHsaId:
            continue
        facility.take(*names)
        for each in ("_type", "namespace", "type"):
            facility.context("external_ref", each)
        facility.context("external_ref", "id", "scheme")
        return unit
    return None


def _party(party: Reader | None) -> dict[str, Any] | None:
    if party is None:
        return None
    identifier = None
    try:
        identifier = hsa(parse_hsa_id(party.peek("external_ref", "id", "value") or ""))
        party.take("external_ref", "id", "value")
        for each in ("namespace", "type"):
            party.context("external_ref", each)
        party.context("external_ref", "id", "scheme")
    except InvalidHsaId:
        pass
    return pruned({"identifier": identifier, "display": party.take("name")}) or None


def _allergy(
    entry: Reader, archetype: Archetype, base: dict[str, Any], source: Source, translations: Translations
) -> dict[str, Any]:
    resource: dict[str, Any] = {**base, "patient": subject(source), "reaction": []}
    rules = {each.path: each for each in archetype.rules}
    for path, node in _walk(entry, "", archetype.reactions):
        reaction_rules = archetype.reactions.get(path)
        if reaction_rules is not None:
            resource["reaction"].append(_reaction(node, reaction_rules))
        elif path in rules:
            _apply(rules[path], node, resource)
    _complete(resource)
    resource["code"] = enriched(resource["code"], translations) if "code" in resource else absent()
    return resource


def _reaction(cluster: Reader, rules: tuple[Rule, ...]) -> dict[str, Any]:
    reaction: dict[str, Any] = {}
    by_path = {each.path: each for each in rules}
    for path, node in _walk(cluster, "", {}):
        if path in by_path:
            _apply(by_path[path], node, reaction)
    # R4 asks for a manifestation in every reaction; a source may tell of one without saying how it showed.
    reaction.setdefault("manifestation", [absent()])
    return reaction


def _walk(reader: Reader, path: str, stops: dict[str, tuple[Rule, ...]]) -> Iterator[tuple[str, Reader]]:
    """ELEMENTs below with their archetype paths, and CLUSTERs at which the walk stops."""
    for place, child in located(reader.node, reader.path):
        if child.name not in ("data", "protocol", "items"):
            continue
        node = Reader(child, reader.account, place)
        step = f"{child.name}[{general_code(child.value('archetype_node_id') or '')}]"
        here = f"{path}/{step}" if path else step
        if child.value("_type") == "ELEMENT" or here in stops:
            yield here, node
        else:
            yield from _walk(node, here, stops)


def _apply(rule: Rule, element: Reader, resource: dict[str, Any]) -> None:
    """Converts an ELEMENT's value into its place; a second value for a single place stays open and is a loss."""
    value = element.one("value")
    if value is None:
        return
    match rule.convert:
        case Convert.concepts | Convert.note | Convert.codes:
            converted: Any
            if rule.convert is Convert.concepts:
                converted = values.concept(value)
            elif rule.convert is Convert.codes:
                converted = values.coded(value, rule)
            else:
                written = values.text(value)
                converted = {"text": written} if written else None
            if converted:
                resource.setdefault(rule.element, []).append(converted)
        case Convert.onset:
            if not any(name.startswith("onset") for name in resource):
                resource.update(values.onset(value))
        case Convert.updated:
            moment = values.time(value)
            if moment and is_instant(moment):
                resource["meta"] = {**resource["meta"], "lastUpdated": moment}
            elif moment:
                value.lost("is not exact enough for meta.lastUpdated", "value")
        case _ if rule.element not in resource:
            converted = _single(rule, value, resource)
            if converted:
                resource[rule.element] = converted


def _single(rule: Rule, value: Reader, resource: dict[str, Any]) -> Any:
    match rule.convert:
        case Convert.concept:
            return values.concept(value)
        case Convert.text:
            return values.text(value)
        case Convert.time:
            return values.time(value)
        case Convert.code:
            return values.coded(value, rule)
        case Convert.clinical:
            found = values.coded(value, rule)
            return code(CLINICAL, found, value.peek("value")) if found else None
        case _:
            found = values.coded(value, rule)
            said = (value.peek("defining_code", "code_string"), (value.peek("value") or "").lower())
            if RESOLVED.intersection(each for each in said if each):
                resource["clinicalStatus"] = code(CLINICAL, "resolved", value.peek("value"))
            return code(VERIFICATION, found, value.peek("value")) if found else None


def _complete(resource: dict[str, Any]) -> None:
    """clinicalStatus must be there (ait-1): a refuted reaction is not active, any other is unless it says otherwise."""
    refuted = [{"system": VERIFICATION, "code": "refuted"}]
    default = "inactive" if resource.get("verificationStatus", {}).get("coding") == refuted else "active"
    resource.setdefault("clinicalStatus", code(CLINICAL, default))
