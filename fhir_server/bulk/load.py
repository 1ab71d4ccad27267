# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Loads many resources from NDJSON (https://hl7.org/fhir/R4/nd-json.html), in batches of one transaction each.

Ids are kept. What is there with the same bytes stays as it is, so that a run that was killed is simply run again; what
differs becomes the next version. A type's hooks are called as for a write over HTTP; its guard is not asked, since who
loads holds the database. A line that cannot be taken is told with its number, and the others of its batch are stored.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final

import orjson
from sqlalchemy.exc import DBAPIError
import structlog

from fhir_server.context import Access, AuditEntry, Context
from fhir_server.interactions.profiled import check_declared
from fhir_server.interactions.write import not_before
from fhir_server.outcome import FhirError, Malformed, NotSupported, Unprocessable, issue, operation_outcome
from fhir_server.resource import check_depth, stamp
from fhir_server.search.index import SearchValues, extract_values
from fhir_server.search.parameters import SearchParameter, parameters_for
from fhir_server.service import ResourceType, Service
from fhir_server.storage.load import BatchStore, Key
from fhir_server.storage.postgres import Stored
from fhir_server.storage.writing import Version
from fhir_server.validation import check_id, validate, validate_rules, validate_structure
from fhir_server.validation.packages import Packages

log = structlog.get_logger("ndi.load")

BATCH: Final = 500
"""Resources of one transaction: 1,000 were no faster, and lose more work to a kill."""
_DEEPEST: Final = 64
_ATTEMPTS: Final = 5
_MET_ANOTHER: Final = ("23505", "40001", "40P01")
"""SQLSTATE of a write that met another of the same resource: what that one made is found the next time."""
_LOST: Final = ("08", "53", "57")
"""Classes of SQLSTATE that say nothing about a line: connection, resources, operator's intervention."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line and where it stands."""

    source: str
    number: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was not stored, and why."""

    line: Line
    outcome: Mapping[str, Any]


@dataclass(slots=True)
class Tally:
    """What a run did, by resource type."""

    new: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    rejected: int = 0

    @property
    def stored(self) -> int:
        """All that is there now."""
        return self.new.total() + self.changed.total() + self.same.total()


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type as it is loaded."""

    type: ResourceType
    parameters: tuple[SearchParameter, ...]

    @property
    def plain(self) -> bool:
        """Whether no hook of the service stands between the bytes and the store."""
        return self.type.prepare is None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A line that may be stored."""

    line: Line
    kind: _Kind
    resource: dict[str, Any]
    body: bytes
    values: SearchValues = field(default_factory=SearchValues)
    """As `first` empty until the service has completed the resource."""
    first: bytes = b""
    """The body of a first version, made aside before it is known whether it is one."""

    @property
    def key(self) -> Key:
        """Type and id."""
        return self.kind.type.name, self.resource["id"]


class Loader:
    """Loads lines into one service."""

    def __init__(
        self,
        service: Service,
        store: BatchStore,
        *,
        context: Callable[[], Context],
        packages: Packages | None = None,
        trusted: bool = False,
        batch: int = BATCH,
        rejected: Callable[[Rejected], None] = lambda _: None,
    ) -> None:
        """`context`: who loads, anew for each batch. `packages`: profiles that a type may declare.

        `trusted`: nothing is validated but that a line is a resource.
        """
        self._packages = packages
        self._store, self._context, self._trusted, self._batch = store, context, trusted, batch
        self._rejected = rejected
        self._kinds = {
            each.name: _Kind(each, tuple(parameters_for(each.name, each.search).values())) for each in service.resources
        }
        self._name = service.name
        self.tally = Tally()

    async def load(self, lines: Iterable[Line]) -> Tally:
        """Loads all lines; the next batch is read and validated while the one before is written.

        Raises what says that the database cannot be reached; whole batches stay.
        """
        if self._trusted:
            log.warning("trusted load: nothing is validated", service=self._name)
        source = iter(lines)
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                context = self._context()
                given, refused = await asyncio.to_thread(self._read, source, context.now)
                if writing is not None:
                    await writing
                    writing = None
                self._refuse(refused)
                if not given and not refused:
                    break
                writing = asyncio.create_task(self._store_batch(context, given))
        finally:
            if writing is not None:
                await writing
        log.info(
            "load finished", service=self._name, trusted=self._trusted, new=self.tally.new.total(),
            changed=self.tally.changed.total(), same=self.tally.same.total(), rejected=self.tally.rejected,
        )  # fmt: skip
        return self.tally

    def _read(self, source: Iterator[Line], now: datetime) -> tuple[list[_Ready], list[Rejected]]:
        """The next batch as far as it can be made ready without the database; runs in a thread."""
        given: list[_Ready] = []
        refused: list[Rejected] = []
        for line in islice(source, self._batch):
            try:
                given.append(self._parsed(line, now))
            except Exception as error:
                refused.append(Rejected(line, _outcome(error)))
        return given, refused

    def _parsed(self, line: Line, now: datetime) -> _Ready:
        body = line.body
        if body.count(b"{") + body.count(b"[") > _DEEPEST:
            check_depth(body, _DEEPEST)
        try:
            resource = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"the line is not JSON: column {error.colno}") from None
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(name, str):
            raise Malformed("the line must be one FHIR resource: an object with resourceType")
        kind = self._kinds.get(name)
        if kind is None:
            raise NotSupported(f"the type of the line is not served by {self._name}", expression="resourceType")
        if not isinstance(resource.get("id"), str):
            raise Unprocessable(
                "a resource is loaded under its own id: give it one", expression="id", code="invalid-id"
            )
        check_id(resource["id"])
        if not self._trusted:
            # A service completes its resources before they are held against the rules (`interactions.write`).
            (validate if kind.plain else validate_structure)(body)
            if kind.plain:
                check_declared(self._packages, kind.type.profiles, resource)
        ready = _Ready(line, kind, resource, body)
        return self._indexed(ready, now) if kind.plain else ready

    def _indexed(self, ready: _Ready, now: datetime) -> _Ready:
        first = stamp(ready.body, ready.resource, resource_id=ready.key[1], version=1, updated=now)
        return replace(ready, values=extract_values(ready.resource, ready.kind.parameters), first=first)

    async def _completed(self, context: Context, ready: _Ready) -> _Ready:
        """What the service's own `prepare` makes of it."""
        prepare = ready.kind.type.prepare
        if prepare is None:
            return ready
        made = await prepare(context, ready.resource)
        body = ready.body if made is ready.resource else orjson.dumps(made)
        if not self._trusted:
            validate_rules(made)
            check_declared(self._packages, ready.kind.type.profiles, made)
        return self._indexed(replace(ready, resource=made, body=body), context.now)

    async def _store_batch(self, context: Context, given: list[_Ready]) -> None:
        completed: list[_Ready] = []
        for each in given:
            try:
                completed.append(await self._completed(context, each))
            except Exception as error:
                self._refuse([_refusal(each, error)])
        try:
            await self._store_together(context, completed)
        except Exception as error:
            _check_about_lines(error)
            # One of them, or another writer: each on its own, so that the fault is told of its line alone.
            for each in completed:
                await self._store_alone(context, each)

    async def _store_alone(self, context: Context, ready: _Ready) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._store_together(context, [ready])
                return
            except Exception as error:
                if attempt == _ATTEMPTS or _sqlstate(error) not in _MET_ANOTHER:
                    self._refuse([_refusal(ready, error)])
                    return

    async def _store_together(self, context: Context, given: list[_Ready]) -> None:
        """One transaction; the tally counts it when it is committed."""
        tally = Tally()
        entries: list[AuditEntry] = []
        async with self._store.transaction() as connection:
            for wave in _waves(given):
                current = await self._store.current(connection, [each.key for each in wave])
                new: list[Version] = []
                changed: list[Version] = []
                hooks: list[Callable[[], Awaitable[None]]] = []
                for each in wave:
                    there = current.get(each.key)
                    if there is not None and not there.deleted and _same(each, there):
                        tally.same[each.key[0]] += 1
                        continue
                    fresh = there is None
                    (new if fresh else changed).append(_version(each, there, context.now))
                    (tally.new if fresh else tally.changed)[each.key[0]] += 1
                    if self._store.audited:
                        entries.append(_entry(each, self._trusted, made=there is None or there.deleted))
                    if each.kind.type.within is not None:
                        hooks.append(partial(each.kind.type.within, connection, context, each.resource))
                await self._store.write(connection, new, changed)
                for derive in hooks:
                    await derive()
            if entries:
                await self._store.record(connection, context, entries)
        self.tally.new += tally.new
        self.tally.changed += tally.changed
        self.tally.same += tally.same

    def _refuse(self, refused: Iterable[Rejected]) -> None:
        for each in refused:
            self.tally.rejected += 1
            self._rejected(each)


def _waves(given: list[_Ready]) -> Iterator[list[_Ready]]:
    """In order, each id once in a wave: what comes twice becomes two versions."""
    wave: dict[Key, _Ready] = {}
    for each in given:
        if each.key in wave:
            yield list(wave.values())
            wave = {}
        wave[each.key] = each
    if wave:
        yield list(wave.values())


def _same(ready: _Ready, there: Stored) -> bool:
    body = stamp(
        ready.body, ready.resource, resource_id=there.id, version=there.version, updated=there.updated
    )  # fmt: skip
    return body == there.body


def _version(ready: _Ready, there: Stored | None, now: datetime) -> Version:
    kind, resource = ready.kind.type, ready.resource
    version, updated, body = 1, now, ready.first
    if there is not None:
        version, updated = there.version + 1, not_before(there, now)
        body = stamp(ready.body, resource, resource_id=there.id, version=version, updated=updated)
    person = kind.person(resource) if kind.person is not None else None
    if person is None and kind.access is Access.person_data:
        raise Unprocessable("the resource names no person that is known by this service", code="no-person")
    return Version(
        *ready.key, version, updated, "PUT", body, ready.values,
        person_key=person.value if person is not None else None,
        custodian=kind.custodian(resource) if kind.custodian is not None else None,
    )  # fmt: skip


def _entry(ready: _Ready, trusted: bool, *, made: bool) -> AuditEntry:
    kind = ready.kind.type
    return AuditEntry(
        operation=f"load {kind.name}",
        action="C" if made else "U",
        person=kind.person(ready.resource) if kind.person is not None else None,
        information_type=kind.information_type,
        detail={"trusted": trusted},
    )


def _check_about_lines(error: Exception) -> None:
    """Raises the error again if it says nothing about what was to be stored."""
    lost = isinstance(error, DBAPIError) and (error.connection_invalidated or _sqlstate(error).startswith(_LOST))
    if lost or isinstance(error, OSError):
        raise error


def _sqlstate(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")


def _refusal(ready: _Ready, error: Exception) -> Rejected:
    _check_about_lines(error)
    return Rejected(ready.line, _outcome(error))


def _outcome(error: Exception) -> dict[str, Any]:
    if isinstance(error, FhirError):
        return error.outcome()
    # Its text may hold personal data (a database names the value that it refused).
    text = f"the resource cannot be taken as it is ({type(error).__name__}): validate it"
    return operation_outcome([issue("error", "exception", "unprocessable", text)])
