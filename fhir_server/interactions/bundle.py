# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""batch and transaction: https://hl7.org/fhir/R4/http.html#transaction.

Every entry goes the way of a request that comes alone (`endpoint.perform`): scope, role, access class, guard, audit. A
transaction does so in one database transaction, in the order of the specification: DELETE, POST, PUT and PATCH, GET.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.context import Answer, Context
from fhir_server.endpoint import authorize, failure_of, perform, record_denial
from fhir_server.ids import uuid7_text
from fhir_server.interactions.conditions import create_criteria
from fhir_server.interactions.create import create
from fhir_server.interactions.delete import conditional_delete, delete
from fhir_server.interactions.entries import Entry, Given, addresses, answered, entry_of, failed, given_in
from fhir_server.interactions.links import (
    conditional,
    conditional_references,
    linked,
    may_be_conditional,
    may_link,
    resolved,
)
from fhir_server.interactions.patch import conditional_patch, patch
from fhir_server.interactions.search import search
from fhir_server.interactions.serving import Served, Serving
from fhir_server.interactions.update import conditional_update, update
from fhir_server.interactions.write import matching_id, named_criteria
from fhir_server.outcome import (
    Conflict,
    FhirError,
    MultipleMatches,
    NotSupported,
    PreconditionFailed,
    TooLarge,
)
from fhir_server.service import Request, Route, Service
from fhir_server.storage.postgres import ResourceStore

_CONDITIONAL: Final = (conditional_delete, conditional_update, conditional_patch)
_BY_ID: Final = (delete, update, patch)


class BundleHandler:
    """The handler of POST at the base of a service."""

    def __init__(
        self,
        service: Service,
        store: ResourceStore,
        routes: Iterable[Route],
        served: Sequence[Served],
        max_entries: int,
    ) -> None:
        self._offered = service.interactions & {"batch", "transaction"}
        self._store, self._max = store, max_entries
        self._addresses = addresses(routes, served)
        self._search = {each.serving.type.name: each for each in served if each.interaction is search}

    async def __call__(self, context: Context, request: Request) -> Answer:
        """Answers a Bundle of requests by a Bundle of responses in the same order."""
        bundle = request.resource("Bundle")
        kind = bundle.get("type")
        if kind not in self._offered:
            raise NotSupported(
                f"the Bundle's type must be {' or '.join(sorted(self._offered))}", expression="Bundle.type"
            )
        given = given_in(request.body, bundle)
        if len(given) > self._max:
            raise TooLarge(f"a Bundle may have at most {self._max} entries")
        if kind == "batch":
            entries = [await self._alone(context, request, index, each) for index, each in enumerate(given)]
        else:
            entries = await self._together(context, request, given)
        answer: dict[str, Any] = {"resourceType": "Bundle", "type": f"{kind}-response"}
        return Answer(orjson.dumps({**answer, "entry": entries} if entries else answer))

    async def _alone(self, context: Context, request: Request, index: int, given: Given) -> dict[str, Any]:
        """One entry of a batch: what it does and how it fails concerns no other."""
        own = context.own()
        entry = None
        try:
            entry = entry_of(self._addresses, index, given, request)
            if entry.request.method in ("POST", "PUT") and may_link(entry.request.body, {}):
                # Entries of a batch know nothing of each other: a link to one would be stored and lead nowhere.
                linked(entry.resource, {}, None)
            made = answered(entry, await perform(entry.route, own, entry.request))
        except Exception as error:
            failure = failure_of(error, context.trace_id)
            failure.entry = f"Bundle.entry[{index}]"
            if entry is not None:
                record_denial(entry.route, own, failure)
            made = failed(failure)
        context.entries += own.entries
        return made

    async def _together(self, context: Context, request: Request, given: Sequence[Given]) -> list[dict[str, Any]]:
        entries = []
        for index, each in enumerate(given):
            entry = None
            try:
                entry = entry_of(self._addresses, index, each, request)
                if entry.served is None:
                    raise NotSupported("operations cannot be part of a transaction; send a batch")
                authorize(entry.route, context.caller)
            except Exception as error:
                raise _named(error, index, entry, context) from None
            entries.append(entry)
        work = _Transaction(context, self._search)
        async with self._store.transaction() as connection:
            bound = self._store.bound(connection)
            answers = await work.run(bound, connection, entries)
            await bound.flush()
        # Only now is it true that these things were done.
        context.entries += work.recorded
        return [answered(entry, answers[entry.index]) for entry in entries]


@dataclass(slots=True)
class _Step:
    """An entry that writes, with the id it will write."""

    entry: Entry
    serving: Serving
    target: str


class _Transaction:
    """The work of one transaction."""

    def __init__(self, context: Context, searches: dict[str, Served]) -> None:
        self._context, self._searches = context, searches
        self.recorded: list[Any] = []
        self._answers: dict[int, Answer] = {}
        self._servings: dict[str, Serving] = {}
        """Of each type, with everything done in this transaction."""
        self._bound: ResourceStore
        self._connection: AsyncConnection

    async def run(self, bound: ResourceStore, connection: AsyncConnection, entries: list[Entry]) -> dict[int, Answer]:
        """The answers by the entry's index. Raises the first failure, which names its entry."""
        self._bound, self._connection = bound, connection
        await self._lock(entries)
        seen: dict[tuple[str, str], Entry] = {}
        for entry in _of(entries, "DELETE"):
            await self._delete(entry, seen)
        writes = _of(entries, "POST", "PUT", "PATCH")
        searches = [each for each in writes if each.served is not None and each.served.interaction is search]
        steps = [await self._planned(entry, seen) for entry in writes if entry not in searches]
        await self._write(steps)
        for entry in [*searches, *_of(entries, "GET", "HEAD")]:
            await self._perform(entry)
        return self._answers

    async def _lock(self, entries: list[Entry]) -> None:
        """Takes the locks of all entries in one order, so that two transactions wait and do not block each other."""
        criteria: set[tuple[str, str]] = set()
        ids: set[tuple[str, str]] = set()
        for entry in entries:
            serving = _served(entry).serving
            interaction = _served(entry).interaction
            if interaction in _CONDITIONAL:
                criteria.add((serving.type.name, named_criteria(list(entry.request.query))))
            elif interaction is create and (wanted := create_criteria(entry.request)) is not None:
                criteria.add((serving.type.name, named_criteria(wanted)))
            elif interaction in _BY_ID:
                ids.add((serving.type.name, entry.request.path_params["id"]))
        for kind, text in sorted(criteria):
            await self._bound.lock_criteria(self._connection, kind, text)
        for kind, resource_id in sorted(ids):
            await self._bound.lock_id(self._connection, kind, resource_id)

    async def _delete(self, entry: Entry, seen: dict[tuple[str, str], Entry]) -> None:
        target: str | None = entry.request.path_params.get("id")
        if target is None:
            target = await self._matched(entry, list(entry.request.query))
        if target is not None:
            self._claim(entry, target, seen)
        await self._perform(entry)

    async def _planned(self, entry: Entry, seen: dict[tuple[str, str], Entry]) -> _Step:
        """Which resource the entry will write: known before anything is written, so that others can refer to it."""
        served, request = _served(entry), entry.request
        target: str | None = request.path_params.get("id")
        exists = target is not None
        if served.interaction is create and (wanted := create_criteria(request)) is not None:
            target = await self._matched(entry, wanted)
            exists = target is not None
            if exists:
                return _Step(entry, served.serving, str(target))
        elif served.interaction in (conditional_update, conditional_patch):
            target = await self._matched(entry, list(request.query))
            if target is None and served.interaction is conditional_update and entry.request.body:
                named = entry.resource.get("id")
                target = named if isinstance(named, str) else None
        target = target or uuid7_text(self._context.now)
        self._claim(entry, target, seen)
        return _Step(entry, served.serving, target)

    def _claim(self, entry: Entry, target: str, seen: dict[tuple[str, str], Entry]) -> None:
        key = (_served(entry).serving.type.name, target)
        if key in seen:
            clash = Conflict(f"the entry changes the same resource as {seen[key].name}", code="entries-overlap")
            raise _named(clash, entry.index, entry, self._context)
        seen[key] = entry

    async def _write(self, steps: list[_Step]) -> None:
        """Writes in waves: what a conditional reference means may be written by another entry first."""
        targets = {
            step.entry.full_url: f"{step.serving.type.name}/{step.target}" for step in steps if step.entry.full_url
        }
        waiting: list[tuple[_Step, Entry]] = []
        for step in steps:
            entry = step.entry
            try:
                if entry.request.method != "PATCH" and may_link(entry.request.body, targets):
                    entry = entry.sending(linked(entry.resource, targets, entry.full_url))
            except FhirError as error:
                raise _named(error, entry.index, entry, self._context) from None
            waiting.append((step, entry))
        found: dict[int, dict[str, str]] = {}
        while waiting:
            late: list[tuple[_Step, Entry]] = []
            for step, entry in waiting:
                wanted: list[str] = []
                if may_be_conditional(entry.request.body):
                    wanted = sorted(set(conditional_references(entry.resource)))
                matches = {each: await self._referred(entry, each) for each in wanted}
                known = {each: target for each, target in matches.items() if target is not None}
                if len(known) < len(wanted):
                    late.append((step, entry))
                    continue
                found[entry.index] = known
                await self._perform(entry.sending(resolved(entry.resource, known)) if known else entry, step.target)
            if len(late) == len(waiting):
                missing = PreconditionFailed(
                    "a conditional reference matches nothing, neither stored nor in this Bundle; entries that refer to "
                    "each other in a circle use fullUrl",
                    code="unknown-reference",
                )
                raise _named(missing, late[0][1].index, late[0][1], self._context)
            waiting = late
        await self._verify(steps, found)

    async def _verify(self, steps: list[_Step], found: dict[int, dict[str, str]]) -> None:
        """A conditional reference must mean the same when all is written as when it was resolved."""
        for step in steps:
            for reference, target in found.get(step.entry.index, {}).items():
                if await self._referred(step.entry, reference) != target:
                    changed = MultipleMatches("another entry changes what a conditional reference of this one means")
                    raise _named(changed, step.entry.index, step.entry, self._context)

    async def _referred(self, entry: Entry, reference: str) -> str | None:
        """What a conditional reference matches, for a caller who might search for it."""
        parts = conditional(reference)
        served = self._searches.get(parts[0]) if parts else None
        try:
            if parts is None or served is None:
                raise NotSupported("the type of a conditional reference is not searched here", code="unknown-reference")
            authorize(served.route, self._context.caller)
            own = self._context.own()
            matched = await matching_id(self._serving(served), own, self._connection, _criteria(parts[1]))
        except FhirError as error:
            raise _named(error, entry.index, entry, self._context) from None
        return None if matched is None else f"{parts[0]}/{matched}"

    async def _matched(self, entry: Entry, criteria: list[tuple[str, str]]) -> str | None:
        own = self._context.own()
        try:
            return await matching_id(self._serving(_served(entry)), own, self._connection, criteria)
        except Exception as error:
            raise _named(error, entry.index, entry, self._context) from None

    async def _perform(self, entry: Entry, target: str | None = None) -> None:
        served = _served(entry)
        handler = partial(served.interaction, self._serving(served))
        if target is not None and served.interaction in (create, conditional_update):
            handler = partial(handler, planned=target)
        own = self._context.own()
        try:
            answer = await perform(entry.route, own, entry.request, handler)
        except Exception as error:
            raise _named(error, entry.index, entry, self._context) from error
        self.recorded += own.entries
        self._answers[entry.index] = answer

    def _serving(self, served: Served) -> Serving:
        name = served.serving.type.name
        if name not in self._servings:
            self._servings[name] = replace(served.serving, store=self._bound)
        return self._servings[name]


def _named(error: Exception, index: int, entry: Entry | None, context: Context) -> FhirError:
    """The failure with the name of its entry; a refusal that concerns a person is recorded though nothing else is."""
    failure = failure_of(error, context.trace_id)
    failure.entry = failure.entry or f"Bundle.entry[{index}]"
    if entry is not None:
        record_denial(entry.route, context, failure)
    return failure


def _of(entries: list[Entry], *methods: str) -> list[Entry]:
    """The entries of these methods, in the order of the methods; PUT and PATCH are one step."""
    order = {method: min(place, 1) if method != "POST" else 0 for place, method in enumerate(methods)}
    return sorted((each for each in entries if each.request.method in methods), key=lambda e: order[e.request.method])


def _served(entry: Entry) -> Served:
    if entry.served is None:
        raise NotSupported("operations cannot be part of a transaction; send a batch")
    return entry.served


def _criteria(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text.lstrip("?"), keep_blank_values=True)
