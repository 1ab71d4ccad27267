# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The rows of a parsed AQL query over EHRs and compositions in canonical JSON."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
import re
from typing import Any

from demo.regions.aql import Condition, Path, Query, Source, Step


def _compare(left: object, operator: str, right: object) -> bool:
    if operator == "=":
        return left == right
    if operator == "!=":
        return left != right
    if isinstance(left, str) and isinstance(right, str):
        low, high = left, right
        return {">": low > high, ">=": low >= high, "<": low < high, "<=": low <= high}[operator]
    if isinstance(left, int | float) and isinstance(right, int | float):
        return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator]
    return False


def _fits(node: object, step: Step) -> bool:
    if not isinstance(node, dict):
        return step.archetype is None and not step.conditions
    if step.archetype is not None and node.get("archetype_node_id") != step.archetype:
        return False
    return all(
        any(_compare(found, operator, value) for found in resolve(node, steps))
        for steps, operator, value in step.conditions
    )


def resolve(node: object, steps: Sequence[Step]) -> Iterator[Any]:
    """Every value the steps lead to, in document order."""
    if not steps:
        yield node
        return
    if not isinstance(node, dict) or steps[0].name not in node:
        return
    below = node[steps[0].name]
    for each in below if isinstance(below, list) else [below]:
        if _fits(each, steps[0]):
            yield from resolve(each, steps[1:])


def _inside(node: object, rm_class: str, predicate: Step) -> Iterator[dict[str, Any]]:
    """The objects of a class at or below `node` that fit the predicate."""
    if isinstance(node, dict):
        if node.get("_type") == rm_class and _fits(node, predicate):
            yield node
        for value in node.values():
            yield from _inside(value, rm_class, predicate)
    elif isinstance(node, list):
        for value in node:
            yield from _inside(value, rm_class, predicate)


Binding = dict[str, Any]


def _bindings(ehr: Mapping[str, Any], compositions: Sequence[Any], sources: Sequence[Source]) -> Iterator[Binding]:
    if not _fits(ehr, sources[0].predicate):
        return
    start: Binding = {sources[0].variable: ehr}

    def deeper(node: object, rest: Sequence[Source], bound: Binding) -> Iterator[Binding]:
        if not rest:
            yield bound
            return
        for found in _inside(node, rest[0].rm_class, rest[0].predicate):
            yield from deeper(found, rest[1:], {**bound, rest[0].variable: found})

    yield from deeper(list(compositions), sources[1:], start)


def _first(bound: Binding, path: Path) -> Any:
    return next(resolve(bound[path.variable], path.steps), None)


def _sort_key(path: Path, bound: Binding) -> str:
    return str(_first(bound, path) or "")


def _holds(condition: Condition, bound: Binding) -> bool:
    if condition.kind in ("and", "or", "not"):
        results = [_holds(each, bound) for each in condition.parts]
        return {"and": all(results), "or": any(results), "not": not results[0]}[condition.kind]
    if condition.path is None:
        raise ValueError(f"a condition of kind {condition.kind} has a path")
    found = list(resolve(bound[condition.path.variable], condition.path.steps))
    if condition.kind == "exists":
        return bool(found)
    if condition.kind == "matches":
        return any(each in condition.values for each in found)
    if condition.kind == "like":
        parts = re.split(r"([*?])", str(condition.values[0]))
        pattern = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
        return any(isinstance(each, str) and re.fullmatch(pattern, each, re.DOTALL) for each in found)
    return any(_compare(each, condition.kind, condition.values[0]) for each in found)


def evaluate(query: Query, ehrs: Sequence[tuple[Mapping[str, Any], Sequence[Any]]]) -> list[list[Any]]:
    """The rows of the query over EHRs, each with its compositions."""
    bound = [
        each
        for ehr, compositions in ehrs
        for each in _bindings(ehr, compositions, query.sources)
        if query.where is None or _holds(query.where, each)
    ]
    for path, falling in reversed(query.order):
        bound.sort(key=partial(_sort_key, path), reverse=falling)
    rows = [[_first(each, column.path) for column in query.columns] for each in bound]
    if query.distinct:
        rows = [row for number, row in enumerate(rows) if row not in rows[:number]]
    end = None if query.limit is None else query.offset + query.limit
    return rows[query.offset : end]
