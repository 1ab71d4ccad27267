# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Ids that sort by time (UUID version 7, RFC 9562 5.7), so that new rows land together."""

from datetime import datetime
import os
from uuid import UUID


def uuid7(now: datetime) -> UUID:
    """A UUIDv7 for the moment."""
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
