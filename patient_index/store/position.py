# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A place in the change feed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the feed: everything at or before it has been told."""

    transaction: int
    entry_key: bytes
