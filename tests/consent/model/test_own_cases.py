# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A case for every rule that no published case reaches: no rule is shadowed by another."""

from typing import Any, Final

import pytest

from consent.model.engine import decide
from consent.model.rules import ALL
from consent.model.rules.published import DECIDES
from consent.model.vocabulary import facts_of

CARE: Final = {"kind": "care", "careProvider": "VG-A", "careUnit": "VE-A1", "employee": "EMP-1", "role": "physician"}
SOCIAL: Final = {"kind": "social", "careProvider": "OG-S", "careUnit": "OE-S1", "role": "care-manager"}
PATIENT: Final = {"kind": "patient"}
SYSTEM: Final = {"kind": "system", "careProvider": "VG-B"}
PHARMACY: Final = {"kind": "pharmacy", "role": "dispenser"}
SELF: Final = {"self": True}
OTHER: Final = {"holder": "VG-B"}
OWN: Final = {"holder": "VG-A", "unit": "VE-A2"}
NLL: Final = {"type": "nll"}
TREAT: Final[dict[str, Any]] = {"purpose": "TREAT", "relation": "current"}
DANGER: Final[dict[str, Any]] = {**TREAT, "danger": True, "consent": "cannot"}
LACKING: Final = {"capacity": "permanently-lacking"}
UNABLE: Final = {"capacity": "temporarily-lacking"}
SOCIAL_CARE: Final[dict[str, Any]] = {"purpose": "SOCIAL-CARE", "relation": "receives-interventions"}
ASSERTION: Final = {"type": "Consent", "unit": "VE-A1", "start": "2026-01-01T00:00:00+01:00"}
AT: Final[dict[str, Any]] = {"at": "2026-06-01T12:00:00+02:00"}
EHDS: Final[dict[str, Any]] = {"disclosureMode": "EHDS"}


def case(
    operation: str, actor: Any = CARE, data: Any = OTHER, subject: Any = None, *, scope: str | None = None, **facts: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    when = {"operation": operation, **({"scope": scope} if scope else {})}
    return {"actor": actor, "data": data, "subject": subject or {}, **facts}, when


CASES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "general.unknown-type": case("read-content", data={**OTHER, "type": "unknown"}, **TREAT, consent="given"),
    "general.no-rule": case("set-block", PATIENT, subject=SELF),
    "svod2.not-the-holder": case("make-available", SYSTEM, {"holder": "VG-A"}),
    "svod2.opposed": case("make-available", SYSTEM, {"holder": "VG-B", "block": "outer"}),
    "svod2.incapable-unclear": case("make-available", SYSTEM, OTHER, LACKING),
    "svod2.not-the-person": case("set-block", scope="outer"),
    "svod2.not-staff": case("check-open-exists", {"kind": "third-party"}, purpose="TREAT"),
    "svod2.not-authorised": case("check-open-exists", {**CARE, "authorised": False}, purpose="TREAT"),
    "svod2.purpose": case("check-open-exists", purpose="MARKETING"),
    "svod2.none-open": case("check-open-exists", data={**OTHER, "block": "outer"}, **TREAT),
    "svod2.blocked-not-for-social": case("check-blocked-exists", SOCIAL, {**OTHER, "block": "outer"}, **SOCIAL_CARE),
    "svod2.social-block-hidden": case(
        "check-blocked-exists", data={"holder": "OG-S", "holderKind": "social", "block": "outer"}, **TREAT
    ),
    "svod2.none-blocked": case("check-blocked-exists", **TREAT),
    "svod3.not-care": case("read-content", SYSTEM, {"holder": "VG-A"}, **TREAT, consent="given"),
    "svod3.not-authorised": case("read-content", {**CARE, "authorised": False}, **TREAT, consent="given"),
    "svod3.operation": case("read-flag", **TREAT, consent="given"),
    "svod3.request-needs-holders": case("request-lift", data={**OTHER, "block": "outer"}, subject=UNABLE, **DANGER),
    "svod3.social-blocker-hidden": case(
        "list-blocked-holders", data={"holder": "OG-S", "holderKind": "social", "block": "outer"}, **TREAT
    ),
    "svod3.other-block": case("read-content", data={**OTHER, "block": "inner"}, **TREAT, consent="given"),
    "svod3.not-available": case("read-content", data={**OTHER, "madeAvailable": False}, **TREAT, consent="given"),
    "svod3.holders-child": case(
        "list-open-holders", subject={"minor": True, "canConsentSelf": False, "capacity": "minor"}, **TREAT
    ),
    "svod3.purpose": case("read-content", relation="current", purpose="MARKETING", consent="given"),
    "svod3.not-essential": case("read-content", subject=UNABLE, **DANGER, step1Done=True),
    "svod3.not-necessary": case(
        "read-content", subject=LACKING, **TREAT, consent="cannot", attitudeClarified=True, wouldOppose=False
    ),
    "svod3.social-blocked": case("read-content", SOCIAL, {**OTHER, "block": "outer"}, **SOCIAL_CARE, consent="given"),
    "svod3.social-holders": case("list-open-holders", SOCIAL, **SOCIAL_CARE, consent="given"),
    "svod3.social-holders-incapable": case(
        "list-open-holders",
        SOCIAL,
        {"holder": "OG-T", "holderKind": "social"},
        LACKING,
        **SOCIAL_CARE,
        consent="cannot",
    ),
    "svod3.social-holders-hidden": case("list-open-holders", SOCIAL, **SOCIAL_CARE),
    "svod3.social-incapable-unclear": case(
        "read-content", SOCIAL, {"holder": "OG-T", "holderKind": "social"}, LACKING, **SOCIAL_CARE, consent="cannot"
    ),
    "svod3.social-frame": case("read-content", SOCIAL, consent="given", purpose="SOCIAL-CARE"),
    "svod4.not-self": case("read-content", PATIENT, channel="shared-record"),
    "svod4.weak-login": case("read-content", {**PATIENT, "loa": 2}, subject=SELF, channel="shared-record"),
    "svod4.log": case("read-access-log", PATIENT, subject=SELF, channel="shared-record"),
    "svod4.incapable": case("read-content", PATIENT, {**OTHER, "basis": "2:6"}, SELF, channel="shared-record"),
    "svod4.not-shared": case("read-content", PATIENT, {**OTHER, "block": "outer"}, SELF, channel="shared-record"),
    "svod4.own-holders": case("list-open-holders", PATIENT, subject=SELF, channel="shared-record"),
    "svod4.no-ground": case("register-opt-out", PATIENT, subject=SELF, channel="shared-record"),
    "pdl3.no-delete-by-others": case("delete"),
    "pdl4.not-staff": case("read-content", {"kind": "system", "careProvider": "VG-A"}, OWN, **TREAT),
    "pdl4.other-restriction": case("read-content", data={**OWN, "block": "restricted"}, **TREAT),
    "pdl4.holders": case("list-open-holders", data=OWN, **TREAT),
    "pdl4.no-ground": case("request-lift", data=OWN, **TREAT),
    "pdl4.other-provider": case("set-block", {"kind": "admin", "careProvider": "VG-A"}, scope="inner"),
    "pdl4.lift-by-patient": case("lift-block", PATIENT, {**OWN, "block": "inner"}, SELF),
    "pdl4.lift-no-ground": case("lift-block", {**CARE, "mayLiftInnerBlock": True}, {**OWN, "block": "inner"}),
    "pdl4.not-the-patient": case("set-block", data=OWN, scope="inner"),
    "pdl5.weak-login": case("read-content", {**PATIENT, "loa": 2}, subject=SELF, channel="holder"),
    "pdl5.other-purpose": case(
        "read-content", PATIENT, {**OTHER, "purposeOfRecording": "other"}, SELF, channel="holder"
    ),
    "pdl5.not-releasable": case("read-content", PATIENT, {**OTHER, "releasable": False}, SELF, channel="holder"),
    "pdl5.own-holders": case("list-open-holders", PATIENT, subject=SELF, channel="holder"),
    "pdl5.count-no-ground": case("count"),
    "pdl8.not-self": case("request-access-log", data={"type": "access-log"}),
    "pdl7.not-a-system": case("transfer-to-register", data={"register": "KR-1"}),
    "pdl7.not-needed": case("transfer-to-register", SYSTEM, {"register": "KR-1"}, need=False),
    "pdl7.incapable-unclear": case("transfer-to-register", SYSTEM, {"register": "KR-1"}, LACKING),
    "pdl7.not-own-reported": case("read-content", data={"register": "KR-1", "reportedBy": "VG-B"}, purpose="QUALITY"),
    "nll4.block": case("set-block", PATIENT, NLL, SELF, scope="nll"),
    "nll4.lift": case("lift-block", PATIENT, {**NLL, "block": "patient"}, SELF),
    "nll4.pharmacy-reason-blocked": case(
        "read-content", PHARMACY, {**NLL, "element": "reason", "block": "patient"}, purpose="DISPENSE", consent="given"
    ),
    "nll5.patient": case("read-content", PATIENT, NLL, SELF),
    "nll5.no-ground": case("read-content", PHARMACY, NLL, purpose="MARKETING", consent="given"),
    "ehds11.cross-border": case("read-content", **TREAT, **EHDS, crossBorder=True, consent="n/a"),
    "ehds11.cross-border-holders": case("list-open-holders", **TREAT, **EHDS, crossBorder=True, consent="n/a"),
    "ehds8.unrestrict": case("lift-block", PATIENT, {"block": "restricted"}, SELF, **EHDS),
    "ehds3.own": case("read-content", PATIENT, {}, SELF, **EHDS, channel="access-service"),
    "ehds4.no-mandate": case("read-content", {"kind": "proxy"}, {}, **EHDS, channel="access-service"),
    "osl25.no-harm": case("request-disclosure", {"kind": "public"}, clearWithoutHarm=True),
    "hslf4.complete": (
        {"auditEntry": {"action": True, "unit": True, "time": True, "user": True, "patient": True}},
        {"operation": "write-audit"},
    ),
    "rivta.not-staff": case("check-consent", PATIENT),
    "rivta.no-consent": case("check-consent"),
    "rivta.consent-elsewhere": case("check-consent", assertion={**ASSERTION, "unit": "VE-A2"}, **AT),
    "rivta.consent-not-begun": case(
        "check-consent", assertion={**ASSERTION, "start": "2026-07-01T00:00:00+02:00"}, **AT
    ),
    "rivta.inner-block": case("check-blocks", data={**OWN, "block": "inner"}),
    "rivta.other-block": case("check-blocks", data={**OTHER, "block": "restricted"}),
    "rivta.not-blocked": case("check-blocks"),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_own_case(rule_id: str) -> None:
    assert decide(facts_of(*CASES[rule_id])).id == rule_id


def test_every_rule_is_reached() -> None:
    assert set(CASES) | set(DECIDES) == set(ALL)


@pytest.mark.parametrize(
    ("title", "given", "reason"),
    [
        (
            "a former patient is no ground for care",
            case("read-content", relation="former", purpose="TREAT", consent="given"),
            "NO_PATIENT_RELATION",
        ),
        (
            "a certificate needs consent too",
            case("read-content", relation="former", purpose="CERTIFICATE"),
            "NO_CONSENT",
        ),
        (
            "danger alone does not name the blocker",
            case("list-blocked-holders", data={**OTHER, "block": "outer"}, **TREAT, danger=True),
            "HOLDER_HIDDEN",
        ),
        (
            "a child's care data need consent in social care",
            case(
                "read-content",
                SOCIAL,
                OTHER,
                {"minor": True, "canConsentSelf": False, "capacity": "minor"},
                **SOCIAL_CARE,
            ),
            "NO_CONSENT",
        ),
        (
            "3:4 does not reach care data",
            case(
                "read-content",
                SOCIAL,
                OTHER,
                LACKING,
                **SOCIAL_CARE,
                consent="cannot",
                assessedNecessary=True,
                attitudeClarified=True,
                wouldOppose=False,
            ),
            "NO_CONSENT",
        ),
        (
            "an officer does not lift while consent can be had",
            case("lift-block", {**CARE, "mayLiftInnerBlock": True}, {**OWN, "block": "inner"}, assessedEssential=True),
            "NO_CONSENT",
        ),
        (
            "another provider's reports are not read",
            case("read-content", data={"register": "KR-1", "reportedBy": "VG-B"}, purpose="QUALITY"),
            "NOT_OWN_REPORTED",
        ),
        (
            "a pharmacist in care has no emergency path",
            case(
                "read-content",
                {**CARE, "role": "pharmacist"},
                {**NLL, "block": "patient"},
                **TREAT,
                consent="cannot",
                assessedEssential=True,
            ),
            "NO_CONSENT",
        ),
        (
            "the flag is not older than 24 months",
            case("read-flag", {**CARE, "mayPrescribe": True}, {"type": "nll-narcotics-flag", "ageMonths": 25}, **TREAT),
            "NO_GROUND",
        ),
        (
            "an opt-out holds without a national rule",
            case("read-content", data={**OTHER, "block": "opt-out"}, **TREAT, **EHDS, vitalInterests="data-subject"),
            "EHDS_10_OPT_OUT",
        ),
        (
            "a personal assertion is for that employee",
            case("check-consent", assertion={**ASSERTION, "employee": "EMP-2"}, **AT),
            "CONSENT_FOR_ANOTHER",
        ),
        ("EHDS mode does not drop the consent of SVOD", case("read-content", **TREAT, **EHDS), "NO_CONSENT"),
    ],
)
def test_the_neighbour_of_a_permit_is_denied(title: str, given: tuple[Any, Any], reason: str) -> None:
    rule = decide(facts_of(*given))
    assert (rule.permitted, rule.reason) == (False, reason), title
