# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Dates, times and quantities with the precision that FHIRPath compares by.

http://hl7.org/fhirpath/N1/#comparison: values of different precision that agree as far as both go compare to nothing.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
import re
from typing import Final

_MOMENT: Final = re.compile(
    r"(?:(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2}))?)?)?"
    r"(?P<t>T(?:(?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?)?)?)?(?P<zone>Z|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_TIME: Final = re.compile(r"(?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?)?", re.ASCII)
SAME_UNITS: Final = {
    "week": "wk", "weeks": "wk", "day": "d", "days": "d", "hour": "h", "hours": "h", "minute": "min", "minutes": "min",
    "second": "s", "seconds": "s", "millisecond": "ms", "milliseconds": "ms", "years": "year", "months": "month",
}  # fmt: skip
"""A calendar year is no `a` of 365.25 days: the two don't compare, though they are equivalent."""
_EQUIVALENT: Final = {"year": "a", "month": "mo"}
_CALENDAR: Final = {"s": "second", "ms": "millisecond", "min": "minute", "h": "hour", "d": "day", "wk": "week"}
_FACTORS: Final = {
    "ms": ("s", Decimal("0.001")), "s": ("s", Decimal(1)), "min": ("s", Decimal(60)), "h": ("s", Decimal(3600)),
    "d": ("s", Decimal(86400)), "wk": ("s", Decimal(604800)), "mg": ("g", Decimal("0.001")), "g": ("g", Decimal(1)),
    "kg": ("g", Decimal(1000)), "ug": ("g", Decimal("0.000001")), "mm": ("m", Decimal("0.001")),
    "[lb_av]": ("g", Decimal("453.59237")), "[oz_av]": ("g", Decimal("28.349523125")),
    "[in_i]": ("m", Decimal("0.0254")), "[ft_i]": ("m", Decimal("0.3048")),
    "month": ("month", Decimal(1)), "year": ("month", Decimal(12)),
    "mo": ("s", Decimal(2629800)), "a": ("s", Decimal(31557600)),
    "cm": ("m", Decimal("0.01")), "m": ("m", Decimal(1)), "km": ("m", Decimal(1000)), "mL": ("L", Decimal("0.001")),
    "L": ("L", Decimal(1)), "dL": ("L", Decimal("0.1")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit."""

    value: Decimal
    unit: str

    def base(self) -> tuple[Decimal, str]:
        """In the unit that others of its dimension are told in."""
        unit = SAME_UNITS.get(self.unit, self.unit)
        name, factor = _FACTORS.get(unit, (unit, Decimal(1)))
        return self.value * factor, name

    def compare(self, other: "Quantity") -> int | None:
        """-1, 0, 1, or None for units that don't compare."""
        (mine, unit), (theirs, other_unit) = self.base(), other.base()
        if unit != other_unit:
            return None
        return (mine > theirs) - (mine < theirs)

    def equivalent(self, other: "Quantity") -> bool:
        """`~`: a calendar year is as good as `a`, a month as `mo`."""
        mine, theirs = (Quantity(each.value, _EQUIVALENT.get(each.unit.removesuffix("s"), each.unit))
                        for each in (self, other))  # fmt: skip
        return mine.compare(theirs) == 0


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, a dateTime or a time, as far as it is given."""

    kind: str
    """Date, DateTime or Time."""
    parts: tuple[int | Decimal, ...]
    """Year, month, day, hour, minute, second; a time begins at the hour."""
    zone: int | None
    """Minutes from UTC."""
    text: str

    def compare(self, other: "Moment") -> int | None:
        """-1, 0, 1, or None if precision or zone leave it open."""
        if (self.kind == "Time") != (other.kind == "Time"):
            return None
        mine, theirs = self.parts, other.parts
        if self.kind != "Time" and len(mine) > 3 and len(theirs) > 3:
            if (self.zone is None) != (other.zone is None):
                return None
            mine, theirs = self._utc(), other._utc()
        for one, two in zip(mine, theirs, strict=False):
            if one != two:
                return -1 if one < two else 1
        return 0 if len(mine) == len(theirs) else None

    def _utc(self) -> tuple[int | Decimal, ...]:
        if not self.zone:
            return self.parts
        year, month, day, hour, minute = (int(each) for each in (*self.parts[:5], 0)[:5])
        moved = datetime(year, month, day, hour, minute, tzinfo=UTC) - timedelta(minutes=self.zone)
        whole: tuple[int | Decimal, ...] = (moved.year, moved.month, moved.day, moved.hour, moved.minute)
        return (*whole[: len(self.parts)], *self.parts[5:])

    def plus(self, quantity: Quantity) -> "Moment | None":
        """The moment so much later (earlier if negative); None if the unit has no place in time arithmetic."""
        unit = _CALENDAR.get(quantity.unit, quantity.unit.removesuffix("s"))
        count = quantity.value if unit in ("second", "millisecond") else Decimal(int(quantity.value))
        if self.kind == "Time":
            return self._time_plus(unit, count)
        if unit in ("year", "month"):
            return self._months_plus(int(count) * (12 if unit == "year" else 1))
        seconds = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "second": 1}.get(unit)
        if seconds is None and unit != "millisecond":
            return None
        size = Decimal(seconds) * count if seconds is not None else count / 1000
        if len(self.parts) < 3:
            return self._months_plus(int(size / (86400 * (365 if len(self.parts) == 1 else 30)))
                                     * (12 if len(self.parts) == 1 else 1))  # fmt: skip
        if len(self.parts) == 3:
            size = Decimal(int(size / 86400) * 86400)
        full = (*self.parts, 0, 0, 0)[:6]
        second = Decimal(full[5])
        year, month, day, hour, minute = (int(each) for each in full[:5])
        base = datetime(year, month, day, hour, minute, tzinfo=UTC)
        micro = int((second + size) * 1_000_000)
        moved = base + timedelta(microseconds=micro)
        last = Decimal(moved.second) + Decimal(moved.microsecond) / 1_000_000
        parts = (moved.year, moved.month, moved.day, moved.hour, moved.minute, last)[: len(self.parts)]
        return Moment(self.kind, parts, self.zone, _text(self, parts))

    def _months_plus(self, months: int) -> "Moment":
        year, month = int(self.parts[0]), int(self.parts[1]) if len(self.parts) > 1 else 1
        total = year * 12 + month - 1 + months
        year, month = total // 12, total % 12 + 1
        rest = list(self.parts[2:])
        if rest:
            following = date(year + month // 12, month % 12 + 1, 1)
            rest[0] = min(int(rest[0]), (following - timedelta(days=1)).day)
        parts: tuple[int | Decimal, ...] = (year, month, *rest)[: len(self.parts)]
        return Moment(self.kind, parts, self.zone, _text(self, parts))

    def _time_plus(self, unit: str, count: Decimal) -> "Moment | None":
        factor = {"hour": Decimal(3600), "minute": Decimal(60), "second": Decimal(1), "millisecond": Decimal("0.001")}
        if unit not in factor:
            return None
        hour, minute, second = (Decimal(each) for each in (*self.parts, 0, 0)[:3])
        total = (hour * 3600 + minute * 60 + second + factor[unit] * count) % 86400
        parts: tuple[int | Decimal, ...] = (int(total // 3600), int(total % 3600 // 60), total % 60)
        parts = parts[: len(self.parts)]
        return Moment("Time", parts, None, _text(self, parts))


def _text(like: Moment, parts: tuple[int | Decimal, ...]) -> str:
    at = 2 if like.kind == "Time" else 5
    texts = [f"{int(each):02d}" for each in parts]
    if len(parts) > at and "." in like.text:
        texts[at] = f"{Decimal(parts[at]):06.3f}"
    if like.kind == "Time":
        return ":".join(texts)
    day = "-".join([f"{int(parts[0]):04d}", *texts[1:3]])
    if len(parts) < 4:
        return day + ("T" if like.kind == "DateTime" and "T" in like.text else "")
    zone = "" if like.zone is None else "Z" if like.text.endswith("Z") else like.text[-6:]
    return f"{day}T{':'.join(texts[3:])}{zone}"


def moment(text: str) -> Moment | None:
    """A date, a dateTime (with T) or a time (beginning with T) from its text."""
    match = _MOMENT.fullmatch(text)
    if match is None or (match["year"] is None and match["hour"] is None):
        return None
    if match["year"] is None:
        return time_of(text[1:])
    if match["t"] and match["hour"] and match["day"] is None:
        return None
    parts = _parts(match, ("year", "month", "day", "hour", "minute", "second"))
    if match["day"] is not None:
        try:
            date(*(int(each) for each in parts[:3]))
        except ValueError:
            return None
    zone = match["zone"]
    minutes = None if zone is None else 0 if zone == "Z" else _minutes(zone)
    return Moment("DateTime" if match["t"] else "Date", parts, minutes, text)


def time_of(text: str) -> Moment | None:
    """A time of day from its text, without T."""
    match = _TIME.fullmatch(text)
    return Moment("Time", _parts(match, ("hour", "minute", "second")), None, text) if match else None


def _parts(match: re.Match[str], names: tuple[str, ...]) -> tuple[int | Decimal, ...]:
    return tuple(
        Decimal(match[name]) if name == "second" else int(match[name]) for name in names if match[name] is not None
    )


def _minutes(zone: str) -> int:
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes
