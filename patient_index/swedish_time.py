# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Swedish local time as RIV-TA writes it: YYYYMMDDhhmmss without a zone.

The rule stands here because a machine without a time zone database must read a message like any other. Directive
2000/84/EC: summer time from the last Sunday of March to the last Sunday of October, 01:00 UTC; until 1995 it ended in
September.
"""

from datetime import UTC, datetime, timedelta
import re

_FORM = re.compile(r"[0-9]{14}", re.ASCII)
_WINTER, _SUMMER = timedelta(hours=1), timedelta(hours=2)


def from_local(text: str) -> datetime:
    """The moment in UTC; the hour that occurs twice in autumn is taken as the first.

    Raises `ValueError` unless the text is 14 digits and a real date and time.
    """
    if not _FORM.fullmatch(text):
        raise ValueError("not of the form YYYYMMDDhhmmss")
    local = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    summer = local - _SUMMER
    return summer if _offset(summer) == _SUMMER else local - _WINTER


def to_local(moment: datetime) -> str:
    """The moment as Swedish local time, cut to seconds. Raises `ValueError` on a moment without a zone."""
    if moment.tzinfo is None:
        raise ValueError("the moment has no time zone")
    utc = moment.astimezone(UTC)
    return (utc + _offset(utc)).strftime("%Y%m%d%H%M%S")


def _offset(utc: datetime) -> timedelta:
    if utc.year < 1981:
        return _WINTER
    end = 10 if utc.year >= 1996 else 9
    return _SUMMER if _last_sunday(utc.year, 3) <= utc < _last_sunday(utc.year, end) else _WINTER


def _last_sunday(year: int, month: int) -> datetime:
    """The change of the clocks, 01:00 UTC."""
    last = datetime(year, month + 1, 1, 1, tzinfo=UTC) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() + 1) % 7)
