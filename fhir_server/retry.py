# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""When to try again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling waits with jitter, so that many waiting deliveries do not come back as one wave."""

    base: float = 1.0
    """Seconds before the first repetition, at most."""
    cap: float = 300.0
    """Longest wait in seconds."""

    def seconds(self, attempts: int, chance: float) -> float:
        """The wait after so many attempts; `chance` in [0, 1) places it in the upper half of its span."""
        span = min(self.cap, self.base * 2.0 ** min(max(attempts - 1, 0), _DOUBLINGS))
        return span * (0.5 + chance / 2)

    def next(self, attempts: int, chance: float, now: datetime, after: timedelta | None = None) -> datetime:
        """The moment of the next attempt; never before the receiver's `Retry-After`."""
        return now + max(timedelta(seconds=self.seconds(attempts, chance)), after or timedelta())


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The wait a `Retry-After` header asks for (RFC 9110 10.2.3), at most a day; None if absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), 86_400))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), timedelta(days=1))
