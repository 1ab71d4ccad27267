# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Functions of FHIRPath on single values: text, numbers, conversion. http://hl7.org/fhirpath/N1/#string-manipulation"""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
import re
from typing import Any, Final

from fhir_server.validation.fhirpath import operators, texts
from fhir_server.validation.fhirpath.engine import Environment, Function, Items, Term
from fhir_server.validation.fhirpath.model import Node
from fhir_server.validation.fhirpath.parse import UNITS, FhirPathError
from fhir_server.validation.fhirpath.values import Moment, Quantity, moment, time_of

_QUANTITY: Final = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']+)'|([a-z]+))?")
_LONGEST_PATTERN: Final = 1000
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _text_function(function: Callable[..., Any], least: int = 0, most: int = 0) -> tuple[Function, int, int]:
    def called(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
        value = operators.one(items)
        given = [operators.one(arg(env)) for arg in args]
        if isinstance(value, bool) or (value is not None and not isinstance(value, str)) or _complex(items):
            raise FhirPathError("a text is expected here")
        if value is None or any(each is None for each in given):
            return []
        result = function(value, *given)
        return [] if result is None else result if isinstance(result, list) else [result]

    return called, least, most


def _complex(items: Items) -> bool:
    return bool(items) and isinstance(items[0], Node) and isinstance(items[0].value, dict)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FhirPathError("a text is expected here")
    return value


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    if len(text) > _LONGEST_PATTERN:
        raise FhirPathError("the regular expression is too long")
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise FhirPathError("the regular expression can't be read") from error


def _substring(value: str, start: Any, length: Any = None) -> str | None:
    if not isinstance(start, int) or not 0 <= start < len(value):
        return None
    return value[start:] if length is None else value[start : start + max(0, int(length))]


def _join(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    mark = operators.one(args[0](env)) if args else ""
    return [str(mark).join(_text(operators.plain(each)) for each in items)] if items else []


def _number_function(function: Callable[..., Any], least: int = 0, most: int = 0) -> tuple[Function, int, int]:
    def called(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
        value = operators.one(items)
        given = [operators.one(arg(env)) for arg in args]
        if value is None or any(each is None for each in given):
            return []
        if not (operators.is_number(value) or (isinstance(value, Quantity) and function is abs)):
            raise FhirPathError("a number is expected here")
        if isinstance(value, Quantity):
            return [Quantity(abs(value.value), value.unit)]
        try:
            result = function(value, *given)
        except (InvalidOperation, ZeroDivisionError, ValueError, OverflowError):
            return []
        return [] if result is None else [result]

    return called, least, most


def _power(value: Any, by: Any) -> Any:
    result = Decimal(value) ** Decimal(by)
    return int(result) if isinstance(value, int) and isinstance(by, int) and by >= 0 else result


def _round(value: Any, places: int = 0) -> Any:
    if places < 0:
        raise FhirPathError("round() takes no negative precision")
    return Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _log(value: Any, base: Any) -> Decimal:
    return (Decimal(value).ln() / Decimal(base).ln()).quantize(Decimal("1e-12"))


def _rounded(how: str) -> Callable[[Any], int]:
    return lambda value: int(Decimal(value).to_integral_value(how))


def to_boolean(value: Any) -> bool | None:
    """`toBoolean()`."""
    if isinstance(value, bool):
        return value
    text = value.lower() if isinstance(value, str) else str(value) if operators.is_number(value) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def to_integer(value: Any) -> int | None:
    """`toInteger()`."""
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII) else None


def to_decimal(value: Any) -> Decimal | None:
    """`toDecimal()`."""
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?", value, re.ASCII):
        return Decimal(value)
    return None


def to_text(value: Any) -> str | None:
    """`toString()`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, Quantity):
        return f"{value.value} {value.unit}" if value.unit in UNITS else f"{value.value} '{value.unit}'"
    return None if value is None else str(value)


def _to_quantity(value: Any) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool):
        return Quantity(Decimal(int(value)), "1")
    if operators.is_number(value):
        return Quantity(Decimal(value), "1")
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found[3] and found[3] not in UNITS):
        return None
    return Quantity(Decimal(found[1]), found[2] or found[3] or "1")


def _to_moment(kind: str) -> Callable[[Any], Moment | None]:
    def convert(value: Any) -> Moment | None:
        if isinstance(value, str):
            value = time_of(value.removeprefix("T")) if kind == "Time" else moment(value)
        if not isinstance(value, Moment) or (value.kind == "Time") != (kind == "Time"):
            return None
        return Moment(kind, value.parts[:3] if kind == "Date" else value.parts, value.zone, value.text)

    return convert


_CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_text,
    "Quantity": _to_quantity,
    "Date": _to_moment("Date"),
    "DateTime": _to_moment("DateTime"),
    "Time": _to_moment("Time"),
}


def _converting(convert: Callable[[Any], Any], test: bool) -> tuple[Function, int, int]:
    def called(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
        value = operators.one(items)
        if not items:
            return []
        result = None if value is None else convert(value)
        if test:
            return [result is not None]
        return [] if result is None else [result]

    return called, 0, 1


SCALARS: Final[dict[str, tuple[Function, int, int]]] = {
    "indexOf": _text_function(lambda value, part: value.find(_text(part)), 1, 1),
    "substring": _text_function(_substring, 1, 2),
    "startsWith": _text_function(lambda value, part: value.startswith(_text(part)), 1, 1),
    "endsWith": _text_function(lambda value, part: value.endswith(_text(part)), 1, 1),
    "contains": _text_function(lambda value, part: _text(part) in value, 1, 1),
    "upper": _text_function(str.upper),
    "lower": _text_function(str.lower),
    "trim": _text_function(str.strip),
    "length": _text_function(len),
    "toChars": _text_function(list),
    "split": _text_function(lambda value, mark: value.split(_text(mark)), 1, 1),
    "replace": _text_function(lambda value, old, new: value.replace(_text(old), _text(new)), 2, 2),
    "matches": _text_function(lambda value, text: _pattern(_text(text)).search(value) is not None, 1, 1),
    "matchesFull": _text_function(lambda value, text: _pattern(_text(text)).fullmatch(value) is not None, 1, 1),
    "replaceMatches": _text_function(
        lambda value, text, new: _pattern(text).sub(re.sub(r"\$(\d)", r"\\\1", _text(new)), value) if text else value,
        2,
        2,
    ),
    "encode": _text_function(texts.encode, 1, 1),
    "decode": _text_function(texts.decode, 1, 1),
    "escape": _text_function(texts.escape, 1, 1),
    "unescape": _text_function(texts.unescape, 1, 1),
    "join": (_join, 0, 1),
    "abs": _number_function(abs),
    "ceiling": _number_function(_rounded(ROUND_CEILING)),
    "floor": _number_function(_rounded(ROUND_FLOOR)),
    "truncate": _number_function(int),
    "round": _number_function(_round, 0, 1),
    "sqrt": _number_function(lambda value: Decimal(value).sqrt() if value >= 0 else None),
    "exp": _number_function(lambda value: Decimal(value).exp()),
    "ln": _number_function(lambda value: Decimal(value).ln()),
    "log": _number_function(_log, 1, 1),
    "power": _number_function(_power, 1, 1),
    **{f"to{name}": _converting(convert, False) for name, convert in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _converting(convert, True) for name, convert in _CONVERSIONS.items()},
}
