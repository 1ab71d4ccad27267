# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Times of sources as FHIR dateTime (https://hl7.org/fhir/R4/datatypes.html#dateTime).

RIV-TA writes local Swedish time without zone; openEHR and FHIR may leave the zone out. Both are read in
Europe/Stockholm. A partial date keeps its precision. In the repeated hour of autumn the first pass is meant.
"""

from datetime import date, datetime
import re
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")
_RIVTA = re.compile(r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(\d{2})(\d{2}))?)?)?", re.ASCII)
_PARTIAL = re.compile(r"\d{4}(-\d{2})?", re.ASCII)
_HOUR_ONLY = re.compile(r"(.*T\d{2})(Z|[+-]\d{2}:?\d{2})?", re.ASCII)


class BadTime(ValueError):
    """The text is no time of its format, or no day of the calendar."""


def from_rivta(text: str) -> str:
    """`YYYYMMDDhhmmss`, `YYYYMMDD`, `YYYYMM` or `YYYY` as FHIR dateTime. Raises `BadTime`."""
    match = _RIVTA.fullmatch(text.strip())
    if match is None:
        raise BadTime("no time of the form YYYYMMDDhhmmss")
    parts = [int(each) for each in match.groups() if each is not None]
    try:
        if len(parts) == 6:
            year, month, day, hour, minute, second = parts
            return datetime(year, month, day, hour, minute, second, tzinfo=STOCKHOLM).isoformat()
        year, month, day = [*parts, 1, 1][:3]
        date(year, month, day)
    except ValueError:
        raise BadTime("no day or time of the calendar") from None
    return "-".join(each for each in match.groups() if each is not None)


def from_iso(text: str) -> str:
    """An ISO 8601 time or partial date as FHIR dateTime. Raises `BadTime`."""
    value = text.strip().replace(",", ".")
    if _PARTIAL.fullmatch(value):
        return from_rivta(value.replace("-", ""))
    hour = _HOUR_ONLY.fullmatch(value)
    if hour is not None:
        value = f"{hour.group(1)}:00{hour.group(2) or ''}"
    try:
        if "T" not in value:
            return date.fromisoformat(value).isoformat()
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise BadTime("no ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=STOCKHOLM)).isoformat()


def moment(fhir: str) -> datetime:
    """The moment a FHIR dateTime begins, for comparisons."""
    padded = f"{fhir}-01-01"[:10] if len(fhir) < 10 else fhir
    value = datetime.fromisoformat(padded)
    return value if value.tzinfo else value.replace(tzinfo=STOCKHOLM)


def is_instant(fhir: str) -> bool:
    """Whether the dateTime is exact to the second, as FHIR instant asks."""
    return len(fhir) > 10
