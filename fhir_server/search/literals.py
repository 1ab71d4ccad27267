# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Parses the values of search parameters (https://hl7.org/fhir/R4/search.html#ptypes, #prefix, #escaping)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import re
from typing import Final, Literal, cast, get_args

from fhir_server.outcome import Invalid
from fhir_server.search.parameters import SearchParameter
from fhir_server.search.values import bounded, date_range, normalised

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
PREFIXES: Final[tuple[Prefix, ...]] = get_args(Prefix)
"""Of a date, a number and a quantity."""

_PREFIX = rf"({'|'.join(PREFIXES)})?"
_DATE = re.compile(_PREFIX + r"(\d{4}.*)")
_NUMBER = re.compile(_PREFIX + r"([+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?)")
_PLAIN = re.compile(r"[+-]?\d{1,10}(?:\.\d{1,20})?")
_NEAR = "10"
"""Kilometres that are near where a search does not say."""
_KILOMETRES = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "[mi_us]": 1.609347, "[nmi_i]": 1.852}
"""UCUM units of length."""
_APPROXIMATELY = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`system` None: any system; "": no system. `code` None: any code of the system."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class StringValue:
    """The text as it is compared, and as it was given."""

    text: str
    exact: str


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """A literal reference, or an identifier for `:identifier`. `base` None: this server."""

    type: str | None
    target: str | None
    identifier: TokenValue | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class DateValue:
    """A range of instants, its end not included, and how it is compared."""

    prefix: Prefix
    low: datetime
    high: datetime


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """A number with the range its precision covers; `code` is compared with code and unit if `system` is None."""

    prefix: Prefix
    number: Decimal
    low: Decimal
    high: Decimal
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class NearValue:
    """A place in degrees, and how far from it is near."""

    latitude: float
    longitude: float
    kilometres: float


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """All must match in one group."""

    first: TokenValue
    second: "Value"
    third: "Value | None" = None


Value = TokenValue | StringValue | ReferenceValue | DateValue | QuantityValue | NearValue | CompositeValue


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meaning of a value depends on: the moment of the request and the address of the server."""

    now: datetime
    base: str | None = None

    def value(self, parameter: SearchParameter, modifier: str | None, text: str) -> Value:
        """The value of one parameter. Raises `Invalid` naming it."""
        if parameter.type == "composite":
            parts = split(text, "$")
            if len(parts) != len(parameter.components):
                raise Invalid(f"{parameter.code} takes its {len(parameter.components)} components joined by $")
            others = (
                self._simple(each.type, parameter.code, None, (), part)
                for each, part in zip(parameter.components[1:], parts[1:], strict=True)
            )
            return CompositeValue(token(parts[0]), *others)
        return self._simple(parameter.type, parameter.code, modifier, parameter.target, text)

    def date(self, text: str, code: str) -> DateValue:
        """A date with its prefix. Raises `Invalid`."""
        match = _DATE.fullmatch(text)
        covered = date_range(match.group(2).replace(" ", "+")) if match else None
        if match is None or covered is None:
            raise Invalid(f"search parameter {code} must be a date, with an optional prefix like ge2026-01-01")
        low, high = covered
        if match.group(1) == "ap":
            # "The recommended value is 10 % of the gap between now and the date" (search.html#prefix).
            gap = max(abs(self.now - low), abs(self.now - high)) * float(_APPROXIMATELY)
            low, high = _moved(low, -gap), _moved(high, gap)
        return DateValue(cast(Prefix, match.group(1) or "eq"), low, high)

    def _simple(self, kind: str, code: str, modifier: str | None, target: tuple[str, ...], text: str) -> Value:
        match kind:
            case "token":
                return token(text)
            case "reference":
                return self._reference(target, modifier, text)
            case "date":
                return self.date(text, code)
            case "number" | "quantity":
                return quantity(text, code, plain=kind == "number")
            case "string":
                return string(text, code)
            case "special":
                return near(text, code)
            case _:
                return TokenValue(None, bounded(unescape(text)))

    def _reference(self, target: tuple[str, ...], modifier: str | None, text: str) -> ReferenceValue:
        if modifier == "identifier":
            return ReferenceValue(None, None, token(text))
        if modifier is not None and modifier[0].isupper():
            target = (modifier,)
        text = unescape(text)
        head, slash, identity = text.rpartition("/")
        if not slash:
            return ReferenceValue(target[0] if len(target) == 1 and ":" not in text else None, bounded(text))
        base, _, kind = head.rpartition("/")
        if not re.fullmatch(r"[A-Z][A-Za-z]+", kind) or not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", identity):
            return ReferenceValue(None, bounded(text))
        return ReferenceValue(kind, identity, base=bounded(base) if base and base != self.base else None)


def token(text: str) -> TokenValue:
    """`code`, `system|code`, `|code` or `system|`."""
    parts = split(text, "|")
    if len(parts) == 1:
        return TokenValue(None, bounded(unescape(text)))
    code = "|".join(parts[1:])
    return TokenValue(bounded(unescape(parts[0])), bounded(unescape(code)) if code else None)


def typed_identifier(text: str, code: str) -> TokenValue:
    """`system|code|value` of `:of-type`. Raises `Invalid`."""
    parts = [unescape(each) for each in split(text, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Invalid(f"{code}:of-type takes system|code|value")
    return TokenValue(bounded(parts[0]) or None, bounded(f"{parts[1]}|{parts[2]}"))


def string(text: str, code: str) -> StringValue:
    """A text. Raises `Invalid` if nothing is left of it to compare."""
    exact = unescape(text)
    if not normalised(exact):
        raise Invalid(f"search parameter {code} has no value")
    return StringValue(normalised(exact), exact)


def quantity(text: str, code: str, *, plain: bool) -> QuantityValue:
    """`number`, or `number|system|code` unless `plain`. Raises `Invalid`."""
    number, *unit = split(text, "|")
    match = _NUMBER.fullmatch(number)
    if match is None or len(unit) not in ((0,) if plain else (0, 2)):
        form = "a number" if plain else "a number or number|system|code"
        raise Invalid(f"search parameter {code} must be {form}, with an optional prefix like ge5.4")
    value = Decimal(match.group(2))
    prefix = cast(Prefix, match.group(1) or "eq")
    if prefix == "ap":
        spread = abs(value) * _APPROXIMATELY
    else:
        # 5.40 stands for what is rounded to it (search.html#number).
        spread = Decimal(5).scaleb(cast(int, value.as_tuple().exponent) - 1)
    system, unit_code = (bounded(unescape(each)) or None for each in unit) if unit else (None, None)
    return QuantityValue(prefix, value, value - spread, value + spread, system, unit_code)


def near(text: str, code: str) -> NearValue:
    """`latitude|longitude|distance|unit` (https://hl7.org/fhir/R4/location.html#search). Raises `Invalid`.

    The distance is ours to choose where it is left out, and a unit left out is km.
    """
    parts = split(text, "|")
    latitude, longitude, distance, unit = (*parts, "", "", "")[:4]
    distance, unit = distance or _NEAR, unit or "km"
    plain = all(_PLAIN.fullmatch(each) for each in (latitude, longitude, distance))
    if not plain or unit not in _KILOMETRES or len(parts) > 4:
        raise Invalid(
            f"search parameter {code} must be latitude|longitude|distance|unit in degrees, the unit one of "
            + ", ".join(_KILOMETRES)
        )
    north, east, away = float(latitude), float(longitude), float(distance) * _KILOMETRES[unit]
    if abs(north) > 90 or abs(east) > 180 or away < 0:
        raise Invalid(f"search parameter {code} has a latitude beyond 90, a longitude beyond 180 or a distance below 0")
    return NearValue(north, east, away)


def split(text: str, separator: str) -> list[str]:
    """Splits at separators that are not escaped; the parts are still escaped."""
    if "\\" not in text:
        return text.split(separator)
    parts, current, escaped = [], "", False
    for char in text:
        if char == separator and not escaped:
            parts.append(current)
            current = ""
        else:
            current += char
        escaped = char == "\\" and not escaped
    return [*parts, current]


def unescape(text: str) -> str:
    """https://hl7.org/fhir/R4/search.html#escaping."""
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if by > timedelta() else datetime.min.replace(tzinfo=UTC)
