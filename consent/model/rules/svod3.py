# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Act on shared health and social care records (2022:913) chapter 3: a care provider's access to others' data.

The chapter is exhaustive (3:7): consent never widens it. Social care providers: `svod3_social.py`.
"""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import HOLDER, YES_NO, Rule, always, deny, permit, permit_with
from consent.model.terms import ActorKind, Block, Capacity, Consent, HolderKind, Operation, Purpose, Relation

_GIVEN: Final = frozenset({Consent.given, Consent.given_explicit})
_REFUSED: Final = frozenset({Consent.refused, Consent.refused_by_guardian})
_ASSESSED: Final = ("log-emergency", "record-assessment")
_LOG_3_3: Final = ("log-ground-3-3",)


def _read(f: Facts) -> bool:
    return f.operation is Operation.read_content


def _holders(f: Facts) -> bool:
    return f.operation is Operation.list_open_holders


def _patient_relation(f: Facts) -> bool:
    """3:1 first paragraph 1 and second paragraph: current, or former for a certificate."""
    relation = f.situation.relation
    return relation is Relation.current or (relation is Relation.former and f.situation.purpose is Purpose.certificate)


def _purpose(f: Facts) -> bool:
    return f.situation.purpose in (Purpose.treatment, Purpose.certificate)


def _consented(f: Facts) -> bool:
    return f.situation.consent in _GIVEN


def _framed(f: Facts) -> bool:
    """Relation, purpose and relevance: all of 3:1 but consent."""
    return _purpose(f) and _patient_relation(f) and f.situation.need


def _cannot(f: Facts) -> bool:
    return f.situation.consent is Consent.cannot and _framed(f)


def _incapable(f: Facts) -> bool:
    """3:3: not only temporarily unable to consent."""
    return _cannot(f) and f.subject.capacity is Capacity.permanently_lacking


def _emergency(f: Facts) -> bool:
    """3:6 first paragraph."""
    return _cannot(f) and f.situation.danger


def _blocked_emergency(f: Facts) -> bool:
    """3:5 first paragraph: danger, and the patient cannot ask for a lift."""
    return (
        f.data.block is Block.outer
        and f.data.holder_kind is HolderKind.care
        and f.situation.danger
        and f.situation.relation is Relation.current
        and f.situation.purpose is Purpose.treatment
        and f.subject.capacity is not Capacity.full
    )


def _outer(f: Facts) -> bool:
    return f.data.block is Block.outer and f.data.holder_kind is HolderKind.care


def _about_holders(f: Facts) -> bool:
    return f.operation in (Operation.list_blocked_holders, Operation.request_lift)


BLOCKED: Final[tuple[Rule, ...]] = (
    permit_with(
        "svod3.blocked-holders", "SVOD_3_5_HOLDERS", "SVOD 3 kap. 5 § första stycket",
        lambda f: f.operation is Operation.list_blocked_holders and _blocked_emergency(f),
        "Vid fara för liv eller allvarlig risk för hälsan får vårdgivaren se vem som har spärrat.",
        "In danger to life or serious risk to health the provider may see who has blocked.",
        shows=HOLDER, actions=_ASSESSED, ground="emergency",
    ),
    deny(
        "svod3.request-needs-holders", "EMERGENCY_STEP1_MISSING", "SVOD 3 kap. 5 § andra stycket",
        lambda f: f.operation is Operation.request_lift and _blocked_emergency(f) and not f.situation.step1_done,
        "Först ska vårdgivaren ha sett vem som har spärrat.", "The provider must first have seen who has blocked.",
        shows=YES_NO,
    ),
    permit_with(
        "svod3.request-lift", "SVOD_3_5_REQUEST", "SVOD 3 kap. 5 § andra stycket",
        lambda f: f.operation is Operation.request_lift and _blocked_emergency(f) and f.situation.assessed_essential,
        "Vårdgivaren får begära att den som spärrat häver spärren.",
        "The provider may ask the blocking provider to lift.",
        shows=HOLDER, actions=("send-lift-request", *_ASSESSED), ground="emergency",
    ),
    deny(
        "svod3.request-not-assessed", "NO_ESSENTIAL_NEED", "SVOD 3 kap. 5 § andra stycket",
        lambda f: f.operation is Operation.request_lift and _blocked_emergency(f),
        "Bedömningen att vården är oundgänglig ska göras före begäran.",
        "That the care is essential must be judged before the request.",
        shows=HOLDER, actions=("log-emergency",),
    ),
    deny(
        "svod3.blocker-hidden", "HOLDER_HIDDEN", "SVOD 2 kap. 5 § andra meningen",
        lambda f: _about_holders(f) and f.data.holder_kind is HolderKind.care,
        "Vem som har spärrat visas bara enligt 3:5.", "Who has blocked is shown only under 3:5.",
        shows=YES_NO,
    ),
    deny(
        "svod3.social-blocker-hidden", "NOT_DISCLOSED", "SVOD 2 kap. 5 §", _about_holders,
        "Spärr hos omsorgsgivare visas inte.", "A block at a social care provider is not shown.",
    ),
    deny(
        "svod3.holder-lifts", "LIFT_BY_HOLDER_REQUIRED", "SVOD 3 kap. 5 § andra stycket",
        lambda f: _read(f) and _blocked_emergency(f) and f.situation.step1_done,
        "Spärrade uppgifter öppnas aldrig av läsaren; begär att den som spärrat häver.",
        "Blocked data are never opened by the reader; ask the blocking provider to lift.",
        shows=HOLDER, actions=("log-emergency",),
    ),
    deny(
        "svod3.outer-block", "OUTER_BLOCK", "SVOD 2 kap. 3 § första stycket, 2 kap. 5 §, 3 kap. 1 §", _outer,
        "Uppgifterna är spärrade mot andra vårdgivare; att spärrade uppgifter finns får visas.",
        "The data are blocked towards other providers; that blocked data exist may be shown.",
        shows=YES_NO,
    ),
    deny(
        "svod3.other-block", "BLOCKED", "SVOD 2 kap. 3 § första stycket, 3 kap. 7 §",
        lambda f: f.restricted,
        "En begränsning gäller uppgifterna.", "A restriction applies to the data.",
        interpretation="An inner block, or one at a social care provider, fails closed towards others, unseen.",
    ),
    deny(
        "svod3.not-available", "NOT_MADE_AVAILABLE", "SVOD 2 kap. 4 §, 3 kap. 1 §",
        lambda f: not f.data.made_available,
        "Uppgifterna har inte gjorts tillgängliga för andra.", "The data have not been made available to others.",
    ),
)  # fmt: skip

GROUNDS: Final[tuple[Rule, ...]] = (
    permit(
        "svod3.holders", "SVOD_3_1", "SVOD 2 kap. 4 § andra stycket, 3 kap. 1 § första stycket",
        lambda f: _holders(f) and _framed(f) and _consented(f),
        "Aktuell patientrelation, samtycke och betydelse för vården: källorna får visas.",
        "Current patient relation, consent and relevance for care: the sources may be shown.",
        shows=HOLDER, ground="consent",
        interpretation="3:1 speaks of processing the data; that it covers the list of holders is inferred from 2:4.",
    ),
    permit(
        "svod3.holders-child", "SVOD_3_1_CHILD", "SVOD 3 kap. 1 § tredje stycket",
        lambda f: _holders(f) and _framed(f) and f.small_child,
        "Samtycke krävs inte av ett barn som inte självt kan samtycka.", "A child that cannot consent itself need not.",
        shows=HOLDER, ground="lawful-basis",
    ),
    permit_with(
        "svod3.holders-emergency", "SVOD_3_6_STEP1", "SVOD 3 kap. 6 § första stycket",
        lambda f: _holders(f) and _emergency(f),
        "Första steget vid fara: vilka som har ospärrade uppgifter.", "First step in danger: who holds unblocked data.",
        shows=HOLDER, actions=_ASSESSED, ground="emergency",
    ),
    permit_with(
        "svod3.holders-incapable", "SVOD_3_3_LIST", "SVOD 3 kap. 3 § första stycket",
        lambda f: _holders(f) and _incapable(f),
        "Patienten kan varaktigt inte samtycka: vårdgivaren får se vem som har uppgifter.",
        "The patient lastingly cannot consent: the provider may see who holds data.",
        shows=HOLDER, actions=_LOG_3_3, ground="svod-3-3",
    ),
    deny(
        "svod3.holders-no-relation",
        "NO_PATIENT_RELATION",
        "SVOD 2 kap. 4 § andra stycket, 3 kap. 1 § första stycket 1",
        lambda f: _holders(f) and not _patient_relation(f),
        "Utan aktuell patientrelation visas bara att ospärrade uppgifter finns.",
        "Without a current patient relation only that unblocked data exist is shown.",
        shows=YES_NO,
    ),
    deny(
        "svod3.holders-hidden", "NO_CONSENT", "SVOD 2 kap. 4 § andra stycket, 3 kap. 1 § första stycket 2", _holders,
        "Utan samtycke eller annan grund i 3 kap. visas bara att ospärrade uppgifter finns.",
        "Without consent or another ground of chapter 3 only that unblocked data exist is shown.",
        shows=YES_NO,
    ),
    permit(
        "svod3.certificate",
        "SVOD_3_1_CERTIFICATE",
        "SVOD 3 kap. 1 § första stycket 3 b och andra stycket; PDL 3 kap. 16 §",
        lambda f: _framed(f) and _consented(f) and f.situation.purpose is Purpose.certificate,
        "Intyg enligt PDL 3:16, även vid tidigare patientrelation, med samtycke.",
        "A certificate under PDL 3:16, also for a former relation, with consent.",
        ground="consent",
    ),
    permit(
        "svod3.consent", "SVOD_3_1", "SVOD 3 kap. 1 § första stycket",
        lambda f: _framed(f) and _consented(f),
        "Aktuell patientrelation, samtycke och betydelse för vården.",
        "Current patient relation, consent and relevance for care.",
        ground="consent",
    ),
    permit(
        "svod3.child", "SVOD_3_1_CHILD", "SVOD 3 kap. 1 § tredje stycket, 2 kap. 3 § andra stycket",
        lambda f: _framed(f) and f.small_child,
        "Samtycke krävs inte av ett barn som inte självt kan samtycka; vårdnadshavaren kan inte motsätta sig.",
        "A child that cannot consent itself need not; a guardian cannot oppose.",
        ground="lawful-basis",
        interpretation="That a guardian's refusal of the access has no effect is inferred from 2:3 second paragraph.",
    ),
    permit_with(
        "svod3.incapable", "SVOD_3_3_CONTENT", "SVOD 3 kap. 3 § andra stycket",
        lambda f: (
            _incapable(f)
            and f.situation.assessed_necessary
            and f.situation.attitude_clarified
            and not f.situation.would_oppose
        ),
        "Nödvändig vård, inställningen klarlagd och inget skäl att anta motstånd.",
        "Necessary care, attitude clarified and no reason to assume opposition.",
        actions=("record-assessment", *_LOG_3_3), ground="svod-3-3",
    ),
    permit_with(
        "svod3.emergency", "SVOD_3_6_STEP2", "SVOD 3 kap. 6 § andra stycket",
        lambda f: _emergency(f) and f.situation.step1_done and f.situation.assessed_essential,
        "Med ledning av första steget bedöms uppgifterna behövas för oundgänglig vård.",
        "Guided by the first step the data are judged to be needed for essential care.",
        actions=(*_ASSESSED, "register-emergency-assertion"), ground="emergency",
        interpretation="3:5 does not say on which ground data are read after a lift; 3:6 is applied.",
    ),
)  # fmt: skip

REFUSALS: Final[tuple[Rule, ...]] = (
    deny(
        "svod3.exhaustive", "SVOD_3_7_EXHAUSTIVE", "SVOD 3 kap. 7 §",
        lambda f: f.situation.consent is Consent.given_explicit and (not _purpose(f) or not _patient_relation(f)),
        "Lagen är uttömmande; samtycke ersätter inte patientrelation eller ändamål.",
        "The act is exhaustive; consent replaces neither patient relation nor purpose.",
    ),
    deny(
        "svod3.purpose", "PURPOSE_NOT_COVERED", "SVOD 3 kap. 1 § första stycket 3, 3 kap. 7 §",
        lambda f: not _purpose(f),
        "Ändamålet är inte vård av patienten eller ett intyg.",
        "The purpose is neither the patient's care nor a certificate.",
    ),
    deny(
        "svod3.no-relation", "NO_PATIENT_RELATION", "SVOD 3 kap. 1 § första stycket 1",
        lambda f: not _patient_relation(f),
        "Aktuell patientrelation saknas.", "There is no current patient relation.",
    ),
    deny(
        "svod3.refused", "CONSENT_REFUSED", "SVOD 3 kap. 1 § första stycket 2",
        lambda f: f.situation.consent in _REFUSED,
        "Patienten har sagt nej till åtkomsten.", "The patient has refused the access.",
    ),
    deny(
        "svod3.no-need", "NO_NEED", "SVOD 3 kap. 1 § första stycket 3",
        lambda f: not f.situation.need,
        "Uppgifterna kan inte antas ha betydelse för vården.", "The data cannot be assumed to matter for the care.",
    ),
    deny(
        "svod3.step1-missing", "EMERGENCY_STEP1_MISSING", "SVOD 3 kap. 6 §",
        lambda f: _emergency(f) and not f.situation.step1_done,
        "Först visas vilka som har uppgifter, därefter innehållet.", "First the holders are shown, then the content.",
    ),
    deny(
        "svod3.not-essential", "NO_ESSENTIAL_NEED", "SVOD 3 kap. 6 § andra stycket", _emergency,
        "Vården är inte bedömd som oundgänglig.", "The care has not been judged essential.",
        shows=HOLDER, actions=("log-emergency",),
    ),
    deny(
        "svod3.attitude", "ATTITUDE_NOT_CLARIFIED", "SVOD 3 kap. 3 § andra stycket 2",
        lambda f: _incapable(f) and not f.situation.attitude_clarified,
        "Patientens inställning ska först klarläggas så långt möjligt.",
        "The patient's attitude must first be clarified as far as possible.",
        shows=HOLDER, actions=_LOG_3_3,
    ),
    deny(
        "svod3.would-oppose", "WOULD_HAVE_OPPOSED", "SVOD 3 kap. 3 § andra stycket 3",
        lambda f: _incapable(f) and f.situation.would_oppose,
        "Det finns anledning att anta att patienten skulle ha motsatt sig.",
        "There is reason to assume that the patient would have opposed.",
        shows=HOLDER, actions=_LOG_3_3,
    ),
    deny(
        "svod3.not-necessary", "NO_NECESSARY_NEED", "SVOD 3 kap. 3 § andra stycket 1", _incapable,
        "Vården är inte bedömd som nödvändig.", "The care has not been judged necessary.",
        shows=HOLDER, actions=_LOG_3_3,
    ),
    deny(
        "svod3.temporary", "ONLY_TEMPORARY_INCAPACITY", "SVOD 3 kap. 3 § första stycket",
        lambda f: f.situation.consent is Consent.cannot,
        "Oförmågan är tillfällig; utan fara finns ingen grund.",
        "The incapacity is temporary; without danger there is no ground.",
    ),
    deny(
        "svod3.obtainable", "CONSENT_OBTAINABLE", "SVOD 3 kap. 6 § första stycket 2",
        lambda f: f.situation.danger and f.situation.consent is Consent.not_asked,
        "Kan samtycke inhämtas ska det inhämtas.", "If consent can be obtained it must be obtained.",
    ),
    deny(
        "svod3.no-consent", "NO_CONSENT", "SVOD 3 kap. 1 § första stycket 2", always,
        "Patientens samtycke saknas.", "The patient's consent is missing.",
    ),
)  # fmt: skip

RULES: Final[tuple[Rule, ...]] = (
    deny(
        "svod3.not-care", "NO_LEGAL_BASIS", "SVOD 2 kap. 1 §, 3 kap. 7 §",
        lambda f: f.actor.kind is not ActorKind.care or f.actor.care_provider is None,
        "Lagen ger tillgång till vårdgivare och omsorgsgivare.",
        "The act gives access to care and social care providers.",
    ),
    deny(
        "svod3.not-authorised", "NOT_AUTHORISED", "SVOD 4 kap. 3 § tredje stycket; PDL 4 kap. 2 §",
        lambda f: not f.actor.authorised,
        "Behörighet för åtkomsten har inte tilldelats.", "No authority has been assigned for the access.",
    ),
    deny(
        "svod3.operation", "SVOD_3_7_EXHAUSTIVE", "SVOD 3 kap. 7 §",
        lambda f: not (_read(f) or _holders(f) or _about_holders(f)),
        "Lagen ger inte stöd för åtgärden.", "The act does not support the operation.",
    ),
    *BLOCKED,
    *GROUNDS,
    *REFUSALS,
)  # fmt: skip
