# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Search AuditEvent: the person's own access log, newest first (PDL 5 kap. 5 §; ITI-81 in its direction).

The person comes from the token alone; there is no parameter by which another's log could be asked for.
"""

from collections.abc import Mapping
from typing import Final

from audit.model import MAX_PAGE, OWN_LOG_READ, Event, Position, bundle, read_cursor, write_cursor
from audit.store import AuditStore
from fhir_server.context import Answer, AuditEntry, CallerKind, Context
from fhir_server.outcome import Forbidden, Invalid, NotSupported
from fhir_server.service import Request
from identifiers.person_key import PersonKey

DEFAULT_PAGE: Final = 50
_IGNORED: Final = frozenset({"_format", "_pretty"})


class AccessLogSearch:
    """POST /audit/fhir/AuditEvent/_search, and GET /audit/fhir/AuditEvent for the links of its pages."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers a searchset of AuditEvent.

        in: _count (1-200), _cursor (from a next link), _sort (-date), patient (the caller's own).
        Raises `Forbidden` for anybody but a patient about herself, `Invalid`, `NotSupported`.
        """
        person = own_person(context)
        parameters = _single(request.search_parameters())
        if parameters.pop("patient", f"Patient/{person.hex()}") not in (person.hex(), f"Patient/{person.hex()}"):
            raise Forbidden("only the person herself may read an access log", code="not-own-log")
        if parameters.pop("_sort", "-date") != "-date":
            raise NotSupported("the log is sorted by -date, newest first")
        count = page_size(parameters.pop("_count", str(DEFAULT_PAGE)))
        cursor = parameters.pop("_cursor", None)
        if parameters.keys() - _IGNORED:
            raise NotSupported("parameters are _count, _cursor, _sort and patient")
        context.decided = True
        events, position = await read_page(self._store, person, cursor, count)
        context.record(own_log_read(person, len(events)))
        following = None if position is None else f"{request.base}/AuditEvent?_count={count}&_cursor={position}"
        return Answer(bundle(events, base=request.base, next_url=following))


def own_person(context: Context) -> PersonKey:
    """The person whose log may be read: the caller. Raises `Forbidden`."""
    person = context.caller.person
    if context.caller.kind is not CallerKind.patient or person is None:
        raise Forbidden("the access log is shown to the person it is about", code="not-own-log")
    return person


def page_size(text: str) -> int:
    """The number of events a page may have. Raises `Invalid`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise Invalid("_count must be a number from 1")
    return min(int(text), MAX_PAGE)


async def read_page(
    store: AuditStore, person: PersonKey, cursor: str | None, count: int
) -> tuple[list[Event], str | None]:
    """The events of a page and the cursor of the next, None after the last. Raises `Invalid`."""
    found = await store.page(person, None if cursor is None else read_cursor(cursor), count + 1)
    if len(found) <= count:
        return found, None
    last = found[count - 1]
    return found[:count], write_cursor(Position(last.row.recorded, last.uuid))


def own_log_read(person: PersonKey, count: int) -> AuditEntry:
    """The entry that keeps that the log was shown to the person it is about."""
    return AuditEntry(OWN_LOG_READ, "R", person=person, ground="self", count=count)


def _single(pairs: list[tuple[str, str]]) -> dict[str, str]:
    values: Mapping[str, str] = dict(pairs)
    if len(values) != len(pairs):
        raise Invalid("a parameter is sent twice")
    return dict(values)
