# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient Data Act (2008:355) chapter 4: access within one care provider, inner blocks."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import BLOCKING_CONSUMER, HOLDER, OUTCOME, YES_NO, Rule, always, deny, permit, permit_with
from consent.model.terms import ActorKind, Block, Capacity, Consent, DataType, Operation, Purpose

_CARE_PURPOSES: Final = frozenset({Purpose.treatment, Purpose.certificate})
_GIVEN: Final = frozenset({Consent.given, Consent.given_explicit})


def _lift(f: Facts) -> bool:
    return f.operation is Operation.lift_block


def _officer(f: Facts) -> bool:
    return f.actor.kind is ActorKind.care and f.own_provider and f.actor.may_lift_inner_block and f.actor.authorised


def _care(f: Facts) -> bool:
    return f.actor.participates_in_care and f.situation.purpose in _CARE_PURPOSES


def _other(f: Facts) -> bool:
    return f.actor.other_work_need and f.situation.purpose is Purpose.quality


def _self(f: Facts) -> bool:
    return f.actor.kind is ActorKind.patient and f.subject.self


BLOCKS: Final[tuple[Rule, ...]] = (
    deny(
        "pdl4.guardian", "GUARDIAN_MAY_NOT_BLOCK", "PDL 4 kap. 4 § andra stycket",
        lambda f: f.operation is Operation.set_block and f.actor.kind is ActorKind.guardian,
        "En vårdnadshavare har inte rätt att spärra barnets uppgifter.",
        "A guardian has no right to block the child's data.",
        shows=OUTCOME,
    ),
    deny(
        "pdl4.other-provider", "OTHER_PROVIDER", BLOCKING_CONSUMER,
        lambda f: f.actor.kind is ActorKind.admin and not f.own_provider,
        "Spärrar hanteras bara för den egna vårdgivaren.", "Blocks are managed for the own provider only.",
    ),
    permit_with(
        "pdl4.block", "PDL_4_4_BLOCK", "PDL 4 kap. 4 § första stycket",
        lambda f: (
            f.operation is Operation.set_block
            and ((_self(f) and f.subject.capacity is Capacity.full) or f.actor.kind is ActorKind.admin)
        ),
        "Uppgifterna spärras genast mot andra vårdenheter hos vårdgivaren.",
        "The data are blocked at once towards other units of the provider.",
        shows=OUTCOME, actions=("block-immediately", "purge-caches", "write-audit"), ground="self",
    ),
    permit_with(
        "pdl4.lift-by-patient", "PDL_4_5_PATIENT", "PDL 4 kap. 5 § första stycket 1",
        lambda f: _lift(f) and _self(f),
        "Patienten vill att spärren hävs; vårdgivaren häver den.",
        "The patient wants the block lifted; the provider lifts it.",
        shows=OUTCOME, actions=("lift-by-holder", "write-audit"), ground="self",
        interpretation="4:5 lets an officer lift with the patient's consent; the request itself is that consent.",
    ),
    permit_with(
        "pdl4.lift-with-consent", "PDL_4_5_CONSENT", "PDL 4 kap. 5 § första stycket 1",
        lambda f: _lift(f) and _officer(f) and f.situation.consent in _GIVEN,
        "En behörig befattningshavare häver spärren med patientens samtycke.",
        "An authorised officer lifts the block with the patient's consent.",
        shows=OUTCOME, actions=("temporary-revoke", "write-audit"), ground="consent",
        interpretation="4:5 says that the block is lifted; a lift with an end is the form of the national service.",
    ),
    permit_with(
        "pdl4.lift-emergency", "PDL_4_5_EMERGENCY", "PDL 4 kap. 5 § första stycket 2 och andra stycket",
        lambda f: _lift(f) and _officer(f) and f.situation.consent is Consent.cannot and f.situation.assessed_essential,
        "Samtycke kan inte inhämtas och vården är oundgänglig: först visas enheterna, sedan det som har betydelse.",
        "Consent cannot be had and the care is essential: first the units are shown, then what matters.",
        shows=OUTCOME, actions=("show-blocking-units-first", "limit-to-relevant", "temporary-revoke", "write-audit"),
        ground="emergency",
        interpretation="4:5 says that the block is lifted; a lift with an end is the form of the national service.",
    ),
    deny(
        "pdl4.not-officer", "NOT_AUTHORISED_OFFICER", "PDL 4 kap. 5 § första stycket",
        lambda f: _lift(f) and f.actor.kind is ActorKind.care and f.own_provider and not _officer(f),
        "Bara en behörig befattningshavare hos vårdgivaren får häva spärren.",
        "Only an authorised officer of the provider may lift the block.",
        shows=YES_NO,
        interpretation="4:4 third paragraph allows, but does not require, that the existence is shown.",
    ),
    deny(
        "pdl4.lift-no-ground", "NO_CONSENT", "PDL 4 kap. 5 § första stycket",
        lambda f: _lift(f) and _officer(f),
        "Patientens samtycke saknas och kan inhämtas, eller vården är inte bedömd som oundgänglig.",
        "Consent is missing and could be had, or the care is not judged essential.",
        shows=YES_NO,
        interpretation="4:4 third paragraph allows, but does not require, that the existence is shown.",
    ),
    deny(
        "pdl4.not-the-patient", "ONLY_THE_PATIENT_BLOCKS", "PDL 4 kap. 4-5 §§", always,
        "Bara patienten kan begära eller häva en spärr.", "Only the patient can ask for or remove a block.",
    ),
)  # fmt: skip
"""Setting and lifting an inner block."""

RULES: Final[tuple[Rule, ...]] = (
    deny(
        "pdl4.not-staff", "NO_WORK_NEED", "PDL 4 kap. 1 §",
        lambda f: f.actor.kind is not ActorKind.care,
        "Bara den som arbetar hos vårdgivaren har inre åtkomst.", "Only staff of the provider have internal access.",
    ),
    deny(
        "pdl4.not-authorised", "NOT_AUTHORISED", "PDL 4 kap. 2 § första stycket",
        lambda f: not f.actor.authorised,
        "Behörighet för åtkomsten har inte tilldelats.", "No authority has been assigned for the access.",
    ),
    deny(
        "pdl4.no-work-need", "NO_WORK_NEED", "PDL 4 kap. 1 §",
        lambda f: not _care(f) and not _other(f),
        "Den som varken deltar i vården eller behöver uppgifterna i arbetet får inte ta del av dem.",
        "Whoever neither takes part in the care nor needs the data for the work may not see them.",
    ),
    deny(
        "pdl4.insurance", "PDL_4_2_INSURANCE", "PDL 4 kap. 2 § andra stycket",
        lambda f: f.data.type is DataType.insurance_medical_investigation and not f.own_unit,
        "Försäkringsmedicinska utredningar är stängda för andra vårdenheter.",
        "Insurance medical investigations are closed to other units.",
    ),
    deny(
        "pdl4.inner-block", "INNER_BLOCK", "PDL 4 kap. 4 § första och tredje styckena",
        lambda f: f.data.block is Block.inner and not f.own_unit,
        "Uppgifterna är spärrade mot andra vårdenheter; att de finns får visas.",
        "The data are blocked towards other units; that they exist may be shown.",
        shows=YES_NO,
        interpretation="4:4 third paragraph allows, but does not require, that the existence is shown.",
    ),
    deny(
        "pdl4.other-restriction", "BLOCKED", "PDL 4 kap. 4 §",
        lambda f: f.restricted,
        "En begränsning gäller uppgifterna.", "A restriction applies to the data.",
    ),
    deny(
        "pdl4.active-choice", "ACTIVE_CHOICE_REQUIRED", "HSLF-FS 2016:40 4 kap. 4 §",
        lambda f: not f.own_unit and not f.situation.active_choice,
        "Uppgifter hos en annan vårdenhet nås efter ett aktivt val.",
        "Data of another unit are reached after an active choice.",
        shows=YES_NO, verified=False,
        interpretation="Section text and number were not read; the active choice is known from practice.",
    ),
    permit(
        "pdl4.own-unit", "OWN_UNIT", "PDL 4 kap. 1 § och 4 § första stycket",
        lambda f: f.operation is Operation.read_content and f.data.block is Block.inner and _care(f),
        "Spärren riktar sig mot andra enheter, inte den egna.", "The block is against other units, not the own one.",
        actions=("write-audit",), ground="own-record",
    ),
    permit(
        "pdl4.care", "PDL_4_1", "PDL 4 kap. 1 § och 3 § första stycket",
        lambda f: f.operation is Operation.read_content and _care(f),
        "Den som deltar i vården av patienten får ta del av vårdgivarens egna uppgifter.",
        "Whoever takes part in the patient's care may see the provider's own data.",
        actions=("write-audit",), ground="own-record",
    ),
    permit(
        "pdl4.other-work", "PDL_4_1_OTHER", "PDL 4 kap. 1 §, 2 kap. 4 § första stycket 4",
        lambda f: f.operation is Operation.read_content and _other(f),
        "Uppgifterna behövs för annat arbete i vården, till exempel kvalitetssäkring.",
        "The data are needed for other work in health care, such as quality assurance.",
        actions=("write-audit",), ground="own-record",
    ),
    permit(
        "pdl4.holders", "PDL_4_1", "PDL 4 kap. 1 §",
        lambda f: f.operation is Operation.list_open_holders and _care(f),
        "Vårdgivaren får se vilka egna enheter som har uppgifter.",
        "A provider may see which of its own units hold data.",
        shows=HOLDER, actions=("write-audit",), ground="own-record",
    ),
    deny(
        "pdl4.no-ground", "NO_GROUND", "PDL 4 kap. 1 §", always,
        "Kapitlet ger inte stöd för åtgärden.", "The chapter does not support the operation.",
    ),
)  # fmt: skip
"""Access to the provider's own data."""
