# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The person's access document: everything in force that a decision about the person needs, in one row.

Entries are kept sorted by id, so that the order of registration cannot matter and lifting a block gives back exactly
the document from before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from consent.model.period import ALWAYS, Period


class Kind(Enum):
    """Kinds of Consent: the codes of `KIND_SYSTEM`."""

    shared_record = "shared-record"
    """Consent to a care provider's access (samtycke, SVOD 3:1)."""
    outer_block = "outer-block"
    """Yttre spärr, SVOD 2:3."""
    inner_block = "inner-block"
    """Inre spärr, PDL 4:4."""
    register_opt_out = "register-opt-out"
    """Opposition to a quality register, PDL 7:2."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One consent, block or opt-out in force."""

    id: str
    kind: Kind
    organisation: str
    """HSA-id: who may read, who is blocked, or the register."""
    provider: str | None = None
    """For blocks: the care provider that the blocked organisation belongs to (or is)."""
    types: tuple[str, ...] = ()
    """Information types it is limited to, sorted; none: all."""
    validity: Period = ALWAYS
    documented: Period = ALWAYS
    """For blocks: the period of documentation it covers."""

    def json(self) -> dict[str, Any]:
        """As kept in the access document."""
        value: dict[str, Any] = {"id": self.id, "kind": self.kind.value, "organisation": self.organisation}
        if self.provider is not None:
            value["provider"] = self.provider
        if self.types:
            value["types"] = list(self.types)
        for name, period in (("validity", self.validity), ("documented", self.documented)):
            if period != ALWAYS:
                value[name] = period.json()
        return value

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "Entry":
        """From the access document."""
        return cls(
            id=value["id"],
            kind=Kind(value["kind"]),
            organisation=value["organisation"],
            provider=value.get("provider"),
            types=tuple(value.get("types", ())),
            validity=Period.of_json(value.get("validity", {})),
            documented=Period.of_json(value.get("documented", {})),
        )


@dataclass(frozen=True, slots=True)
class CareRelation:
    """A stated current care relation (aktuell patientrelation)."""

    id: str
    provider: str
    unit: str | None
    user: str | None
    period: Period

    def json(self) -> dict[str, Any]:
        """As kept in the access document."""
        value = {"id": self.id, "provider": self.provider, "unit": self.unit, "user": self.user}
        return {**{name: each for name, each in value.items() if each is not None}, "period": self.period.json()}

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "CareRelation":
        """From the access document."""
        return cls(
            value["id"], value["provider"], value.get("unit"), value.get("user"), Period.of_json(value["period"])
        )


@dataclass(frozen=True, slots=True)
class AccessDocument:
    """What is in force for one person."""

    entries: tuple[Entry, ...] = ()
    relations: tuple[CareRelation, ...] = ()

    def entry(self, entry_id: str) -> Entry | None:
        """The entry with this id, if it is in force."""
        return next((each for each in self.entries if each.id == entry_id), None)

    def with_entry(self, entry: Entry) -> "AccessDocument":
        """With the entry, in the place of one with the same id."""
        kept = [each for each in self.entries if each.id != entry.id]
        return replace(self, entries=tuple(sorted([*kept, entry], key=lambda each: each.id)))

    def without(self, entry_id: str) -> "AccessDocument":
        """Without the entry: withdrawn, lifted or taken back."""
        return replace(self, entries=tuple(each for each in self.entries if each.id != entry_id))

    def with_relation(self, relation: CareRelation, now: datetime) -> "AccessDocument":
        """With the relation; those that have ended are dropped (they stay in their own table)."""
        kept = [each for each in self.relations if each.period.end is None or each.period.end >= now]
        return replace(self, relations=tuple(sorted([*kept, relation], key=lambda each: each.id)))

    def json(self) -> dict[str, Any]:
        """As stored."""
        return {
            "entries": [each.json() for each in self.entries],
            "relations": [each.json() for each in self.relations],
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "AccessDocument":
        """As read. An entry of a kind that this version does not know raises `ValueError`: then nothing is decided."""
        return cls(
            tuple(Entry.of_json(each) for each in value.get("entries", ())),
            tuple(CareRelation.of_json(each) for each in value.get("relations", ())),
        )


EMPTY = AccessDocument()
