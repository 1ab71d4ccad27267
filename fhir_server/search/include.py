# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""_include and _revinclude with :iterate (https://hl7.org/fhir/R4/search.html#revinclude).

Bounded in number and depth; whoever reads is told when something was left out. What the search may not see does
not come in this way either, and does not count towards the bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Select, Text, all_, and_, any_, literal, or_, select, tuple_

from fhir_server.limits import LIMITS, SearchLimits
from fhir_server.search.query import Include
from fhir_server.search.sight import Sight
from fhir_server.storage.postgres import ResourceStore, Stored
from fhir_server.storage.schema import ResourceTables


@dataclass(frozen=True, slots=True)
class Included:
    """What comes along, and whether it is all."""

    resources: tuple[Stored, ...]
    complete: bool


async def included(
    store: ResourceStore,
    tables: ResourceTables,
    asked: Sequence[Include],
    matches: Sequence[Stored],
    sight: Sight,
    types: Iterable[str],
    limits: SearchLimits = LIMITS,
) -> Included:
    """What `asked` brings to the matches of a page; never a match again, each once."""
    types = tuple(types)
    seen = {(each.type, each.id) for each in matches}
    found: list[Stored] = []
    complete = True
    newest = list(matches)
    for number in range(limits.rounds + 1):
        steps = asked if number == 0 else [each for each in asked if each.iterate]
        following: list[Stored] = []
        for step in steps:
            ids = _starts(step, newest)
            if not ids:
                continue
            if number == limits.rounds:
                complete = False
                continue
            room = limits.included - len(found) - len(following)
            rows = await store.find(_select(tables, step, ids, seen, sight, types).limit(room + 1))
            complete = complete and len(rows) <= room
            following += rows[:room]
            seen.update((each.type, each.id) for each in rows[:room])
        found += following
        newest = following
        if not newest:
            break
    return Included(tuple(found), complete)


def _starts(step: Include, resources: Sequence[Stored]) -> dict[str, list[str]]:
    """The ids, by type, that a step starts from."""
    wanted = None if step.reverse and step.target is None else step.target if step.reverse else step.type
    starts: dict[str, list[str]] = {}
    for each in resources:
        if wanted is None or each.type == wanted:
            starts.setdefault(each.type, []).append(each.id)
    return starts


def _select(
    tables: ResourceTables,
    step: Include,
    starts: Mapping[str, Sequence[str]],
    seen: set[tuple[str, str]],
    sight: Sight,
    types: tuple[str, ...],
) -> Select[Any]:
    resource, values = tables.resource, tables.reference
    links = [values.c.type == step.type, values.c.parameter == step.code, sight.here(values)]
    if step.reverse:
        from_here = [and_(values.c.target_type == kind, values.c.target == _any(ids)) for kind, ids in starts.items()]
        keys = select(values.c.type, values.c.id).where(*links, or_(*from_here))
    else:
        keys = select(values.c.target_type, values.c.target).where(*links, values.c.id == _any(starts[step.type]))
        if step.target is not None:
            keys = keys.where(values.c.target_type == step.target)
    visible = [resource.c.type == _any([each for each in types if not sight.confines(each)])]
    visible += [and_(*sight.of(resource, each)) for each in types if sight.confines(each)]
    statement = select(resource).where(
        tuple_(resource.c.type, resource.c.id).in_(keys), resource.c.deleted.is_(False), or_(*visible)
    )
    known = [f"{kind}/{identity}" for kind, identity in seen]
    return statement.where((resource.c.type + "/" + resource.c.id) != _all(known)).order_by(
        resource.c.type, resource.c.id
    )


def _any(texts: Sequence[str]) -> Any:
    return any_(literal(list(texts), ARRAY(Text)))


def _all(texts: Sequence[str]) -> Any:
    return all_(literal(list(texts), ARRAY(Text)))
