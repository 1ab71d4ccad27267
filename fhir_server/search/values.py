# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What an element means to a search: the same rules for what is stored and for what is asked.

https://hl7.org/fhir/R4/search.html#ptypes, each function one parameter type.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import hashlib
import math
import re
from typing import Any
import unicodedata

_REFERENCE = re.compile(
    r"(?:(?P<base>https?://.+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/.+)?"
)
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(T.+)?)?)?")
_FRACTION = re.compile(r"\.(\d{1,6})")
_NOT_TEXT = frozenset({"id", "use", "type", "extension", "period", "system"})
_LIMIT = 250
"""Characters of a value in an index: PostgreSQL refuses rows of more than 2,704 bytes there."""
_CURRENCIES = "urn:iso:std:iso:4217"
_INFINITE = Decimal("Infinity")

Moments = tuple[datetime, datetime]
Amount = tuple[str | None, str | None, str | None, Decimal, Decimal]
Target = tuple[str | None, str | None, str | None, str | None, str | None]


def bounded(text: str) -> str:
    """The text as it is indexed: what is too long for an index ends in its digest; U+0000 cannot be stored."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if len(text) <= _LIMIT:
        return text
    return text[: _LIMIT - 33] + "#" + hashlib.sha256(text.encode()).hexdigest()[:32]


def normalised(text: str) -> str:
    """Lower case, without accents, spaces joined: how strings are compared."""
    plain = text.replace("\x00", "")
    if plain.isascii():  # nothing to decompose: six times faster, and most texts are
        return " ".join(plain.lower().split())
    for _ in range(2):  # decomposing may bring new capitals, and folding new combinations (Unicode 3.13, D146)
        plain = unicodedata.normalize("NFKD", plain).casefold()
    plain = "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))
    return " ".join(plain.split())


def tokens_of(value: Any) -> Iterator[tuple[str | None, str]]:
    """(system, code) of a code, boolean, Coding, CodeableConcept, Identifier or ContactPoint."""
    if isinstance(value, bool):
        yield None, "true" if value else "false"
    elif isinstance(value, str):
        yield None, bounded(value)
    elif isinstance(value, (int, float)):
        yield None, str(value)
    elif isinstance(value, dict):
        if "coding" in value:
            for coding in value["coding"]:
                yield from tokens_of(coding)
            return
        system, code = value.get("system"), value.get("code", value.get("value"))
        if isinstance(code, str):
            yield bounded(system) if isinstance(system, str) else None, bounded(code)


def display_of(value: Any) -> Iterator[str]:
    """The texts the modifier :text reads: display, text, and the text of an identifier's type."""
    if not isinstance(value, dict):
        return
    kind = value.get("type")
    for text in (value.get("text"), value.get("display"), kind.get("text") if isinstance(kind, dict) else None):
        if isinstance(text, str):
            yield text.replace("\x00", "")
    for coding in value.get("coding", ()):
        if isinstance(coding, dict):
            yield from display_of(coding)


def typed_identifiers_of(value: Any) -> Iterator[tuple[str | None, str]]:
    """(system of the type, code of the type|value) of an Identifier with a type, for :of-type."""
    if isinstance(value, dict) and isinstance(value.get("type"), dict) and isinstance(value.get("value"), str):
        for system, code in tokens_of(value["type"]):
            yield system, bounded(f"{code}|{value['value']}")


def strings_of(value: Any) -> Iterator[str]:
    """The texts of a string, HumanName or Address."""
    if isinstance(value, str):
        yield value.replace("\x00", "")
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in _NOT_TEXT:
                for text in part if isinstance(part, list) else [part]:
                    if isinstance(text, str):
                        yield text.replace("\x00", "")


def references_of(value: Any) -> Iterator[Target]:
    """(type, id or URL, base, identifier system, identifier value) of a Reference, canonical, uri or resource."""
    identifier: Any = {}
    kind, reference = None, value
    if isinstance(value, dict):
        identifier = {} if "resourceType" in value else value.get("identifier") or {}
        kind, reference = value.get("type"), value.get("reference")
        if "resourceType" in value and "id" in value:  # the first entry of a document or message
            reference = f"{value['resourceType']}/{value['id']}"
    system, number = identifier.get("system"), identifier.get("value")
    named = (bounded(system) if system else None, bounded(number) if number else None)
    match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is not None:
        yield match["type"], match["id"], bounded(match["base"]) if match["base"] else None, *named
    elif isinstance(reference, str):
        # A canonical is found with and without its version.
        for each in dict.fromkeys((reference, reference.partition("|")[0])):
            yield kind, bounded(each), None, *named
    elif number:
        yield kind, None, None, *named


def date_range(text: str) -> Moments | None:
    """The instants from (inclusive) and to (exclusive) that a date of any precision covers; None if it is no date."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, time = match.groups()
    try:
        if time is not None:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            moment = moment.astimezone(UTC)
            fraction = _FRACTION.search(time)
            return moment, moment + timedelta(microseconds=10 ** (6 - len(fraction[1])) if fraction else 1_000_000)
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        if day is not None:
            return start, start + timedelta(days=1)
        if month is not None:
            return start, datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        return start, datetime(start.year + 1, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def dates_of(value: Any) -> Iterator[Moments]:
    """The ranges of a date, dateTime, instant, Period or Timing."""
    if isinstance(value, str):
        covered = date_range(value)
        if covered is not None:
            yield covered
    elif isinstance(value, dict):
        if "start" in value or "end" in value:
            start = date_range(value["start"]) if "start" in value else None
            end = date_range(value["end"]) if "end" in value else None
            yield (
                start[0] if start else datetime.min.replace(tzinfo=UTC),
                end[1] if end else datetime.max.replace(tzinfo=UTC),
            )
        for event in value.get("event", ()):
            yield from dates_of(event)
        repeat = value.get("repeat")
        if isinstance(repeat, dict):
            yield from dates_of(repeat.get("boundsPeriod"))


def quantities_of(value: Any) -> Iterator[Amount]:
    """(system, code, unit, low, high) of a number, Quantity, Money or Range; open ends are infinite."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value):
            number = Decimal(repr(value))
            yield None, None, None, number, number
        return
    if not isinstance(value, dict):
        return
    if "low" in value or "high" in value:
        yield from _range(value.get("low") or {}, value.get("high") or {})
        return
    amount = _number(value)
    if amount is None:
        return
    low, high = amount, amount
    comparator = value.get("comparator", "")
    if comparator.startswith("<"):
        low = -_INFINITE
    elif comparator.startswith(">"):
        high = _INFINITE
    yield *_unit(value), low, high


def position_of(value: Any) -> tuple[Decimal, Decimal] | None:
    """Latitude and longitude in degrees (https://hl7.org/fhir/R4/location-definitions.html#Location.position)."""
    if not isinstance(value, dict):
        return None
    latitude, longitude = (_number({"value": value.get(name)}) for name in ("latitude", "longitude"))
    return None if latitude is None or longitude is None else (latitude, longitude)


def _range(low: Any, high: Any) -> Iterator[Amount]:
    first, last = _number(low), _number(high)
    if first is not None or last is not None:
        bounds = (-_INFINITE if first is None else first, _INFINITE if last is None else last)
        yield *_unit(low if first is not None else high), *bounds


def _number(value: Any) -> Decimal | None:
    number = value.get("value")
    if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number):
        return Decimal(repr(number))
    return None


def _unit(value: Any) -> tuple[str | None, str | None, str | None]:
    if isinstance(value.get("currency"), str):
        return _CURRENCIES, bounded(value["currency"]), None
    system, code, unit = (value.get(name) for name in ("system", "code", "unit"))
    return (
        bounded(system) if isinstance(system, str) else None,
        bounded(code) if isinstance(code, str) else None,
        bounded(unit) if isinstance(unit, str) else None,
    )
