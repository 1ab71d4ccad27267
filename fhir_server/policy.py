# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What of a resource type a caller may find: by the person it is about and by the custodian that holds it.

A search applies it in SQL, before anything is counted, chained, included or sorted, so that what it hides cannot be
inferred; a `Guard` may hold a single resource against the same value (`permits`).
"""

from dataclasses import dataclass
from typing import Self, TypeVar

from identifiers.person_key import PersonKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """Every list that is given must let a resource pass; a list that is not given (None, empty) hides nothing.

    What names no person (no custodian) passes no list of persons (custodians): deny is the default.
    """

    persons: frozenset[PersonKey] | None = None
    """Only what is about one of these."""
    hidden_persons: frozenset[PersonKey] = frozenset()
    """Nothing that is about one of these."""
    custodians: frozenset[str] | None = None
    """Only what one of these holds: HSA-ids or references, as `ResourceType.custodian` gives them."""
    hidden_custodians: frozenset[str] = frozenset()
    """Nothing that one of these holds."""

    @classmethod
    def of(cls, person: PersonKey) -> Self:
        """What is about one person."""
        return cls(persons=frozenset({person}))

    @property
    def confines(self) -> bool:
        """Whether it can hide anything."""
        return self != EVERYTHING

    @property
    def person(self) -> PersonKey | None:
        """The one person whose resources can be found, if there is but one."""
        return next(iter(self.persons)) if self.persons is not None and len(self.persons) == 1 else None

    def permits(self, person: PersonKey | None, custodian: str | None) -> bool:
        """Whether a resource about `person`, held by `custodian`, may be found."""
        return _passes(person, self.persons, self.hidden_persons) and _passes(
            custodian, self.custodians, self.hidden_custodians
        )


def _passes(value: T | None, allowed: frozenset[T] | None, hidden: frozenset[T]) -> bool:
    if allowed is None and not hidden:
        return True
    return value is not None and (allowed is None or value in allowed) and value not in hidden


EVERYTHING = Policy()
"""Hides nothing."""
NOTHING = Policy(persons=frozenset())
"""Hides all there is."""
