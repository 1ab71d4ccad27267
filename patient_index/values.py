# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Entries, answers of `$locate` and changes: values that operations and clients share."""

from dataclasses import dataclass
from datetime import datetime

from consent.client import DisclosureMode
from identifiers.person_key import PersonKey
from identifiers.person_number import PersonIdentifier
from provider_catalog.client import ResolvedEndpoint


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the index: a unit holds information of a type about a person."""

    id: str
    person: PersonKey
    custodian: str
    """HSA-id of the care provider."""
    unit: str
    """HSA-id of the care unit."""
    information_type: str
    source_system: str
    """HSA-id of the system that holds the record."""
    business_object: str
    most_recent: datetime | None
    """When the newest content was documented; None where the source does not tell (optional in RIV-TA's index)."""
    items: int | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    endpoint: ResolvedEndpoint | None = None
    custodian_name: str | None = None
    unit_name: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """State of the network, the same for every person at a given time; tells nothing about this person."""

    connected: int
    not_connected: int
    not_connected_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """The answer of `$locate`: only entries that the grounds open; two booleans beside them."""

    entries: tuple[Entry, ...]
    unblocked_exist: bool
    blocked_exist: bool | None
    """None where the disclosure mode forbids to tell."""
    mode: DisclosureMode
    reason: str
    """Reason code when nothing is listed, e.g. NO_CONSENT; else the ground's."""
    explanation_sv: str
    explanation_en: str
    law: str
    decision: str
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the index for consumers that act on events."""

    entry: Entry
    identifier: PersonIdentifier
    deleted: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the feed; `cursor` is opaque and goes into the next call."""

    items: tuple[Change, ...]
    cursor: str
