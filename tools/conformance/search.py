# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Every example is found by every parameter that has a value in it, and by no value that it has not.

What is expected comes from another engine over the published expressions (engine.py) and from the raw elements
(asked.py). Asked of the running server, which holds the examples.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import json
from typing import Any

from tools.conformance.asked import Asked, asked
from tools.conformance.engine import Published, parameters
from tools.conformance.published import examples
from tools.conformance.report import Area, Row
from tools.conformance.server import Server

PAIRS = "pairs of example and parameter with a value: found by it"
SEARCHES = "searches for these values: find every example that has the value"
EXACT = "the same for whole codes, references, texts: find no other"
PRESENT = ":missing=false and :missing=true: the same examples as the other engine"
REFUSED = {
    "_text": "narratives are not indexed",
    "_content": "bodies are not indexed",
    "_query": "there are no named queries",
}
"""Parameters of every type that are refused by name; they have no expression."""


@dataclass(slots=True)
class Expected:
    """What one parameter of one type must find."""

    parameter: Published
    having: frozenset[str] = frozenset()
    """Ids of the examples with a value."""
    searches: dict[Asked, frozenset[str]] = field(default_factory=dict)


async def run(server: Server, most: int | None = None) -> Area:
    """The server must hold the examples, and of their types no more.

    `most`: searches for a parameter, and :missing of those alone that have a value; all of both if None.
    """
    pairs: set[tuple[str, str, str]] = set()
    found_by: set[tuple[str, str, str]] = set()
    held: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    failures: list[str] = []

    def count(what: str, holds: bool, told: str) -> None:
        tried[what] += 1
        held[what] += holds
        if not holds:
            failures.append(told)

    for each, others in expected():
        kind, code = each.parameter.resource, each.parameter.code
        if most is not None and not each.having:
            continue
        present = await server.ids(kind, [(f"{code}:missing", "false")]) if code[0] != "_" else each.having
        missing = await server.ids(kind, [(f"{code}:missing", "true")]) if code[0] != "_" else others
        for got, wanted in ((present, each.having), (missing, others)):
            count(PRESENT, got == wanted, f"{kind}?{code}:missing: {_difference(got, wanted)}")
        pairs |= {(kind, code, identity) for identity in each.having}
        for query, wanted in list(each.searches.items())[:most]:
            got = await server.ids(kind, [(query.name, query.value)])
            told = f"{kind}?{query.name}={query.value}: {_difference(got, wanted)}"
            count(SEARCHES, not isinstance(got, str) and got >= wanted, told)
            if query.exact:
                count(EXACT, got == wanted, told)
            if not isinstance(got, str):
                found_by |= {(kind, code, identity) for identity in wanted & got}
    if most is None:
        failures += [f"{kind}/{identity} is not found by {code}" for kind, code, identity in sorted(pairs - found_by)]
    rows = (
        Row(PAIRS, len(found_by), len(pairs)),
        *(Row(what, held[what], tried[what]) for what in (SEARCHES, EXACT, PRESENT)),
    )
    known = tuple(f"`{name}` is refused by name: {why}." for name, why in REFUSED.items())
    return Area("Search", rows, tuple(dict.fromkeys(failures)), known)


def expected() -> Iterator[tuple[Expected, frozenset[str]]]:
    """For each parameter of the types that have examples, what it must find, and the ids of the other examples."""
    by_type: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, body in examples():
        kind, _, identity = name.partition("/")
        by_type.setdefault(kind, {})[identity] = json.loads(body)
    for kind, resources in by_type.items():
        for parameter in parameters().get(kind, ()):
            if parameter.code == "_lastUpdated":  # set by the server; capabilities.py asks for it
                continue
            each = Expected(parameter)
            for identity, resource in resources.items():
                # An element without a value of the parameter's type (a reference that is a display alone, a schedule
                # without limits) has no value for the parameter: search.html#missing.
                for query in asked(parameter, resource):
                    each.having |= {identity}
                    each.searches[query] = each.searches.get(query, frozenset()) | {identity}
            yield each, frozenset(resources) - each.having


def _difference(got: frozenset[str] | str, wanted: frozenset[str]) -> str:
    if isinstance(got, str):
        return got
    lacking, more = sorted(wanted - got), sorted(got - wanted)
    return "; ".join(
        f"{what} {', '.join(each[:4])}" for what, each in (("lacks", lacking), ("has besides", more)) if each
    )
