# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient Data Act (2008:355) chapter 7: quality registers."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import OUTCOME, Rule, always, deny, permit, permit_with
from consent.model.terms import ActorKind, Capacity, Operation, Purpose

_PURPOSES: Final = frozenset({Purpose.quality, Purpose.research, Purpose.research_count})


def _transfer(f: Facts) -> bool:
    return f.operation is Operation.transfer_to_register


def _incapable(f: Facts) -> bool:
    return f.subject.capacity is Capacity.permanently_lacking


RULES: Final[tuple[Rule, ...]] = (
    deny(
        "pdl7.not-a-system", "NOT_THE_HOLDER", "PDL 7 kap. 1 och 4 §§",
        lambda f: _transfer(f) and f.actor.kind is not ActorKind.system,
        "Överföring till register görs av vårdgivarens system.",
        "Transfers to a register are made by a holder's system.",
    ),
    deny(
        "pdl7.opt-out", "REGISTER_OPT_OUT", "PDL 7 kap. 2 § första stycket",
        lambda f: _transfer(f) and f.subject.register_opt_out,
        "Den enskilde motsätter sig registret; inget överförs.",
        "The person opposes the register; nothing is transferred.",
    ),
    deny(
        "pdl7.number-not-needed", "PDL_7_8_PNR", "PDL 7 kap. 8 § andra stycket",
        lambda f: _transfer(f) and f.data.includes_personnummer and f.data.code_suffices,
        "Personnummer eller namn får inte föras över när kodade uppgifter räcker.",
        "Personal number or name must not be transferred where coded data suffice.",
    ),
    deny(
        "pdl7.not-needed", "NO_NEED", "PDL 7 kap. 8 § första stycket",
        lambda f: _transfer(f) and not f.situation.need,
        "Uppgifterna behövs inte för registrets ändamål.", "The data are not needed for the register's purpose.",
    ),
    permit(
        "pdl7.incapable", "PDL_7_2A", "PDL 7 kap. 2 a § första stycket",
        lambda f: (
            _transfer(f) and _incapable(f) and f.situation.attitude_clarified and not f.situation.would_oppose
        ),
        "Inställningen är klarlagd och inget tyder på motstånd.",
        "The attitude is clarified and nothing suggests opposition.",
        ground="lawful-basis",
        interpretation="7:2 a does not say how an incapable person is informed under 7:3; it is tested alone.",
    ),
    deny(
        "pdl7.incapable-unclear", "ATTITUDE_NOT_CLARIFIED", "PDL 7 kap. 2 a § första stycket",
        lambda f: _transfer(f) and _incapable(f),
        "Inställningen är inte klarlagd eller motstånd kan antas.",
        "The attitude is not clarified or opposition is likely.",
    ),
    deny(
        "pdl7.not-informed", "NOT_INFORMED", "PDL 7 kap. 3 § första stycket",
        lambda f: _transfer(f) and not f.subject.informed_7_3 and f.subject.information_possible,
        "Den enskilde har inte informerats trots att det var möjligt.",
        "The person was not informed although it was possible.",
    ),
    permit_with(
        "pdl7.inform-later", "PDL_7_3_LATER", "PDL 7 kap. 3 § andra stycket",
        lambda f: _transfer(f) and not f.subject.informed_7_3,
        "Information kunde inte lämnas före; den lämnas så snart som möjligt.",
        "Information could not be given before; it is given as soon as possible.",
        actions=("inform-as-soon-as-possible",), ground="lawful-basis",
    ),
    permit(
        "pdl7.block-is-not-opt-out", "BLOCK_IS_NOT_OPT_OUT", "PDL 4 kap. 4 § och 7 kap. 2 §",
        lambda f: _transfer(f) and f.restricted,
        "En spärr hindrar inte registret; motstånd mot register är en egen rättighet.",
        "A block does not stop the register; opposing a register is a right of its own.",
        ground="lawful-basis",
        interpretation="The sections are read together: the block of 4:4 is against access for care by other units.",
    ),
    permit(
        "pdl7.transfer", "PDL_7_2", "PDL 7 kap. 2-4 och 8 §§", _transfer,
        "Den enskilde är informerad och har inte motsatt sig; samtycke krävs inte.",
        "The person is informed and has not opposed; no consent is needed.",
        ground="lawful-basis",
    ),
    permit_with(
        "pdl7.erase", "PDL_7_2_ERASE", "PDL 7 kap. 2 § andra stycket",
        lambda f: f.operation is Operation.register_opt_out and f.actor.kind is ActorKind.patient and f.subject.self,
        "Uppgifterna utplånas ur registret så snart som möjligt och inget mer överförs.",
        "The data are erased from the register as soon as possible and nothing further is transferred.",
        shows=OUTCOME, actions=("erase-from-register", "stop-transfer", "write-audit"), ground="self",
    ),
    permit(
        "pdl7.own-reported", "PDL_7_9", "PDL 7 kap. 9 §",
        lambda f: (
            f.operation is Operation.read_content
            and f.actor.kind is ActorKind.care
            and f.data.reported_by is not None
            and f.data.reported_by == f.actor.care_provider
            and f.actor.authorised
        ),
        "Vårdgivaren får läsa uppgifter som den själv har lämnat.", "A provider may read the data it reported itself.",
        ground="lawful-basis",
    ),
    deny(
        "pdl7.purpose", "PDL_7_6_PURPOSE", "PDL 7 kap. 6 §",
        lambda f: f.situation.purpose not in _PURPOSES,
        "Ändamålet är inte ett av registrets.", "The purpose is not one of the register's.",
    ),
    deny(
        "pdl7.not-own-reported", "NOT_OWN_REPORTED", "PDL 7 kap. 9 §", always,
        "Direktåtkomst gäller bara egna inrapporterade uppgifter.", "Direct access covers only own reported data.",
    ),
)  # fmt: skip
