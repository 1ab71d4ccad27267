# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Regulation (EU) 2025/327 (EHDS) Articles 3-4, 8-11: where the deployment or channel is in EHDS mode.

Deliberately without a last rule: what the regulation leaves open is decided by national law, which here never sees a
restricted item.
"""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import HOLDER, NOTHING, OUTCOME, Rule, deny, permit, permit_with
from consent.model.terms import (
    ActorKind,
    Block,
    Channel,
    Consent,
    Mandate,
    Operation,
    Purpose,
    Relation,
    Scope,
    VitalInterests,
)

_SAME: Final = {"sameAsNoData": True}
_ABOUT_BLOCKS: Final = frozenset(
    {Operation.check_blocked_exists, Operation.list_blocked_holders, Operation.request_lift}
)
_READING: Final = frozenset({Operation.read_content, Operation.list_open_holders})
_HIDDEN_SV: Final = "Det finns inga uppgifter som får visas."
_HIDDEN_EN: Final = "There are no data that may be shown."
_NOTIFY: Final = ("log-emergency", "notify-patient")
_GIVEN: Final = frozenset({Consent.given, Consent.given_explicit, Consent.not_applicable})


def _staff(f: Facts) -> bool:
    return f.actor.kind in (ActorKind.care, ActorKind.social)


def _read(f: Facts) -> bool:
    return f.operation is Operation.read_content


def _self(f: Facts, *kinds: Operation) -> bool:
    return f.actor.kind is ActorKind.patient and f.subject.self and f.operation in kinds


def _service(f: Facts) -> bool:
    return f.situation.channel is Channel.access_service


def _proxy(f: Facts) -> bool:
    return f.actor.kind is ActorKind.proxy and _service(f) and _read(f)


def _delayed(f: Facts) -> bool:
    until, at = f.data.release_delayed_until, f.situation.at
    return f.situation.national_rule_allows_delay and until is not None and (at is None or at < until)


def _cross_border(f: Facts) -> bool:
    s = f.situation
    return (
        s.cross_border
        and f.actor.kind is ActorKind.care
        and f.actor.authorised
        and f.data.made_available
        and s.relation is Relation.current
        and s.need
        and s.purpose is Purpose.treatment
        and s.consent in _GIVEN
    )


RULES: Final[tuple[Rule, ...]] = (
    deny(
        "ehds11.treatment-state", "EHDS_11_4", "EHDS artikel 11(4)",
        lambda f: _staff(f) and f.situation.cross_border and not f.situation.treatment_state_allows,
        "Behandlingslandets regler ger inte denna yrkesgrupp kategorin.",
        "The rules of the State of treatment do not give this category to the professional.",
    ),
    deny(
        "ehds8.silent", "NOT_DISCLOSED", "EHDS artikel 8 tredje stycket",
        lambda f: _staff(f) and f.operation in _ABOUT_BLOCKS,
        _HIDDEN_SV, _HIDDEN_EN,
        shows=NOTHING, answer={"blockedDataExists": False, **_SAME},
        interpretation="Whether a Swedish block is a restriction under Article 8 depends on national law not yet made.",
    ),
    permit_with(
        "ehds10.vital-interests", "EHDS_10_2", "EHDS artikel 10(2)",
        lambda f: (
            _staff(f)
            and _read(f)
            and f.data.block is Block.opt_out
            and f.situation.vital_interests is not VitalInterests.none
            and f.situation.national_rule_allows_override
        ),
        "Nationell regel tillåter åtkomst till skydd för vitala intressen.",
        "A national rule allows access to protect vital interests.",
        actions=_NOTIFY, ground="emergency",
    ),
    deny(
        "ehds10.opt-out", "EHDS_10_OPT_OUT", "EHDS artikel 10(1)",
        lambda f: _staff(f) and f.data.block is Block.opt_out and f.operation in _READING,
        _HIDDEN_SV, _HIDDEN_EN,
        answer=_SAME,
        interpretation="Article 10 does not say that the opt-out is hidden; silence is inferred from Article 8.",
    ),
    permit_with(
        "ehds11.vital-interests", "EHDS_11_5", "EHDS artikel 11(5)",
        lambda f: (
            _staff(f)
            and _read(f)
            and f.data.block is Block.restricted
            and f.situation.vital_interests is VitalInterests.data_subject
        ),
        "Åtkomsten är nödvändig för personens vitala intressen; personen ser den tydligt.",
        "The access is necessary for the person's vital interests; the person sees it clearly.",
        actions=_NOTIFY, ground="emergency",
    ),
    deny(
        "ehds8.count", "NOT_DISCLOSED", "EHDS artikel 8 tredje stycket",
        lambda f: _staff(f) and f.restricted and f.operation is Operation.count,
        _HIDDEN_SV, _HIDDEN_EN,
        answer={"count": 0, **_SAME},
        interpretation="That totals are a sign of the restriction is inferred.",
    ),
    deny(
        "ehds8.restricted", "NOT_DISCLOSED", "EHDS artikel 8 och 11(5)",
        lambda f: _staff(f) and f.restricted and f.operation is not Operation.check_open_exists,
        _HIDDEN_SV, _HIDDEN_EN,
        answer=_SAME,
        interpretation="That every outward sign must be the same as without data is inferred.",
    ),
    permit(
        "ehds11.cross-border", "EHDS_11", "EHDS artikel 11(1) och (4)",
        lambda f: _read(f) and _cross_border(f),
        "Behandling i annan medlemsstat: behandlingslandets regler medger åtkomsten.",
        "Treatment in another Member State: its rules allow the access.",
        ground="lawful-basis",
    ),
    permit(
        "ehds11.cross-border-holders", "EHDS_11", "EHDS artikel 11(1) och (4)",
        lambda f: f.operation is Operation.list_open_holders and _cross_border(f),
        "Behandling i annan medlemsstat: källorna får visas.",
        "Treatment in another Member State: the sources may be shown.",
        shows=HOLDER, ground="lawful-basis",
    ),
    permit_with(
        "ehds8.restrict", "EHDS_8_WARN", "EHDS artikel 8 första och andra styckena",
        lambda f: _self(f, Operation.set_block) and f.scope is Scope.restriction,
        "Begränsningen gäller genast; vården kan påverkas av att uppgifterna inte syns.",
        "The restriction holds at once; care may be affected by what is not seen.",
        shows=OUTCOME, actions=("warn-patient", "block-immediately"), ground="self",
    ),
    permit(
        "ehds8.unrestrict", "EHDS_8_LIFT", "EHDS artikel 8",
        lambda f: _self(f, Operation.lift_block) and f.data.block is Block.restricted,
        "Personen tar bort sin begränsning.", "The person removes the restriction.",
        shows=OUTCOME, ground="self",
    ),
    permit(
        "ehds10.reverse", "EHDS_10_REVERSIBLE", "EHDS artikel 10(1) andra meningen",
        lambda f: _self(f, Operation.reverse_opt_out),
        "Den som valt bort kan välja till igen.", "Who opted out can opt in again.",
        shows=OUTCOME, ground="self",
    ),
    permit(
        "ehds9.log", "EHDS_9", "EHDS artikel 9(1)-(2)",
        lambda f: _self(f, Operation.read_access_log) and _service(f),
        "Personen ser vem som tagit del av vad och när.", "The person sees who accessed what and when.",
        ground="self", verified=False,
    ),
    deny(
        "ehds3.delayed", "EHDS_3_3_DELAY", "EHDS artikel 3(3)",
        lambda f: _self(f, Operation.read_content) and _service(f) and _delayed(f),
        "Uppgifterna visas efter en begränsad tid, av hänsyn till patientsäkerheten.",
        "The data are shown after a limited time, for the sake of patient safety.",
    ),
    permit(
        "ehds3.own", "EHDS_3", "EHDS artikel 3(1)",
        lambda f: _self(f, Operation.read_content) and _service(f) and f.data.releasable,
        "Personen får läsa uppgifter om sig själv.", "The person may read data on herself.",
        ground="self",
    ),
    permit(
        "ehds4.proxy", "EHDS_4_2", "EHDS artikel 4(2)(a)",
        lambda f: _proxy(f) and f.actor.mandate is Mandate.valid and f.data.in_scope,
        "Ombudet läser inom fullmaktens tid och omfattning.", "The proxy reads within time and scope of the mandate.",
        ground="proxy",
    ),
    deny(
        "ehds4.expired", "MANDATE_EXPIRED", "EHDS artikel 4(2)(a)",
        lambda f: _proxy(f) and f.actor.mandate is Mandate.expired,
        "Fullmakten gäller inte längre.", "The mandate is no longer valid.",
    ),
    deny(
        "ehds4.no-mandate", "NO_MANDATE", "EHDS artikel 4(2)(a)", _proxy,
        "Fullmakt saknas, är återkallad eller omfattar inte uppgifterna.",
        "There is no mandate, it was revoked, or it does not cover the data.",
    ),
)  # fmt: skip
