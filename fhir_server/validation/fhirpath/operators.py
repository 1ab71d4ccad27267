# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The operators of FHIRPath on collections. http://hl7.org/fhirpath/N1/#operations"""

from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any, Final

from fhir_server.validation.fhirpath.model import Node
from fhir_server.validation.fhirpath.parse import FhirPathError
from fhir_server.validation.fhirpath.values import Moment, Quantity, moment

Items = list[Any]
SYSTEM: Final = frozenset({"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"})


def plain(item: Any) -> Any:
    """The value that is computed with; None for a complex value."""
    return item.plain() if isinstance(item, Node) else item


def one(items: Items) -> Any:
    """The single value, or None if there is none. Raises `FhirPathError` for several."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("a single value is expected here")
    return plain(items[0])


def is_number(value: Any) -> bool:
    """Whether it is an Integer or a Decimal."""
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def system_type(value: Any) -> str:
    """The System type of a plain value."""
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, Moment):
        return value.kind
    return {str: "String", int: "Integer", Decimal: "Decimal", Quantity: "Quantity"}.get(type(value), "")


def of_type(item: Any, wanted: str) -> bool:
    """Whether the value is of the type or of one that specialises it."""
    space, _, local = wanted.rpartition(".")
    if isinstance(item, Node):
        return space != "System" and item.kind is not None and local in item.kind.ancestors
    return space in ("", "System") and system_type(item) == local


def is_type(items: Items, wanted: str) -> Items:
    """`is`."""
    if len(items) > 1:
        raise FhirPathError("`is` takes a single value")
    return [of_type(items[0], wanted)] if items else []


def as_type(items: Items, wanted: str) -> Items:
    """`as` and `ofType()`; the published expressions use `as` on several values too.

    A code is no string here, as the official cases have it, though `is` says so.
    """
    local = wanted.rpartition(".")[2]
    return [each for each in items if of_type(each, wanted) and (local == _name(each) or not local[0].islower())]


def _name(item: Any) -> str:
    return item.kind.name if isinstance(item, Node) and item.kind is not None else ""


def equal(left: Any, right: Any) -> bool | None:
    """`=` of two values; None if precision or units leave it open."""
    one, two = plain(left), plain(right)
    if one is None and isinstance(left, Node):
        if not isinstance(right, Node):
            return False
        return bool(left.value == right.value)
    if isinstance(one, Moment) or isinstance(two, Moment):
        one, two = _as_moment(one), _as_moment(two)
        if not isinstance(one, Moment) or not isinstance(two, Moment) or (one.kind == "Time") != (two.kind == "Time"):
            return False
        order = one.compare(two)
        return None if order is None else order == 0
    if isinstance(one, Quantity) or isinstance(two, Quantity):
        one, two = _as_quantity(one), _as_quantity(two)
        if not isinstance(one, Quantity) or not isinstance(two, Quantity):
            return False
        order = one.compare(two)
        return None if order is None else order == 0
    if isinstance(one, bool) != isinstance(two, bool):
        return False
    return bool(one == two)


def _as_moment(value: Any) -> Any:
    return (moment(value) or value) if isinstance(value, str) else value


def _as_quantity(value: Any) -> Any:
    return Quantity(Decimal(value), "1") if is_number(value) else value


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same for sets."""
    return equal(left, right) is True


def _equals(left: Items, right: Items) -> Items:
    if not left or not right:
        return []
    if len(left) != len(right):
        return [False]
    results = [equal(one, two) for one, two in zip(left, right, strict=True)]
    if False in results:
        return [False]
    return [] if None in results else [True]


def _not(items: Items) -> Items:
    return [not items[0]] if items else []


def equivalent(left: Any, right: Any) -> bool:
    """`~` of two values: case, blanks and precision don't count."""
    one, two = plain(left), plain(right)
    if isinstance(one, str) and isinstance(two, str):
        return " ".join(one.lower().split()) == " ".join(two.lower().split())
    if is_number(one) and is_number(two):
        places = min(_places(one), _places(two))
        return bool(round(Decimal(one), places) == round(Decimal(two), places))
    if isinstance(one, Moment) and isinstance(two, Moment):
        return one.compare(two) == 0
    if isinstance(one, Quantity) and isinstance(two, Quantity):
        return one.equivalent(two)
    if one is None and isinstance(left, Node) and isinstance(right, Node):
        mine, theirs = left.children(), right.children()
        return len(mine) == len(theirs) and _equivalent(
            [each for each in mine if not isinstance(each, Node) or each.kind is None or each.kind.name != "id"],
            [each for each in theirs if not isinstance(each, Node) or each.kind is None or each.kind.name != "id"],
        ) == [True]
    return equal(left, right) is True


def _places(number: Any) -> int:
    exponent = Decimal(number).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _equivalent(left: Items, right: Items) -> Items:
    if len(left) != len(right):
        return [False]
    rest = list(right)
    for each in left:
        at = next((at for at, other in enumerate(rest) if equivalent(each, other)), None)
        if at is None:
            return [False]
        del rest[at]
    return [True]


def compare(left: Items, right: Items) -> int | None:
    """-1, 0, 1; None if one is empty or precision leaves it open. Raises `FhirPathError` for values without order."""
    one_, two = one(left), one(right)
    if one_ is None or two is None:
        if (left and one_ is None) or (right and two is None):
            raise FhirPathError("these values have no order")
        return None
    if isinstance(one_, Moment) or isinstance(two, Moment):
        one_, two = _as_moment(one_), _as_moment(two)
        if isinstance(one_, Moment) and isinstance(two, Moment):
            return one_.compare(two)
    elif isinstance(one_, Quantity) or isinstance(two, Quantity):
        one_, two = _as_quantity(one_), _as_quantity(two)
        if isinstance(one_, Quantity) and isinstance(two, Quantity):
            return one_.compare(two)
    elif (is_number(one_) and is_number(two)) or (isinstance(one_, str) and isinstance(two, str)):
        return int(one_ > two) - int(one_ < two)
    raise FhirPathError("these values have no order")


def _ordered(test: Callable[[int], bool]) -> Callable[[Items, Items], Items]:
    def ordered(left: Items, right: Items) -> Items:
        order = compare(left, right)
        return [] if order is None else [test(order)]

    return ordered


def distinct(items: Items) -> Items:
    """Each value once, in order."""
    found: Items = []
    seen: set[str] = set()
    for each in items:
        value = plain(each)
        if isinstance(value, str):
            if value not in seen:
                seen.add(value)
                found.append(each)
        elif not any(same(each, other) for other in found if not isinstance(plain(other), str)):
            found.append(each)
    return found


def member(items: Items, of: Items) -> Items:
    """`in`."""
    if not items:
        return []
    if len(items) > 1:
        raise FhirPathError("`in` takes a single value")
    return [any(same(items[0], other) for other in of)]


def _both(left: Items, right: Items) -> tuple[Any, Any] | None:
    one_, two = one(left), one(right)
    return None if one_ is None or two is None else (one_, two)


def _plus(left: Items, right: Items) -> Items:
    pair = _both(left, right)
    if pair is None:
        return []
    one_, two = pair
    if isinstance(one_, Moment) and isinstance(two, Quantity):
        moved = one_.plus(two)
        if moved is None:
            raise FhirPathError("this unit can't be added to a time")
        return [moved]
    if isinstance(one_, Quantity) and isinstance(two, Quantity):
        if one_.unit == two.unit:
            return [Quantity(one_.value + two.value, one_.unit)]
        (mine, unit), (theirs, other) = one_.base(), two.base()
        return [Quantity(mine + theirs, unit)] if unit == other else []
    if (is_number(one_) and is_number(two)) or (isinstance(one_, str) and isinstance(two, str)):
        return [one_ + two]
    raise FhirPathError("these values can't be added")


def _minus(left: Items, right: Items) -> Items:
    pair = _both(left, right)
    if pair is None:
        return []
    if isinstance(pair[1], str):
        raise FhirPathError("these values can't be subtracted")
    return _plus(left, times([pair[1]], [-1]))


def times(left: Items, right: Items) -> Items:
    """`*`."""
    pair = _both(left, right)
    if pair is None:
        return []
    one_, two = pair
    if isinstance(one_, Quantity) and is_number(two):
        return [Quantity(one_.value * two, one_.unit)]
    if isinstance(one_, Quantity) and isinstance(two, Quantity):
        unit = one_.unit if two.unit == "1" else two.unit if one_.unit == "1" else f"{one_.unit}.{two.unit}"
        return [Quantity(one_.value * two.value, f"{one_.unit}2" if one_.unit == two.unit else unit)]
    if is_number(one_) and is_number(two):
        return [one_ * two]
    raise FhirPathError("these values can't be multiplied")


def _divided(how: str) -> Callable[[Items, Items], Items]:
    def divided(left: Items, right: Items) -> Items:
        pair = _both(left, right)
        if pair is None:
            return []
        one_, two = pair
        try:
            if isinstance(one_, Quantity) and isinstance(two, Quantity) and how == "/":
                return [Quantity(one_.value / two.value, "1" if one_.unit == two.unit else f"{one_.unit}/{two.unit}")]
            if not (is_number(one_) and is_number(two)):
                raise FhirPathError("these values can't be divided")
            if how == "/":
                return [Decimal(one_) / Decimal(two)]
            whole = Decimal(one_) // Decimal(two) if how == "div" else Decimal(one_) % Decimal(two)
        except (DivisionByZero, InvalidOperation, ZeroDivisionError):
            return []
        return [int(whole) if how == "div" or (isinstance(one_, int) and isinstance(two, int)) else whole]

    return divided


def _joined(left: Items, right: Items) -> Items:
    texts = [one(left), one(right)]
    if any(each is not None and not isinstance(each, str) for each in texts):
        raise FhirPathError("& joins texts")
    return ["".join(each or "" for each in texts)]


OPERATORS: Final[dict[str, Callable[[Items, Items], Items]]] = {
    "=": _equals,
    "!=": lambda left, right: _not(_equals(left, right)),
    "~": _equivalent,
    "!~": lambda left, right: _not(_equivalent(left, right)),
    "<": _ordered(lambda order: order < 0),
    ">": _ordered(lambda order: order > 0),
    "<=": _ordered(lambda order: order <= 0),
    ">=": _ordered(lambda order: order >= 0),
    "|": lambda left, right: distinct(left + right),
    "in": member,
    "contains": lambda left, right: member(right, left),
    "+": _plus,
    "-": _minus,
    "*": times,
    "/": _divided("/"),
    "div": _divided("div"),
    "mod": _divided("mod"),
    "&": _joined,
}
