# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The question, the decision and the feed as others know them; `client.py` offers them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from identifiers.person_key import PersonKey

KIND_SYSTEM = "https://ndi.example/fhir/CodeSystem/consent-kind"
"""`Consent.category` codes: shared-record, outer-block, inner-block, register-opt-out."""


class DisclosureMode(Enum):
    """What may be told of blocked data: SVOD 2:5 and PDL 4:4, or EHDS Article 8."""

    SE = "SE"
    EHDS = "EHDS"


class Operation(Enum):
    """What the asker wants to do with the entities."""

    existence = "existence"
    """Learn that data exist, yes or no (SVOD 2:4)."""
    list_holders = "list-holders"
    """Learn who holds what."""
    read_content = "read-content"
    register_transfer = "transfer-to-register"
    """Hand over to a quality register (PDL chapter 7)."""


class Disclosure(Enum):
    """What may be told about an entity."""

    full = "full"
    existence = "existence"
    none = "none"


@dataclass(frozen=True, slots=True)
class Entity:
    """Something held about the person."""

    holder: str
    """HSA-id of the care provider (vårdgivare)."""
    unit: str | None
    """HSA-id of the care unit (vårdenhet) where it was documented."""
    information_type: str
    recorded: datetime | None = None
    social: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one person; the asker is the context's caller."""

    person: PersonKey
    operation: Operation
    entities: tuple[Entity, ...]
    register: str | None = None
    """HSA-id of the register, for `register_transfer`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one entity."""

    permitted: bool
    disclosure: Disclosure
    reason: str
    """Stable code, e.g. SVOD_3_1, NO_CONSENT, OUTER_BLOCK."""
    rule: str
    """Id of the rule in docs/consent/rules.md."""
    law: str
    """Section that decided, e.g. "SVOD 3 kap. 1 §"."""
    explanation_sv: str
    explanation_en: str
    ground: str | None = None
    """What access rests on: consent, own-record, self, lawful-basis."""
    obligations: tuple[str, ...] = ()
    blocked: bool = False
    """Whether a block was the reason; who blocked is never part of the answer."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """All answers of one question, in the order of its entities."""

    id: str
    policy_version: str
    mode: DisclosureMode
    items: tuple[Decision, ...]
    unblocked_exist: bool
    """Data exist that the person has not blocked: yes or no (SVOD 2:4)."""
    blocked_exist: bool | None
    """Blocked data exist (SVOD 2:5); None where the disclosure mode forbids to tell."""


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """One change in the feed of consents, for those who must act on it."""

    person: PersonKey
    kind: str
    consent_id: str
    active: bool
    register: str | None


@dataclass(frozen=True, slots=True)
class ConsentChanges:
    """A page of the feed; `cursor` is opaque and goes into the next call."""

    items: tuple[ConsentChange, ...]
    cursor: str
