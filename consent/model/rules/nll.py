# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""National Medication List Act (2018:1212): blocks in chapter 4, direct access in chapter 5, search terms in 3:9."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import OUTCOME, YES_NO, Rule, always, deny, permit, permit_with
from consent.model.terms import (
    ActorKind,
    Block,
    Consent,
    DataType,
    Element,
    Mandate,
    Operation,
    Purpose,
    Role,
    Scope,
    SearchTerm,
)

_MONTHS: Final = 24
_WITH_CONSENT: Final = frozenset({Role.nurse, Role.dietitian, Role.pharmacist})
_GIVEN: Final = frozenset({Consent.given, Consent.given_explicit})


def _op(f: Facts, operation: Operation) -> bool:
    return f.operation is operation


def _staff(f: Facts) -> bool:
    """Those of 5:3 first paragraph, reading for care."""
    return (
        f.actor.kind is ActorKind.care
        and f.actor.authorised
        and (f.actor.may_prescribe or f.actor.role in _WITH_CONSENT)
        and f.situation.purpose is Purpose.treatment
    )


def _emergency(f: Facts) -> bool:
    """Those of 5:5: prescribers, and nurses without that right."""
    return (
        _staff(f)
        and (f.actor.may_prescribe or f.actor.role is Role.nurse)
        and f.situation.consent is Consent.cannot
        and f.situation.assessed_essential
    )


def _dispensing(f: Facts) -> bool:
    return (
        f.actor.kind is ActorKind.pharmacy
        and f.actor.role is Role.dispenser
        and f.situation.purpose is Purpose.dispense
    )


def _reason(f: Facts) -> bool:
    return f.data.element is Element.reason


def _read(f: Facts) -> bool:
    return _op(f, Operation.read_content) and f.data.type is DataType.nll


def _given(f: Facts) -> bool:
    return f.situation.consent in _GIVEN


def _blocked(f: Facts) -> bool:
    return f.data.block not in (Block.none, Block.lifted_by_holder)


def _self(f: Facts) -> bool:
    return f.actor.kind is ActorKind.patient and f.subject.self


BLOCKS: Final[tuple[Rule, ...]] = (
    deny(
        "nll4.guardian", "GUARDIAN_MAY_NOT_BLOCK", "NLL 4 kap. 3 § andra stycket",
        lambda f: _op(f, Operation.set_block) and f.actor.kind is ActorKind.guardian,
        "En vårdnadshavare har inte rätt att spärra barnets uppgifter.",
        "A guardian has no right to block the child's data.",
        shows=OUTCOME,
    ),
    permit_with(
        "nll4.block", "NLL_4_3", "NLL 4 kap. 3 § första stycket",
        lambda f: _op(f, Operation.set_block) and f.scope is Scope.nll and _self(f),
        "Uppgifterna spärras på patientens begäran.", "The data are blocked at the patient's request.",
        shows=OUTCOME, actions=("block-immediately", "purge-caches"), ground="self",
    ),
    permit_with(
        "nll4.lift", "NLL_4_5", "NLL 4 kap. 5 §",
        lambda f: _op(f, Operation.lift_block) and (_self(f) or (f.actor.kind is ActorKind.care and _given(f))),
        "E-hälsomyndigheten häver spärren med patientens samtycke.",
        "The eHealth agency lifts the block with the patient's consent.",
        shows=OUTCOME, actions=("lift-by-holder", "write-audit"), ground="consent",
    ),
    deny(
        "nll4.lift-without-consent", "ONLY_WITH_CONSENT", "NLL 4 kap. 5 §",
        lambda f: _op(f, Operation.lift_block),
        "Spärren hävs bara om patienten samtycker.", "The block is lifted only if the patient consents.",
    ),
)  # fmt: skip

RULES: Final[tuple[Rule, ...]] = (
    deny(
        "nll3.search", "NLL_3_9_SEARCH", "NLL 3 kap. 9 § andra stycket",
        lambda f: _op(f, Operation.search) and f.search_term is SearchTerm.reason_for_prescription,
        "Ordinationsorsak får inte användas som sökbegrepp.", "The reason for prescription may not be a search term.",
    ),
    *BLOCKS,
    permit(
        "nll5.narcotics", "NLL_5_4", "NLL 5 kap. 4 §",
        lambda f: (
            _op(f, Operation.read_flag)
            and f.data.type is DataType.nll_narcotics_flag
            and f.actor.kind is ActorKind.care
            and f.actor.authorised
            and f.actor.may_prescribe
            and f.situation.purpose is Purpose.treatment
            and f.data.age_months <= _MONTHS
        ),
        "En förskrivare får se att narkotiska läkemedel förskrivits de senaste 24 månaderna.",
        "A prescriber may see that narcotic medicines were prescribed in the last 24 months.",
        shows=YES_NO, ground="lawful-basis",
    ),
    deny(
        "nll5.pharmacy-old", "NLL_24_MONTHS", "NLL 5 kap. 1 § tredje stycket",
        lambda f: _read(f) and _dispensing(f) and f.data.age_months > _MONTHS,
        "Apoteket når bara de senaste 24 månaderna.", "The pharmacy reaches only the last 24 months.",
    ),
    deny(
        "nll5.pharmacy-reason", "NO_CONSENT", "NLL 5 kap. 1 § andra stycket",
        lambda f: _read(f) and _dispensing(f) and _reason(f) and not _given(f),
        "Ordinationsorsak visas på apotek bara med samtycke.", "The reason is shown at a pharmacy only with consent.",
    ),
    deny(
        "nll4.pharmacy-reason-blocked", "BLOCKED_NLL", "NLL 4 kap. 3 § första stycket",
        lambda f: _read(f) and _dispensing(f) and _reason(f) and _blocked(f),
        "Ordinationsorsaken är spärrad.", "The reason is blocked.",
    ),
    permit(
        "nll5.pharmacy", "NLL_5_1", "NLL 5 kap. 1 § första och andra styckena",
        lambda f: _read(f) and _dispensing(f),
        "Expedierande personal når det som expedieringen kräver.", "Dispensing staff reach what dispensing needs.",
        ground="lawful-basis",
        interpretation="A block under 4:3 does not concern dispensing (3:3 first point), except the reason.",
    ),
    permit_with(
        "nll5.emergency", "NLL_5_5", "NLL 5 kap. 5 §",
        lambda f: _read(f) and _emergency(f),
        "Oundgänglig vård och samtycke kan inte lämnas: även spärrade uppgifter, i ett steg.",
        "Essential care and consent cannot be given: blocked data too, in one step.",
        actions=("log-emergency", "record-assessment"), ground="emergency",
    ),
    permit(
        "nll5.dose", "NLL_5_3_DOSE", "NLL 5 kap. 3 § tredje stycket, 4 kap. 3 § tredje stycket",
        lambda f: _read(f) and _staff(f) and f.subject.dose_dispensing,
        "För dosdispenserade läkemedel krävs inte samtycke.", "No consent is needed for dose-dispensed medicines.",
        ground="lawful-basis",
    ),
    deny(
        "nll5.obtainable", "CONSENT_OBTAINABLE", "NLL 5 kap. 5 §",
        lambda f: (
            _read(f) and _staff(f) and f.situation.assessed_essential and f.situation.consent is Consent.not_asked
        ),
        "Patienten kan lämna samtycke och ska tillfrågas.", "The patient can consent and must be asked.",
    ),
    deny(
        "nll5.blocked", "BLOCKED_NLL", "NLL 4 kap. 3 § första stycket, 5 kap. 3 § andra stycket",
        lambda f: _read(f) and _staff(f) and _given(f) and _blocked(f),
        "Uppgifterna är spärrade; att de finns får visas.", "The data are blocked; that they exist may be shown.",
        shows=YES_NO,
    ),
    permit(
        "nll5.consent", "NLL_5_3", "NLL 5 kap. 3 § första stycket",
        lambda f: _read(f) and _staff(f) and _given(f),
        "Patienten samtycker till åtkomsten.", "The patient consents to the access.",
        ground="consent",
    ),
    permit(
        "nll5.patient", "NLL_5_6_SELF", "NLL 5 kap. 6 § första meningen",
        lambda f: _read(f) and _self(f) and f.data.releasable and not f.data.secrecy.value.startswith("25"),
        "Patienten får läsa uppgifter om sig själv.", "The patient may read data on herself.",
        ground="self",
    ),
    permit(
        "nll5.proxy", "NLL_5_6", "NLL 5 kap. 6 § andra meningen",
        lambda f: (
            _read(f)
            and f.actor.kind is ActorKind.proxy
            and f.actor.mandate is Mandate.valid
            and f.actor.registered_in_nll
            and f.data.in_scope
        ),
        "Ombudets fullmakt är registrerad i läkemedelslistan.",
        "The proxy's mandate is registered in the medication list.",
        ground="proxy",
    ),
    deny(
        "nll5.no-consent", "NO_CONSENT", "NLL 5 kap. 3 § första stycket",
        lambda f: _read(f) and _staff(f),
        "Patientens samtycke saknas.", "The patient's consent is missing.",
    ),
    deny(
        "nll5.no-ground", "NO_GROUND", "NLL 5 kap.", always,
        "Lagen ger inte denna aktör direktåtkomst till läkemedelslistan.",
        "The act gives this actor no direct access to the list.",
    ),
)  # fmt: skip
