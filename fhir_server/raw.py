# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""JSON that keeps the text of numbers and the order of members, for resources that are taken apart and put together.

A decimal's precision is part of its value (https://hl7.org/fhir/R4/datatypes.html#decimal): 1.500 is not 1.5.
"""

from decimal import Decimal
import json
from typing import Any

import orjson

from fhir_server.outcome import Malformed

_INT_DIGITS = 18


class Number:
    """A number as it was written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Number({self.text})"


def loads(body: bytes) -> Any:
    """The value; whole numbers are int, others `Number`. Raises `Malformed` if it is no JSON or a name occurs twice."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
    return json.loads(body, parse_float=Number, parse_int=_whole, object_pairs_hook=_object)


def dumps(value: Any, *, pretty: bool = False) -> bytes:
    """The value as compact JSON, or indented by two; numbers as they were written."""
    return orjson.dumps(value, default=_written, option=orjson.OPT_INDENT_2 if pretty else None)


def same(one: Any, other: Any) -> bool:
    """Equality as JSON Patch means it (RFC 6902 4.6): numbers by value, true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    left, right = _number(one), _number(other)
    if left is not None and right is not None:
        return left == right
    return type(one) is type(other) and bool(one == other)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, Number):
        return Decimal(value.text)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _whole(text: str) -> int | Number:
    return int(text) if len(text) <= _INT_DIGITS and text != "-0" else Number(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("an element of the resource occurs twice")
    return made


def _written(value: Any) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(value.text)
    raise TypeError(type(value).__name__)
