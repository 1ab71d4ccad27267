# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Places in a statement whose values come later, and what is to be computed from them (`prepared.py`)."""

from collections.abc import Callable, Sequence
from typing import Any


class Leaf:
    """The value number `at` of a search, of the type `kind`."""

    __slots__ = ("at", "kind")

    def __init__(self, at: int) -> None:
        self.at = at
        self.kind: type = str


class Lifted:
    """What is computed from a value that comes later."""

    __slots__ = ("function", "of")

    def __init__(self, function: Callable[[Any], Any], of: Any) -> None:
        self.function, self.of = function, of


def lifted(function: Callable[[Any], Any], value: Any) -> Any:
    """`function(value)`, now or when the value comes. The function must be pure."""
    if isinstance(value, (Leaf, Lifted)) or (isinstance(value, list) and any(map(is_open, value))):
        return Lifted(function, value)
    return function(value)


def is_open(value: Any) -> bool:
    """Whether the value comes later."""
    return isinstance(value, (Leaf, Lifted))


def kind_of(value: Any) -> type:
    """The type of a value that is there or comes later."""
    return value.kind if isinstance(value, Leaf) else type(value)


def valued(argument: Any, values: Sequence[Any]) -> Any:
    """The argument with the values that have come."""
    kind = type(argument)
    if kind is Leaf:
        return values[argument.at]
    if kind is Lifted:
        return argument.function(valued(argument.of, values))
    if kind is list:
        return [valued(each, values) for each in argument]
    return argument
