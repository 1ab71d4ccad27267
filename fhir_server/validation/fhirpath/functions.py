# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The functions of FHIRPath on collections. http://hl7.org/fhirpath/N1/#functions

Text, number and conversion functions stand in `conversions.py`, FHIR's own in `fhir_functions.py`.
"""

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any, Final

from fhir_server.validation.fhirpath import operators
from fhir_server.validation.fhirpath.boundaries import BOUNDARIES
from fhir_server.validation.fhirpath.clock import CLOCK
from fhir_server.validation.fhirpath.conversions import SCALARS
from fhir_server.validation.fhirpath.engine import Environment, Function, Items, Term, truth
from fhir_server.validation.fhirpath.fhir_functions import FHIR
from fhir_server.validation.fhirpath.model import Node
from fhir_server.validation.fhirpath.parse import FhirPathError

_DEEPEST: Final = 1000


def each_with(env: Environment, items: Items, term: Term) -> list[Items]:
    """What a term gives for each item as `$this`."""
    this, position = env.this, env.position
    found = []
    try:
        for at, item in enumerate(items):
            env.this, env.position = [item], at
            found.append(term(env))
    finally:
        env.this, env.position = this, position
    return found


def _matching(env: Environment, items: Items, term: Term) -> Items:
    return [item for item, result in zip(items, each_with(env, items, term), strict=True) if truth(result) is True]


def _exists(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return [bool(_matching(env, items, args[0]) if args else items)]


def _all(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return [all(truth(result) is True for result in each_with(env, items, args[0]))]


def _truths(test: Callable[[list[bool]], bool]) -> Function:
    def function(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
        values = [operators.plain(each) for each in items]
        if not all(isinstance(each, bool) for each in values):
            raise FhirPathError("booleans are expected here")
        return [test(values)]

    return function


def _not(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    value = truth(items)
    return [] if value is None else [not value]


def _select(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return [found for result in each_with(env, items, args[0]) for found in result]


def _repeat(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    found: Items = []
    pending = items
    for _ in range(_DEEPEST):
        pending = [new for result in each_with(env, pending, args[0]) for new in result]
        pending = [new for new in operators.distinct(pending) if not any(operators.same(new, old) for old in found)]
        if not pending:
            break
        found += pending
    return found


def _single(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    if len(items) > 1:
        raise FhirPathError("single() met several values")
    return items


def _whole(env: Environment, arg: Term) -> int:
    value = operators.one(arg(env))
    if not isinstance(value, int) or isinstance(value, bool):
        raise FhirPathError("a whole number is expected here")
    return value


def _skip(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return items[max(0, _whole(env, args[0])) :]


def _take(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return items[: max(0, _whole(env, args[0]))]


def _intersect(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    other = args[0](env)
    return [each for each in operators.distinct(items) if any(operators.same(each, one) for one in other)]


def _exclude(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    other = args[0](env)
    return [each for each in items if not any(operators.same(each, one) for one in other)]


def _within(some: Items, other: Items) -> bool:
    return all(any(operators.same(each, one) for one in other) for each in some)


def _iif(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    if len(items) > 1:
        raise FhirPathError("iif() takes a single value")
    this = env.this
    try:
        env.this = items
        chosen = truth(args[0](env))
        if chosen is True:
            return args[1](env)
        return args[2](env) if len(args) > 2 else []
    finally:
        env.this = this


def _aggregate(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    kept, this = env.total, env.this
    try:
        env.total = args[1](env) if len(args) > 1 else []
        for at, item in enumerate(items):
            env.this, env.position = [item], at
            env.total = args[0](env)
        return env.total
    finally:
        env.total, env.this = kept, this


def _children(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return [child for item in items if isinstance(item, Node) for child in item.children()]


def _descendants(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    found: Items = []
    pending = _children(env, items, ())
    while pending:
        found += pending
        pending = _children(env, pending, ())
    return found


def _trace(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    """Traces nothing: a value of a resource may not reach a log."""
    args[0](env)
    return items


def sorting(keys: list[tuple[Term, int]]) -> Callable[[Environment, Items], Items]:
    """`sort(keys…)`: an item without a value for a key stands first."""

    def sort(env: Environment, items: Items) -> Items:
        given = [(each_with(env, items, key), turn) for key, turn in keys] or [([[item] for item in items], 1)]

        def compare(one: int, two: int) -> int:
            for values, turn in given:
                left, right = values[one], values[two]
                order = operators.compare(left, right) if left and right else bool(left) - bool(right)
                if order:
                    return order * turn
            return 0

        return [items[at] for at in sorted(range(len(items)), key=cmp_to_key(compare))]

    return sort


def _of(test: Callable[[Items], Any]) -> Function:
    return lambda env, items, args: [test(items)]


def _to(give: Callable[[Items], Items]) -> Function:
    return lambda env, items, args: give(items)


TYPE_FUNCTIONS: Final[dict[str, Callable[[Items, str], Items]]] = {
    "is": operators.is_type,
    "as": operators.as_type,
    "ofType": operators.as_type,
}

FUNCTIONS: Final[dict[str, tuple[Function, int, int]]] = {
    "empty": (_of(lambda items: not items), 0, 0),
    "exists": (_exists, 0, 1),
    "all": (_all, 1, 1),
    "allTrue": (_truths(all), 0, 0),
    "anyTrue": (_truths(any), 0, 0),
    "allFalse": (_truths(lambda values: not any(values)), 0, 0),
    "anyFalse": (_truths(lambda values: not all(values)), 0, 0),
    "not": (_not, 0, 0),
    "count": (_of(len), 0, 0),
    "distinct": (_to(operators.distinct), 0, 0),
    "isDistinct": (_of(lambda items: len(operators.distinct(items)) == len(items)), 0, 0),
    "where": (lambda env, items, args: _matching(env, items, args[0]), 1, 1),
    "select": (_select, 1, 1),
    "repeat": (_repeat, 1, 1),
    "single": (_single, 0, 0),
    "first": (_to(lambda items: items[:1]), 0, 0),
    "last": (_to(lambda items: items[-1:]), 0, 0),
    "tail": (_to(lambda items: items[1:]), 0, 0),
    "skip": (_skip, 1, 1),
    "take": (_take, 1, 1),
    "intersect": (_intersect, 1, 1),
    "exclude": (_exclude, 1, 1),
    "subsetOf": (lambda env, items, args: [_within(items, args[0](env))], 1, 1),
    "supersetOf": (lambda env, items, args: [_within(args[0](env), items)], 1, 1),
    "union": (lambda env, items, args: operators.distinct(items + args[0](env)), 1, 1),
    "combine": (lambda env, items, args: items + args[0](env), 1, 1),
    "iif": (_iif, 2, 3),
    "aggregate": (_aggregate, 1, 2),
    "children": (_children, 0, 0),
    "descendants": (_descendants, 0, 0),
    "trace": (_trace, 1, 2),
    **BOUNDARIES,
    **CLOCK,
    **FHIR,
    **SCALARS,
}
