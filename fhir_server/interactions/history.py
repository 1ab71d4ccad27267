# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""history of an instance, a type or the service: https://hl7.org/fhir/R4/http.html#history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

import orjson

from fhir_server.bundle import history as history_bundle
from fhir_server.bundle import links_of
from fhir_server.context import Access, Answer, Context
from fhir_server.endpoint import authorize
from fhir_server.interactions.serving import Served, Serving, audit_entry, guard
from fhir_server.limits import LIMITS
from fhir_server.outcome import Forbidden, Invalid, NotFound, NotSupported
from fhir_server.resource import moment_of
from fhir_server.search.query import DEFAULT_COUNT
from fhir_server.search.values import date_range
from fhir_server.service import Request
from fhir_server.storage.postgres import Stored


@dataclass(frozen=True, slots=True)
class _Asked:
    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    count: int = DEFAULT_COUNT
    cursor: str | None = None
    kept: tuple[tuple[str, str], ...] = ()
    """What the links repeat."""


async def history(serving: Serving, context: Context, request: Request) -> Answer:
    """Versions newest first; `_since`, `_at`, `_count` and our cursor are taken. Raises `NotFound`, `NotSupported`."""
    resource_id = request.path_params.get("id")
    if resource_id is None and serving.type.access is Access.person_data:
        raise NotSupported(f"the history of all {serving.type.name} is not offered; ask for one instance")
    asked = _asked(request)
    path = serving.type.name + (f"/{resource_id}" if resource_id else "")
    found, next_cursor = await _page(serving, (serving.type.name,), resource_id, asked, path)
    if resource_id is None:
        found = [each for each in found if await _visible(serving, context, each)]
    else:
        await guard(serving, context, "history", orjson.loads(found[0].body) if found else None)
        if not found and asked == _Asked(count=asked.count):
            raise NotFound(f"no {serving.type.name} with this id")
    if serving.type.access is Access.person_data and found:
        context.record(audit_entry(serving, context, "history", "R", orjson.loads(found[0].body)))
    return _answer(request, found, path, asked, next_cursor)


class SystemHistory:
    """The handler of `_history` at the base: all types whose history the caller may see, person data never."""

    def __init__(self, served: Sequence[Served]) -> None:
        """`served`: all interactions of the service."""
        self._types = {
            each.serving.type.name: each
            for each in served
            if each.interaction is history
            and each.serving.type.access is not Access.person_data
            and "{id}" not in each.route.path
        }

    async def __call__(self, context: Context, request: Request) -> Answer:
        """Raises `Forbidden` if the caller may see the history of no type."""
        asked = _asked(request)
        seen: list[str] = []
        for name, each in sorted(self._types.items()):
            try:
                authorize(each.route, context.caller)
            except Forbidden:
                continue
            seen.append(name)
        if not seen:
            raise Forbidden("the token lacks the scope to see the history of any type", code="insufficient-scope")
        any_type = self._types[seen[0]].serving
        found, next_cursor = await _page(any_type, seen, None, asked, f"({','.join(seen)})")
        visible = [each for each in found if await _visible(self._types[each.type].serving, context, each)]
        return _answer(request, visible, "", asked, next_cursor)


async def _page(
    serving: Serving, types: Sequence[str], resource_id: str | None, asked: _Asked, path: str
) -> tuple[list[Stored], str | None]:
    """A page and the cursor of the next."""
    name = f"{path}/_history?{urlencode(asked.kept)}"
    before = serving.cursors.read(name, asked.cursor) if asked.cursor is not None else None
    found = await serving.store.history(
        types, resource_id, since=asked.since, at=asked.at, before=before, count=asked.count + 1
    )
    if len(found) <= asked.count:
        return found, None
    found = found[: asked.count]
    last = found[-1]
    return found, serving.cursors.make(name, (last.updated, last.type, last.id, last.version))


async def _visible(serving: Serving, context: Context, version: Stored) -> bool:
    """Whether the type's guard lets the caller see a version; what it does not is left out."""
    try:
        await guard(serving, context, "history", orjson.loads(version.body))
    except (Forbidden, NotFound):
        return False
    return True


def _answer(request: Request, found: list[Stored], path: str, asked: _Asked, cursor: str | None) -> Answer:
    address = f"{request.base}/{path}/_history" if path else f"{request.base}/_history"
    next_link = None
    if cursor is not None:
        next_link = f"{address}?{urlencode([*asked.kept, ('_count', str(asked.count)), ('_cursor', cursor)])}"
    self_link = address + (f"?{urlencode(asked.kept)}" if asked.kept else "")
    return Answer(history_bundle(found, base=request.base, links=links_of(self_link, next_link)))


def _asked(request: Request) -> _Asked:
    since, at, count, cursor = None, None, DEFAULT_COUNT, None
    kept: list[tuple[str, str]] = []
    for name, value in request.query:
        match name:
            case "_since":
                since = _since(value)
                kept.append((name, since.isoformat()))
            case "_at":
                at = date_range(value.replace(" ", "+"))
                if at is None:
                    raise Invalid("_at must be a date or an instant like 2026-01-01 or 2026-01-01T00:00:00Z")
                kept.append((name, value.replace(" ", "+")))
            case "_count":
                if not (value.isascii() and value.isdigit()) or not value.strip("0"):
                    raise Invalid("_count must be a whole number above 0")
                count = min(int(value.lstrip("0")[:9]), LIMITS.count)
            case "_cursor":
                cursor = value
            case "_format" | "_pretty":
                continue
            case _:
                raise NotSupported("unknown history parameter; offered: _since, _at, _count", code="unknown-parameter")
    return _Asked(since, at, count, cursor, tuple(kept))


def _since(value: str) -> datetime:
    since = moment_of(value.replace(" ", "+"))
    if since is None:
        raise Invalid("_since must be an instant with a time zone, like 2026-01-01T00:00:00Z")
    return since
