# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Local codes and what they mean in FHIR's own code systems, as far as a loaded map says it.

A mapping is pure and the maps are behind a call: a first pass writes down what it would like to know, the caller
asks `terminology`, and a second pass uses the answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.record import REQUIRED


@dataclass(frozen=True, slots=True)
class Wish:
    """A code to be translated."""

    system: str
    code: str
    target: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a code means in the target system."""

    code: str
    display: str | None = None
    equivalence: str = "equivalent"
    """ConceptMapEquivalence code."""

    @property
    def exact(self) -> bool:
        """Whether it means the same."""
        return self.equivalence in ("equal", "equivalent")


class Translations:
    """Known translations, and a note of every wish."""

    def __init__(self, known: Mapping[Wish, Target] | None = None) -> None:
        self._known = dict(known or {})
        self.wishes: set[Wish] = set()

    def find(self, system: str, code: str, target: str) -> Target | None:
        """The meaning in `target`, or None; codes outside a required binding are not used."""
        wish = Wish(system, code, target)
        self.wishes.add(wish)
        found = self._known.get(wish)
        if found is None or (target in REQUIRED and found.code not in REQUIRED[target]):
            return None
        return found
