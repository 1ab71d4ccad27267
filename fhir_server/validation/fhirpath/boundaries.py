# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How exact a value is told: precision and boundaries. https://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal

Precision counts decimal places of a number, digits of a date or time. Where the official cases leave a choice (which
way a boundary is cut to fewer places) we do as they do.
"""

from calendar import monthrange
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any, Final

from fhir_server.validation.fhirpath import operators
from fhir_server.validation.fhirpath.engine import Environment, Function, Items, Term
from fhir_server.validation.fhirpath.parse import FhirPathError
from fhir_server.validation.fhirpath.values import Moment, Quantity, moment, time_of

_PLACES: Final = 8
_MOST_PLACES: Final = 28
_DIGITS: Final = {"Date": (4, 6, 8), "DateTime": (4, 6, 8, 10, 12, 14, 17), "Time": (2, 4, 6, 9)}
_LATEST, _EARLIEST = "-12:00", "+14:00"


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _number(value: Decimal, high: bool, places: int | None) -> Decimal | None:
    places = _PLACES if places is None else places
    if not 0 <= places <= _MOST_PLACES:
        return None
    with localcontext(prec=_MOST_PLACES * 3):
        bound = value + (1 if high else -1) * Decimal(5).scaleb(-_places(value) - 1)
        outward = high == (bound > 0)
        return bound.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP if outward else ROUND_DOWN)


def _moment(value: Moment, high: bool, digits: int | None) -> Moment | None:
    dated = value.kind == "Date" and (digits or 8) > 8
    steps = _DIGITS["DateTime" if dated else value.kind]
    digits = steps[-1] if digits is None else digits
    if digits not in steps:
        return None
    whole, fraction = _filled(value, high)
    if value.kind == "Time":
        text = ":".join(f"{each:02d}" for each in whole[3:]) + fraction
        return time_of(text[: {2: 2, 4: 5, 6: 8, 9: 12}[digits]])
    day = f"{whole[0]:04d}-{whole[1]:02d}-{whole[2]:02d}"
    if digits <= 8:
        return moment(day[: {4: 4, 6: 7, 8: 10}[digits]])
    time = ":".join(f"{each:02d}" for each in whole[3:]) + fraction
    zone = _LATEST if high else _EARLIEST
    if value.zone is not None:
        sign, minutes = "-" if value.zone < 0 else "+", abs(value.zone)
        zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return moment(f"{day}T{time[: {10: 2, 12: 5, 14: 8, 17: 12}[digits]]}{zone}")


def _filled(value: Moment, high: bool) -> tuple[list[int], str]:
    """Year to second as the first or last that fits, and the fraction of the second."""
    parts = [0, 0, 0, *value.parts] if value.kind == "Time" else list(value.parts)
    fraction = ".999" if high else ".000"
    if len(parts) == 6:
        second = Decimal(parts[5])
        if _places(second):
            fraction = f".{int(second % 1 * 1000):03d}"
    elif len(parts) == 4:
        # An hour stands for its first minute: FHIR has no times without minutes.
        parts.append(0)
    whole = [int(each) for each in parts]
    if len(whole) < 2:
        whole.append(12 if high else 1)
    if len(whole) < 3:
        whole.append(monthrange(whole[0], whole[1])[1] if high else 1)
    last = [23, 59, 59] if high else [0, 0, 0]
    return whole + last[len(whole) - 3 :], fraction


def _boundary(high: bool) -> Function:
    def called(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
        value = operators.one(items)
        precision = operators.one(args[0](env)) if args else None
        if value is None:
            return []
        if isinstance(value, Moment):
            found: Any = _moment(value, high, precision)
        elif isinstance(value, Quantity):
            bound = _number(value.value, high, precision)
            found = None if bound is None else Quantity(bound, value.unit)
        elif operators.is_number(value):
            found = _number(Decimal(value), high, precision)
        else:
            raise FhirPathError("a number, quantity, date or time is expected here")
        return [] if found is None else [found]

    return called


def _precision(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    value = operators.one(items)
    if value is None:
        return []
    if isinstance(value, Moment):
        seconds = 5 if value.kind != "Time" else 2
        digits = sum(2 for _ in value.parts[:seconds]) + (2 if value.kind != "Time" else 0)
        if len(value.parts) > seconds:
            digits += 5 if _places(Decimal(value.parts[seconds])) else 2
        return [digits]
    if operators.is_number(value):
        return [_places(Decimal(value))]
    raise FhirPathError("a number, date or time is expected here")


def _comparable(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    one, two = operators.one(items), operators.one(args[0](env))
    if one is None or two is None:
        return []
    if not isinstance(one, Quantity) or not isinstance(two, Quantity):
        raise FhirPathError("comparable() compares quantities")
    return [one.base()[1] == two.base()[1]]


BOUNDARIES: Final[dict[str, tuple[Callable[..., Items], int, int]]] = {
    "lowBoundary": (_boundary(False), 0, 1),
    "highBoundary": (_boundary(True), 0, 1),
    "precision": (_precision, 0, 0),
    "comparable": (_comparable, 1, 1),
}
