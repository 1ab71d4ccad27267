# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Act on shared health and social care records (2022:913) chapter 2: making available, opposing, what may be told."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import BLOCKING_CONSUMER, OUTCOME, YES_NO, Rule, always, deny, permit, permit_with
from consent.model.terms import ActorKind, Block, Capacity, HolderKind, Operation, Purpose

_PURPOSES: Final = frozenset({Purpose.treatment, Purpose.certificate, Purpose.social_care})


def _person(f: Facts) -> bool:
    return f.actor.kind in (ActorKind.patient, ActorKind.care_recipient) and f.subject.self


def _incapable(f: Facts) -> bool:
    return f.subject.capacity is Capacity.permanently_lacking


def _lift(f: Facts) -> bool:
    return f.operation is Operation.lift_block


def _set(f: Facts) -> bool:
    return f.operation is Operation.set_block


def _open(f: Facts) -> bool:
    return f.data.made_available and not f.restricted


MAKE_AVAILABLE: Final[tuple[Rule, ...]] = (
    deny(
        "svod2.not-the-holder", "NOT_THE_HOLDER", "SVOD 2 kap. 4 § första stycket",
        lambda f: f.actor.kind is not ActorKind.system or not f.own_provider,
        "Bara den som har uppgifterna gör dem tillgängliga.", "Only the holder makes its data available.",
    ),
    deny(
        "svod2.opposed", "OUTER_BLOCK", "SVOD 2 kap. 3 § första stycket",
        lambda f: f.data.block.value in ("outer", "restricted", "opt-out"),
        "Uppgifterna är spärrade och görs inte tillgängliga.", "The data are blocked and not made available.",
    ),
    permit_with(
        "svod2.incapable", "SVOD_2_6", "SVOD 2 kap. 6 §",
        lambda f: _incapable(f) and f.situation.attitude_clarified and not f.situation.would_oppose,
        "Inställningen är klarlagd och inget tyder på motstånd.",
        "The attitude is clarified and nothing suggests opposition.",
        shows=OUTCOME, actions=("record-assessment", "mark-basis-2-6"), ground="lawful-basis",
        interpretation="2:6 does not say whether the information of 2:2 must have been given; it is tested alone.",
    ),
    deny(
        "svod2.incapable-unclear", "ATTITUDE_NOT_CLARIFIED", "SVOD 2 kap. 6 §", _incapable,
        "Inställningen är inte klarlagd eller motstånd kan antas.",
        "The attitude is not clarified or opposition is likely.",
    ),
    deny(
        "svod2.not-informed", "NOT_INFORMED", "SVOD 2 kap. 2 §",
        lambda f: not f.subject.informed_2_2,
        "Den enskilde ska informeras innan uppgifterna görs tillgängliga.",
        "The person must be informed before the data are made available.",
    ),
    permit(
        "svod2.available", "SVOD_2_4", "SVOD 2 kap. 2 § och 4 § första stycket", always,
        "Ospärrade uppgifter görs tillgängliga för anslutna.", "Unblocked data are made available to those connected.",
        shows=OUTCOME, ground="lawful-basis",
    ),
)  # fmt: skip

BLOCKS: Final[tuple[Rule, ...]] = (
    deny(
        "svod2.guardian", "GUARDIAN_MAY_NOT_BLOCK", "SVOD 2 kap. 3 § andra stycket",
        lambda f: _set(f) and f.actor.kind is ActorKind.guardian,
        "En vårdnadshavare får inte motsätta sig att barnets uppgifter görs tillgängliga.",
        "A guardian may not oppose that the child's data are made available.",
        shows=OUTCOME,
    ),
    deny(
        "svod2.other-provider", "OTHER_PROVIDER", BLOCKING_CONSUMER,
        lambda f: f.actor.kind is ActorKind.admin and not f.own_provider,
        "Spärrar hanteras bara för den egna vårdgivaren.", "Blocks are managed for the own provider only.",
    ),
    permit_with(
        "svod2.block", "SVOD_2_3_BLOCK", "SVOD 2 kap. 3 § första stycket",
        lambda f: _set(f) and ((_person(f) and f.subject.capacity is Capacity.full) or f.actor.kind is ActorKind.admin),
        "Uppgifterna spärras genast mot andra vårdgivare och omsorgsgivare.",
        "The data are blocked at once towards other providers.",
        shows=OUTCOME,
        actions=("block-immediately", "purge-caches", "inform-patient-of-2-2", "write-audit"),
        ground="self",
        interpretation="2:2 asks for information before data are made available; informing again is our duty.",
    ),
    permit_with(
        "svod2.lift", "SVOD_2_3_LIFT", "SVOD 2 kap. 3 § tredje stycket",
        lambda f: _lift(f) and (_person(f) or f.actor.kind is ActorKind.admin),
        "Den enskilde kan när som helst begära att spärren hävs av den som spärrat.",
        "The person may at any time ask the holder to lift the block.",
        shows=OUTCOME, actions=("lift-by-holder", "write-audit"), ground="self",
    ),
    deny(
        "svod2.only-holder-lifts", "ONLY_HOLDER_LIFTS", "SVOD 2 kap. 3 § tredje stycket, 3 kap. 5 § andra stycket",
        lambda f: _lift(f) and f.actor.kind is ActorKind.care and f.data.holder_kind is HolderKind.care,
        "Bara den som har spärrat häver, på den enskildes begäran.",
        "Only the provider that blocked lifts, at the person's request.",
        shows=YES_NO,
    ),
    deny(
        "svod2.not-the-person", "ONLY_THE_PATIENT_BLOCKS", "SVOD 2 kap. 3 §", always,
        "Bara den enskilde kan motsätta sig eller ångra sig.", "Only the person can oppose or change her mind.",
    ),
)  # fmt: skip
"""Setting and lifting an outer block."""

EXISTENCE: Final[tuple[Rule, ...]] = (
    deny(
        "svod2.not-staff", "NO_LEGAL_BASIS", "SVOD 2 kap. 1 och 4 §§",
        lambda f: f.actor.kind not in (ActorKind.care, ActorKind.social) and not _person(f),
        "Uppgiften görs tillgänglig för vårdgivare och omsorgsgivare.",
        "It is made available to care and social care providers.",
    ),
    deny(
        "svod2.not-authorised", "NOT_AUTHORISED", "PDL 4 kap. 2 §; SVOD 4 kap. 3 §",
        lambda f: not f.actor.authorised,
        "Behörighet för åtkomsten har inte tilldelats.", "No authority has been assigned for the access.",
    ),
    deny(
        "svod2.purpose", "PURPOSE_NOT_COVERED", "SVOD 2 kap. 1 § andra stycket",
        lambda f: f.situation.purpose not in _PURPOSES and not _person(f),
        "Ändamålet är varken vård, intyg eller omsorg.", "The purpose is neither care, a certificate nor social care.",
    ),
    permit(
        "svod2.open-exist", "SVOD_2_4_YES_NO", "SVOD 2 kap. 4 § andra stycket",
        lambda f: f.operation is Operation.check_open_exists and _open(f),
        "Att ospärrade uppgifter finns får visas, utan vem som har dem och utan innehåll.",
        "That unblocked data exist may be shown, without holder and without content.",
        shows=YES_NO, answer={"openDataExists": True}, ground="lawful-basis",
    ),
    permit(
        "svod2.none-open", "SVOD_2_4_YES_NO", "SVOD 2 kap. 4 § andra stycket",
        lambda f: f.operation is Operation.check_open_exists,
        "Det finns inga ospärrade uppgifter.", "There are no unblocked data.",
        shows=YES_NO, answer={"openDataExists": False}, ground="lawful-basis",
    ),
    deny(
        "svod2.blocked-not-for-social", "NO_EMERGENCY_FOR_SOCIAL_CARE", "SVOD 2 kap. 5 §",
        lambda f: f.actor.kind is ActorKind.social,
        "Uppgift om spärr är för vårdgivare, inte för omsorgsgivare.",
        "Information on blocks is for care providers only.",
    ),
    deny(
        "svod2.social-block-hidden", "NOT_DISCLOSED", "SVOD 2 kap. 5 §",
        lambda f: f.data.holder_kind is HolderKind.social and not _person(f),
        "Bara spärrade uppgifter hos vårdgivare visas.", "Only blocked data of care providers are shown.",
        answer={"blockedDataExists": False},
        interpretation="2:5 speaks of data on a patient blocked by a vårdgivare.",
    ),
    permit(
        "svod2.blocked-exist", "SVOD_2_5_EXISTENCE", "SVOD 2 kap. 5 § första meningen",
        lambda f: f.restricted and (f.data.block is Block.outer or f.own_provider),
        "Att spärrade uppgifter finns visas för andra vårdgivare.",
        "That blocked data exist is shown to other care providers.",
        shows=YES_NO, answer={"blockedDataExists": True}, ground="lawful-basis",
        interpretation="An inner block is told within its own provider only (PDL 4:4 third paragraph).",
    ),
    permit(
        "svod2.none-blocked", "SVOD_2_5_EXISTENCE", "SVOD 2 kap. 5 § första meningen", always,
        "Det finns inga spärrade uppgifter.", "There are no blocked data.",
        shows=YES_NO, answer={"blockedDataExists": False}, ground="lawful-basis",
    ),
)  # fmt: skip
"""Yes or no: do unblocked, do blocked data exist."""
