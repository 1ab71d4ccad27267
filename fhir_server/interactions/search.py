# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""search by GET and by POST _search: https://hl7.org/fhir/R4/http.html#search."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import re
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace

from fhir_server.bundle import links_of, searchset
from fhir_server.context import Access, Answer, AuditEntry, Context
from fhir_server.interactions.serving import Serving, audit_entry, may_search
from fhir_server.outcome import Forbidden, Invalid, issue, operation_outcome
from fhir_server.policy import NOTHING, Policy
from fhir_server.search.include import Included, included
from fhir_server.search.literals import ReferenceValue
from fhir_server.search.order import Position, keys_of
from fhir_server.search.query import Chain, Condition, Filter, Has, Query, parse_query
from fhir_server.search.sight import Sight
from fhir_server.search.subset import Subset, subset
from fhir_server.search.terminology import resolved
from fhir_server.service import Request
from fhir_server.storage.postgres import Stored
from identifiers.person_key import PersonKey

_IDENTIFYING = frozenset({"identifier", "of-type"})


async def search(serving: Serving, context: Context, request: Request) -> Answer:
    """A page of what matches and what it includes, with a signed cursor to the next."""
    query, related = _parsed(serving, context, request)
    involved = _involved(query)
    sight, person = await _sight(serving, context, request, query, related)
    query = await resolved(query, serving.terminology, context)
    kind, found = serving.type.name, []
    if query.count:
        found = await serving.store.page(serving.searches.page(kind, query, sight, _after(serving, query, context)))
    total = None
    if query.total or not query.count:
        total = await serving.store.count(serving.searches.total(kind, query, sight))
    more, found = len(found) > query.count, found[: query.count]
    matches = [stored for stored, _ in found]
    along = Included((), True)
    if query.includes and matches:
        along = await included(serving.store, serving.tables, query.includes, matches, sight, related, serving.limits)
    _record(serving, context, involved, person, [*matches, *along.resources])
    sealing = _person_data(serving, involved) or serving.type.access is Access.person_data
    next_link = None
    if more:
        cursor = serving.cursors.make(_name(serving, query, context), found[-1][1])
        next_link = _link(serving, request, query, sealing, cursor)
    links = links_of(_link(serving, request, query, sealing, None), next_link)
    part = subset(query.summary, query.elements)
    matches = _parts(part, matches)
    others = along.resources if query.elements else _parts(part, along.resources)
    outcome = None if along.complete else _truncated()
    return Answer(searchset(matches, base=request.base, links=links, total=total, included=others, outcome=outcome))


async def checked(serving: Serving, context: Context, request: Request) -> Query:
    """The query of a search that is to be run later, refused now for all that `search` would refuse."""
    query, related = _parsed(serving, context, request)
    await _sight(serving, context, request, query, related)
    return query


def _parsed(serving: Serving, context: Context, request: Request) -> tuple[Query, Mapping[str, Serving]]:
    """The query, and the types of the service that the caller may search: nothing leads to another."""
    given = [(name, serving.cursors.unsealed(value)) for name, value in request.search_parameters()]
    related = {serving.type.name: serving}
    if any(_leads_away(name) for name, _ in given):
        related |= {name: each for name, each in serving.types.items() if may_search(each, context)}
        related[serving.type.name] = serving
    query = parse_query(
        given,
        serving.parameters,
        lenient="handling=lenient" in request.headers.get("prefer", ""),
        types={name: each.parameters for name, each in related.items() if "search" in each.type.interactions},
        now=context.now,
        base=request.base,
        limits=serving.limits,
    )
    return query, related


def _leads_away(name: str) -> bool:
    """Whether a parameter may touch other types than the one that is searched."""
    return "." in name or ":" in name or name in ("_include", "_revinclude", "_list")


async def _sight(
    serving: Serving, context: Context, request: Request, query: Query, related: Mapping[str, Serving]
) -> tuple[Sight, PersonKey | None]:
    """What the guards of all types the query touches confine it to. Raises `Forbidden` for a type it names."""
    policies: dict[str, Policy] = {}
    own: PersonKey | None = None
    named = {serving.type.name, *_involved(query)}
    reachable = set(related) if query.includes else set()
    for name in sorted((named | reachable) & set(related)):
        guard = related[name].type.guard
        if guard is None:
            continue
        try:
            policies[name] = await guard.policy(context)
        except Forbidden:
            if name in named:
                raise
            policies[name] = NOTHING
            continue
        context.decided = True
        own = policies[name].person or own
    return Sight.under(policies, request.base), own


def _involved(query: Query) -> set[str]:
    """The types that chains and hierarchies lead to and that includes start from or name."""
    found = {each.type for each in query.includes} | {each.target for each in query.includes if each.target}
    for each in query.conditions:
        found |= set(_types(each))
    return found


def _types(given: Filter) -> Iterator[str]:
    match given:
        case Chain():
            for kind, inner in given.branches:
                yield kind
                yield from _types(inner)
        case Has():
            yield given.type
            yield from _types(given.filter)
        case Condition(type="reference", modifier="above" | "below"):
            yield from (each.type for each in given.values if isinstance(each, ReferenceValue) and each.type)


def _person_data(serving: Serving, types: Iterable[str]) -> bool:
    return any(serving.types[each].type.access is Access.person_data for each in types if each in serving.types)


def _record(
    serving: Serving, context: Context, involved: set[str], person: PersonKey | None, found: Sequence[Stored]
) -> None:
    """An event wherever data about persons was looked at, or asked about by a chain."""
    touched = {serving.type.name} | involved | {each.type for each in found}
    if serving.type.access is not Access.person_data and not _person_data(serving, touched):
        return
    operation = audit_entry(serving, context, "search", "R", None).operation
    ground = "self" if person is not None and person == context.caller.person else None
    context.record(AuditEntry(operation=operation, person=person, ground=ground, count=len(found)))


def _after(serving: Serving, query: Query, context: Context) -> Position | None:
    if query.cursor is None:
        return None
    after = serving.cursors.read(_name(serving, query, context), query.cursor)
    if len(after) != len(keys_of(query)):
        raise Invalid("the cursor belongs to another search; start the search again")
    return after


def _name(serving: Serving, query: Query, context: Context) -> str:
    """The search as its cursors name it: whose it is, but not what she may see, or a change of that would be told."""
    used = urlencode(sorted((name, value) for name, value in query.used if name not in ("_cursor", "_count")))
    caller = context.caller
    person = caller.person.hex() if caller.person is not None else ""
    return f"{serving.type.name}?{used}#{caller.client_id}|{caller.organisation}|{caller.user}|{person}"


def _link(serving: Serving, request: Request, query: Query, sealing: bool, cursor: str | None) -> str:
    """The address of this page or the next: what was used, a person's identifiers sealed."""
    if cursor is None and not sealing and request.sent_query and tuple(request.query) == query.used:
        return f"{request.base}/{serving.type.name}?{request.sent_query}"  # all of it was used
    kept = [
        (name, serving.cursors.sealed(value) if sealing and _IDENTIFYING & set(re.split("[.:]", name)) else value)
        for name, value in query.used
        if name != "_cursor"
    ]
    if cursor is not None:
        kept.append(("_cursor", cursor))
    return f"{request.base}/{serving.type.name}" + (f"?{urlencode(kept)}" if kept else "")


def _parts(part: Subset | None, resources: Sequence[Stored]) -> list[Stored]:
    if part is None:
        return list(resources)
    return [replace(each, body=part(each.type, each.body)) for each in resources]


def _truncated() -> dict[str, Any]:
    text = "not everything that _include and _revinclude lead to is here: narrow the search or ask for fewer at a time"
    return operation_outcome([issue("warning", "incomplete", "includes-truncated", text)])
