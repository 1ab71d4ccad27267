# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How much one search may ask for; each is a setting of a deployment (docs/operations/settings.md)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """What is beyond is refused with 400 (`too-many`, `too-deep`); includes that are cut short are told as such."""

    parameters: int = 64
    """Parameters of a search."""
    values: int = 1000
    """Alternatives of one parameter."""
    ranges: int = 20
    """Alternatives of a date, number, quantity, composite or position: each is a scan of its own."""
    chain: int = 4
    """Links of a chain, either way."""
    sort: int = 4
    """Keys of an order."""
    includes: int = 16
    """_include and _revinclude of a search."""
    included: int = 1000
    """Resources that they bring to a page."""
    rounds: int = 5
    """Rounds of :iterate."""
    count: int = 1000
    """Matches of a page; more is no error, the page has as many."""


LIMITS: Final = SearchLimits()
"""Those of a deployment that sets none."""
