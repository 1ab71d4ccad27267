# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""HSLF-FS 2016:40 chapter 4: the audit log itself."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import NOTHING, OUTCOME, Rule, deny, permit
from consent.model.terms import Operation

_RETENTION_MONTHS: Final = 60


def _complete(f: Facts) -> bool:
    entry = f.audit
    return entry.action and entry.unit and entry.time and entry.user and entry.patient


RULES: Final[tuple[Rule, ...]] = (
    permit(
        "hslf4.complete", "HSLF_4_9", "HSLF-FS 2016:40 4 kap. 9 § 1-4",
        lambda f: f.operation is Operation.write_audit and _complete(f),
        "Loggposten anger åtgärd, enhet, tidpunkt, användare och patient.",
        "The entry states action, unit, time, user and patient.",
        shows=OUTCOME,
    ),
    deny(
        "hslf4.incomplete", "AUDIT_INCOMPLETE", "HSLF-FS 2016:40 4 kap. 9 § 1-4",
        lambda f: f.operation is Operation.write_audit,
        "Loggposten saknar åtgärd, enhet, tidpunkt, användare eller patient.",
        "The entry lacks action, unit, time, user or patient.",
    ),
    permit(
        "hslf4.old-enough", "HSLF_4_9_7", "HSLF-FS 2016:40 4 kap. 9 § 7",
        lambda f: f.operation is Operation.purge_audit and f.audit.age_months > _RETENTION_MONTHS,
        "Loggposten är äldre än fem år och får gallras.",
        "The entry is older than five years and may be removed.",
        shows=NOTHING,
    ),
    deny(
        "hslf4.retention", "AUDIT_RETENTION", "HSLF-FS 2016:40 4 kap. 9 § 7",
        lambda f: f.operation is Operation.purge_audit,
        "Loggar sparas i minst fem år.",
        "Logs are kept for at least five years.",
    ),
)  # fmt: skip
