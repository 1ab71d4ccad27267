# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The national contracts CheckConsent (consent 2.0) and CheckBlocks (blocking 4.0)."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import YES_NO, Rule, deny, permit, permit_with
from consent.model.terms import ActorKind, AssertionType, Block, Operation

_CONSENT: Final = "TKB informationsecurity:authorization:consent 2.0, CheckConsent"
_BLOCKS: Final = "TKB informationsecurity:authorization:blocking 4.0.4, CheckBlocks"
_NO: Final = {"hasConsent": False}


def _consent(f: Facts) -> bool:
    return f.operation is Operation.check_consent


def _blocks(f: Facts) -> bool:
    return f.operation is Operation.check_blocks


def _for_another(f: Facts) -> bool:
    said = f.assertion
    return said.unit != f.actor.care_unit or (said.employee is not None and said.employee != f.actor.employee)


def _not_begun(f: Facts) -> bool:
    at, start = f.situation.at, f.assertion.start
    return at is None or start is None or at < start


def _ended(f: Facts) -> bool:
    at, end = f.situation.at, f.assertion.end
    return end is not None and (at is None or at > end)


def _in_force(f: Facts) -> bool:
    since, at = f.data.block_since, f.situation.at
    return since is None or at is None or since <= at


RULES: Final[tuple[Rule, ...]] = (
    deny(
        "rivta.not-staff", "NOT_STAFF", "TKB informationsecurity:authorization, krav på konsumenten",
        lambda f: f.actor.kind is not ActorKind.care,
        "Tjänsten svarar vårdpersonal.", "The service answers care staff.",
        answer=_NO,
    ),
    deny(
        "rivta.no-consent", "NO_CONSENT", _CONSENT,
        lambda f: _consent(f) and f.assertion.type is None,
        "Inget intyg finns.", "There is no assertion.",
        answer=_NO,
    ),
    deny(
        "rivta.consent-cancelled", "CONSENT_CANCELLED", f"{_CONSENT}; CancelExtendedConsent",
        lambda f: _consent(f) and f.assertion.cancelled,
        "Intyget är avslutat och kan inte återtas.", "The assertion was cancelled and cannot be restored.",
        answer=_NO,
    ),
    deny(
        "rivta.consent-elsewhere", "CONSENT_FOR_ANOTHER", _CONSENT,
        lambda f: _consent(f) and _for_another(f),
        "Intyget gäller en annan enhet eller medarbetare.", "The assertion is for another unit or employee.",
        answer=_NO,
    ),
    deny(
        "rivta.consent-not-begun", "CONSENT_NOT_BEGUN", _CONSENT,
        lambda f: _consent(f) and _not_begun(f),
        "Intyget gäller inte ännu.", "The assertion does not hold yet.",
        answer=_NO,
    ),
    deny(
        "rivta.consent-expired", "CONSENT_EXPIRED", _CONSENT,
        lambda f: _consent(f) and _ended(f),
        "Intygets sista dag har passerat.", "The assertion's last day has passed.",
        answer=_NO,
    ),
    permit_with(
        "rivta.emergency-assertion", "HAS_EMERGENCY_ASSERTION", _CONSENT,
        lambda f: _consent(f) and f.assertion.type is AssertionType.emergency,
        "Intyg om nödsituation finns; åtkomsten följs upp.", "An emergency assertion holds; the access is followed up.",
        shows=YES_NO, actions=("log-emergency",), ground="emergency",
        answer={"hasConsent": True, "assertionType": "Emergency"},
        interpretation="The contract only reports the type; following up is our duty.",
    ),
    permit(
        "rivta.consent", "HAS_CONSENT", _CONSENT, _consent,
        "Samtyckesintyg finns för enheten eller medarbetaren.",
        "An assertion of consent holds for the unit or employee.",
        shows=YES_NO, ground="consent", answer={"hasConsent": True, "assertionType": "Consent"},
    ),
    deny(
        "rivta.outer-block", "OUTER_BLOCK", _BLOCKS,
        lambda f: _blocks(f) and f.data.block is Block.outer and not f.own_provider and _in_force(f),
        "Uppgifterna är spärrade mot andra vårdgivare.", "The data are blocked towards other providers.",
        shows=YES_NO,
    ),
    deny(
        "rivta.inner-block", "INNER_BLOCK", _BLOCKS,
        lambda f: _blocks(f) and f.data.block is Block.inner and not f.own_unit and _in_force(f),
        "Uppgifterna är spärrade utanför sin vårdenhet.", "The data are blocked outside their unit.",
        shows=YES_NO,
        interpretation="The contract does not say whether an inner block binds other providers; we fail closed.",
    ),
    deny(
        "rivta.other-block", "BLOCKED", _BLOCKS,
        lambda f: _blocks(f) and f.restricted and _in_force(f),
        "Uppgifterna är spärrade.", "The data are blocked.",
        shows=YES_NO,
    ),
    permit(
        "rivta.not-blocked", "NOT_BLOCKED", _BLOCKS, _blocks,
        "Ingen spärr gäller.", "No block applies.",
        shows=YES_NO,
    ),
)  # fmt: skip
