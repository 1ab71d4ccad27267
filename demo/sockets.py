# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Bytes that arrived at a listening process and were not read yet (Linux: /proc/net/tcp)."""

from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_ESTABLISHED = "01"


def bytes_waiting(port: int) -> int | None:
    """Unread bytes on established connections to the local port; None where the kernel does not tell."""
    if not _TABLE.exists():
        return None
    total = 0
    for line in _TABLE.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == _ESTABLISHED:
            total += int(fields[4].partition(":")[2], 16)
    return total
