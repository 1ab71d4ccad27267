# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Periods with inclusive ends, and FHIR dateTimes read so that doubt denies."""

from dataclasses import dataclass
from datetime import datetime
import re
from typing import Any, Final

from fhir_server.outcome import Invalid

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """From and through, both inclusive; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        """Whether the moment lies within."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment <= self.end)

    def json(self) -> dict[str, str]:
        """As kept in the access document."""
        return {name: value.isoformat() for name, value in (("start", self.start), ("end", self.end)) if value}

    @classmethod
    def of_json(cls, value: dict[str, str]) -> "Period":
        """From the access document."""
        start, end = value.get("start"), value.get("end")
        return cls(datetime.fromisoformat(start) if start else None, datetime.fromisoformat(end) if end else None)


ALWAYS: Final = Period()


def period_of(value: Any, path: str, *, wide: bool) -> Period:
    """A FHIR Period. A date without time means the Swedish day: of its two possible offsets (summer, winter) the one

    is taken that makes the period longer where it restricts (`wide`) and shorter where it permits.

    Raises `Invalid` on an end before the start and on a moment that is no date.
    """
    if value is None:
        return ALWAYS
    if not isinstance(value, dict) or set(value) - {"start", "end"}:
        raise Invalid("a period has start and end", expression=path)
    start = (
        _moment(value["start"], f"{path}.start", "00:00:00", "+02:00" if wide else "+01:00")
        if "start" in value
        else None
    )
    end = (
        _moment(value["end"], f"{path}.end", "23:59:59.999999", "+01:00" if wide else "+02:00")
        if "end" in value
        else None
    )
    if start is not None and end is not None and end < start:
        raise Invalid("the period ends before it starts", expression=path, code="end-before-start")
    return Period(start, end)


def _moment(text: Any, path: str, time_of_day: str, offset: str) -> datetime:
    try:
        if isinstance(text, str) and _DATE.fullmatch(text):
            return datetime.fromisoformat(f"{text}T{time_of_day}{offset}")
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Invalid("write a date or a dateTime with its zone", expression=path) from None
    if moment.tzinfo is None:
        raise Invalid("write a date or a dateTime with its zone", expression=path)
    return moment
