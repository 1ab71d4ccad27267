# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Act on shared health and social care records (2022:913) 3:2 and 3:4: a social care provider's access.

No emergency path: 3:5 and 3:6 are for care providers.
"""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import HOLDER, YES_NO, Rule, always, deny, permit, permit_with
from consent.model.terms import Capacity, Consent, HolderKind, Operation, Purpose, Relation

_GIVEN: Final = frozenset({Consent.given, Consent.given_explicit})
_RELATIONS: Final = frozenset({Relation.receives_interventions, Relation.under_investigation})
_LOG_3_4: Final = ("log-ground-3-4",)


def _read(f: Facts) -> bool:
    return f.operation is Operation.read_content


def _holders(f: Facts) -> bool:
    return f.operation is Operation.list_open_holders


def _framed(f: Facts) -> bool:
    s = f.situation
    return s.purpose is Purpose.social_care and s.relation in _RELATIONS and s.need


def _consented(f: Facts) -> bool:
    return _framed(f) and f.situation.consent in _GIVEN


def _child(f: Facts) -> bool:
    return _framed(f) and f.small_child and f.data.holder_kind is HolderKind.social


def _incapable(f: Facts) -> bool:
    return (
        _framed(f)
        and f.situation.consent is Consent.cannot
        and f.subject.capacity is Capacity.permanently_lacking
        and f.data.holder_kind is HolderKind.social
    )


RULES: Final[tuple[Rule, ...]] = (
    deny(
        "svod4.social-not-authorised", "NOT_AUTHORISED", "SVOD 4 kap. 3 § första stycket",
        lambda f: not f.actor.authorised or f.actor.care_provider is None,
        "Behörighet för åtkomsten har inte tilldelats.", "No authority has been assigned for the access.",
    ),
    deny(
        "svod3.social-no-emergency", "NO_EMERGENCY_FOR_SOCIAL_CARE", "SVOD 2 kap. 1 och 5 §§, 3 kap. 5-6 §§",
        lambda f: (
            not (_read(f) or _holders(f))
            or (f.situation.danger and f.situation.consent is Consent.cannot and not _incapable(f))
        ),
        "3:5 och 3:6 gäller vårdgivare, inte omsorgsgivare.",
        "3:5 and 3:6 are for care providers, not for social care.",
    ),
    deny(
        "svod3.social-blocked", "BLOCKED", "SVOD 2 kap. 3 § första stycket, 3 kap. 2 §",
        lambda f: f.restricted or not f.data.made_available,
        "Uppgifterna är inte tillgängliggjorda.", "The data are not made available.",
    ),
    permit(
        "svod3.social-holders", "SVOD_3_2", "SVOD 2 kap. 4 § andra stycket, 3 kap. 2 § första stycket",
        lambda f: _holders(f) and (_consented(f) or _child(f)),
        "Insatser, betydelse och samtycke: källorna får visas.",
        "Interventions, relevance and consent: the sources may be shown.",
        shows=HOLDER, ground="consent",
    ),
    permit_with(
        "svod3.social-holders-incapable", "SVOD_3_4_LIST", "SVOD 3 kap. 4 § första stycket",
        lambda f: _holders(f) and _incapable(f),
        "Omsorgsmottagaren kan varaktigt inte samtycka: andra omsorgsgivare får visas.",
        "The care recipient lastingly cannot consent: other social care providers may be shown.",
        shows=HOLDER, actions=_LOG_3_4, ground="svod-3-4",
    ),
    deny(
        "svod3.social-holders-hidden", "NO_CONSENT", "SVOD 2 kap. 4 § andra stycket", _holders,
        "Utan grund i 3 kap. visas bara att ospärrade uppgifter finns.",
        "Without a ground of chapter 3 only that unblocked data exist is shown.",
        shows=YES_NO,
    ),
    permit(
        "svod3.social-consent", "SVOD_3_2", "SVOD 3 kap. 2 § första stycket", _consented,
        "Omsorgsmottagare med insatser eller utredning, betydelse för insatserna och samtycke.",
        "A recipient of interventions or under investigation, relevance and consent.",
        ground="consent",
    ),
    permit(
        "svod3.social-child", "SVOD_3_2_CHILD", "SVOD 3 kap. 2 § andra stycket", _child,
        "Barnets samtycke krävs inte för uppgifter från en annan omsorgsgivare.",
        "The child's consent is not needed for data of another social care provider.",
        ground="lawful-basis",
    ),
    permit_with(
        "svod3.social-incapable", "SVOD_3_4_CONTENT", "SVOD 3 kap. 4 § andra stycket",
        lambda f: (
            _incapable(f)
            and f.situation.assessed_necessary
            and f.situation.attitude_clarified
            and not f.situation.would_oppose
        ),
        "Nödvändiga insatser, inställningen klarlagd och inget skäl att anta motstånd.",
        "Necessary interventions, attitude clarified and no reason to assume opposition.",
        actions=("record-assessment", *_LOG_3_4), ground="svod-3-4",
    ),
    deny(
        "svod3.social-incapable-unclear", "ATTITUDE_NOT_CLARIFIED", "SVOD 3 kap. 4 § andra stycket", _incapable,
        "Ett villkor i 3:4 andra stycket är inte uppfyllt.", "A condition of 3:4 second paragraph is not met.",
        shows=HOLDER, actions=_LOG_3_4,
    ),
    deny(
        "svod3.social-frame", "SVOD_3_7_EXHAUSTIVE", "SVOD 3 kap. 2 § första stycket 1-2, 3 kap. 7 §",
        lambda f: not _framed(f),
        "Personen får inte insatser eller utreds, eller så saknar uppgifterna betydelse för insatserna.",
        "The person neither receives nor is investigated for interventions, or the data do not matter for them.",
    ),
    deny(
        "svod3.social-no-consent", "NO_CONSENT", "SVOD 3 kap. 2 § första stycket 3", always,
        "Omsorgsmottagarens samtycke saknas.", "The care recipient's consent is missing.",
    ),
)  # fmt: skip
