# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the access log tells: values that models and clients share."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccessLogRow:
    """One row of the person's access log: who, where, why, when (PDL 5:5, HSLF-FS 2016:40 4:9)."""

    id: str
    recorded: datetime
    operation: str
    outcome: str
    organisation: str | None
    organisation_name: str | None
    unit: str | None
    unit_name: str | None
    user: str | None
    user_name: str | None
    purpose: str | None
    ground: str | None
    reason: str | None
    law: str | None
    information_type: str | None
    holders: tuple[str, ...]
    count: int | None
    automatic: bool
    """True for systems without a user, e.g. a register transfer, and for the showing of one's own log."""


@dataclass(frozen=True, slots=True)
class AccessLog:
    """A page of the log, newest first; `cursor` is None on the last page."""

    rows: tuple[AccessLogRow, ...]
    cursor: str | None
