# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Personnummer, samordningsnummer and national reserve numbers: validation and normalisation.

Sources: Skatteverket's rules and published test numbers; HL7 Sweden base profiles for the systems;
folkbokföringslagen (1991:481) 18 §.
"""

from dataclasses import dataclass
from datetime import date
import re

from identifiers import systems
from identifiers.check_digit import luhn
from identifiers.hsa_id import InvalidHsaId, parse_hsa_id

__all__ = ["InvalidPersonNumber", "PersonIdentifier", "birth_date", "parse", "parse_swedish", "sex"]

_TWELVE = re.compile(r"[0-9]{12}", re.ASCII)
_WRITTEN = re.compile(r"([0-9]{8}|[0-9]{6})([-+]?)([0-9]{4})", re.ASCII)
_LETTERS = "A-HJ-NPR-UX-Za-hj-npr-ux-z"
_RESERVE = re.compile(
    # Birth date known: the century raised by a multiple of three (21-98), month, day.
    # Unknown: 00, month 20-99, day 40-59.
    r"((?:2[1-9]|[3-8][0-9]|9[0-8])[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])|00[0-9]{2}[2-9][0-9][45][0-9])"
    rf"-?([{_LETTERS}]{{2}}[0-9{_LETTERS}][0-9])",
    re.ASCII,
)
_NATIONAL = (systems.PERSONNUMMER, systems.SAMORDNINGSNUMMER, systems.NATIONAL_RESERVE_NUMBER)


@dataclass(frozen=True, slots=True)
class PersonIdentifier:
    """An identifier of a person in canonical form: system URI and value without separators."""

    system: str
    value: str

    def __repr__(self) -> str:
        """Never shows the number: a repr may end in a log or a traceback."""
        return f"PersonIdentifier({self.system!r}, '…')"


class InvalidPersonNumber(ValueError):
    """The text is no person identifier of its system. The message never repeats the number."""


def parse(system: str, text: str, *, today: date | None = None) -> PersonIdentifier:
    """The canonical identifier for `text` in `system` (URI or OID alias).

    Among the three national numbers the value decides which it is: a samordningsnummer sent as personnummer gets
    its own system. `today` places a ten-digit number in its century and refuses a birth date after it; without it
    only twelve digits are taken. Systems without a rule keep their value, trimmed.
    Raises `InvalidPersonNumber` with what is wrong.
    """
    canonical = systems.canonical_system(system)
    if canonical in _NATIONAL:
        return parse_swedish(text, today=today)
    value = text.strip()
    if not value:
        raise InvalidPersonNumber("the identifier is empty")
    if canonical == systems.HSA_ID:
        try:
            return PersonIdentifier(canonical, parse_hsa_id(value))
        except InvalidHsaId as error:
            raise InvalidPersonNumber(str(error)) from None
    return PersonIdentifier(canonical, value)


def parse_swedish(text: str, *, today: date | None = None) -> PersonIdentifier:
    """The identifier for a number written without its system, as in RIV-TA's engagement index.

    `today` as for `parse`. Raises `InvalidPersonNumber` unless it is a personnummer, a samordningsnummer or a
    national reserve number.
    """
    value = text.strip()
    if not value:
        raise InvalidPersonNumber("the identifier is empty")
    reserve = _RESERVE.fullmatch(value)
    if reserve is not None:
        return PersonIdentifier(systems.NATIONAL_RESERVE_NUMBER, "".join(reserve.groups()).upper())
    digits = _twelve_digits(value, today)
    system = systems.SAMORDNINGSNUMMER if int(digits[6:8]) >= 60 else systems.PERSONNUMMER
    _check(system, digits, today)
    return PersonIdentifier(system, digits)


def birth_date(identifier: PersonIdentifier) -> str | None:
    """The birth date a number carries, as a FHIR date; year or year and month where a samordningsnummer has no more.

    None for other systems: the date in a national reserve number is not told apart from a serial.
    """
    if identifier.system == systems.PERSONNUMMER:
        return f"{identifier.value[:4]}-{identifier.value[4:6]}-{identifier.value[6:8]}"
    if identifier.system != systems.SAMORDNINGSNUMMER:
        return None
    year, month, day = identifier.value[:4], identifier.value[4:6], int(identifier.value[6:8]) - 60
    if month == "00":
        return year
    try:
        return date(int(year), int(month), day).isoformat()
    except ValueError:
        return f"{year}-{month}"


def sex(identifier: PersonIdentifier) -> str | None:
    """The sex the eleventh digit of a personnummer or samordningsnummer carries, male or female, else None."""
    if identifier.system not in (systems.PERSONNUMMER, systems.SAMORDNINGSNUMMER):
        return None
    return "male" if int(identifier.value[10]) % 2 else "female"


def _check(system: str, digits: str, today: date | None) -> None:
    if digits[:2] not in ("18", "19", "20"):
        raise InvalidPersonNumber("the century must be 18, 19 or 20")
    month, day = int(digits[4:6]), int(digits[6:8])
    if system == systems.PERSONNUMMER:
        try:
            born = date(int(digits[:4]), month, day)
        except ValueError:
            raise InvalidPersonNumber("the first eight digits are no date of the calendar") from None
        if today is not None and born > today:
            raise InvalidPersonNumber("the birth date lies in the future")
    elif month > 12 or day > 91:
        raise InvalidPersonNumber("a samordningsnummer has month 00-12 and day 60-91")
    if digits[8:11] == "000":
        raise InvalidPersonNumber("the serial number 000 is never given")
    if luhn(digits[2:11]) != int(digits[11]):
        raise InvalidPersonNumber("the check digit is wrong")


def _twelve_digits(text: str, today: date | None) -> str:
    if _TWELVE.fullmatch(text):
        return text
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise InvalidPersonNumber("expected twelve digits, YYYYMMDDNNNC")
    born, sign, tail = match.groups()
    if len(born) == 8:
        if sign == "+":
            raise InvalidPersonNumber("the sign + belongs to the ten-digit form")
        return born + tail
    if today is None:
        raise InvalidPersonNumber("a ten-digit number needs its century: send twelve digits")
    return _with_century(born, sign, today) + tail


def _with_century(born: str, sign: str, today: date) -> str:
    """`-` or none: the latest matching date not after today; `+`: the year in which the person turned 100 has come."""
    year = today.year - today.year % 100 + int(born[:2])
    if (year, *_month_and_day(year, born)) > (today.year, today.month, today.day):
        year -= 100
    if sign == "+":
        while today.year - year < 100:
            year -= 100
    return f"{year:04d}{born[2:]}"


def _month_and_day(year: int, born: str) -> tuple[int, int]:
    """What is compared with today; a samordningsnummer's unknown month or impossible day counts as the first."""
    month, day = int(born[2:4]), int(born[4:6])
    if day < 60:
        return month, day
    month, day = month or 1, day - 60
    try:
        date(year, month, day)
    except ValueError:
        day = 1
    return month, day
