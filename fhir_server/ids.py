# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Ids that sort by time (UUID version 7, RFC 9562 5.7), so that new rows land together."""

from datetime import datetime
import os
from uuid import UUID


def uuid7(now: datetime) -> UUID:
    """A UUIDv7 for the moment."""
    return UUID(uuid7_text(now))


def uuid7_text(now: datetime) -> str:
    """The same as text, four times as fast."""
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    random = os.urandom(10).hex()
    made = f"{milliseconds:012x}7{random[:3]}{'89ab'[int(random[3], 16) & 3]}{random[4:19]}"
    return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"
