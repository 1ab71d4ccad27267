# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The account of a mapping: every leaf of the source is mapped, declared context, or named as a loss.

Nothing is picked by hand: what no rule took and no declaration names is a loss because it is left over.
"""

from collections.abc import Iterable
from dataclasses import dataclass
import re

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Loss:
    """Something the source said that has no place in the answer. Never holds the value itself."""

    path: str
    """Where in the source, without positions."""
    reason: str
    count: int = 1


NO_PLACE = "has no place in the FHIR resource"


class Account:
    """Keeps the books over the leaves of one source record."""

    def __init__(self, leaves: Iterable[str]) -> None:
        self._open = dict.fromkeys(leaves)
        self._mapped: list[str] = []
        self._context: list[str] = []
        self._lost: list[tuple[str, str]] = []

    def mapped(self, path: str) -> None:
        """The leaf at `path` stands in the answer."""
        if path in self._open:
            del self._open[path]
            self._mapped.append(path)

    def context(self, path: str) -> None:
        """The leaf describes the message, not the person: declared, not carried over."""
        if path in self._open:
            del self._open[path]
            self._context.append(path)

    def lost(self, path: str, reason: str = NO_PLACE, *, told: str | None = None) -> None:
        """Names a loss: a leaf that is left out, or one that is carried over with less meaning.

        `told` names what many leaves belong to, so that they are told as one loss.
        """
        self._open.pop(path, None)
        self._lost.append((told or path, reason))

    def context_where(self, pattern: re.Pattern[str]) -> None:
        """Declares every open leaf whose path without positions matches as context."""
        for path in [each for each in self._open if pattern.fullmatch(general(each))]:
            self.context(path)

    @property
    def open_leaves(self) -> tuple[str, ...]:
        """What nothing has been said about yet."""
        return tuple(self._open)

    @property
    def mapped_leaves(self) -> tuple[str, ...]:
        """What stands in the answer."""
        return tuple(self._mapped)

    @property
    def context_leaves(self) -> tuple[str, ...]:
        """What was declared to be context."""
        return tuple(self._context)

    def close(self) -> tuple[Loss, ...]:
        """The losses, alike ones counted together; whatever is still open is one."""
        for path in list(self._open):
            self.lost(path)
        return merged(Loss(general(path), reason) for path, reason in self._lost)


def general(path: str) -> str:
    """The path without positions, so that alike losses are told once."""
    return _INDEX.sub("", path)


def merged(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Alike losses as one with their count, in order of path."""
    counts: dict[tuple[str, str], int] = {}
    for each in losses:
        key = (each.path, each.reason)
        counts[key] = counts.get(key, 0) + each.count
    return tuple(Loss(path, reason, count) for (path, reason), count in sorted(counts.items()))
