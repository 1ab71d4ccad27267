# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Works an export: one repeatable-read snapshot, a server-side cursor a type, files in bounded memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
import structlog

from fhir_server.bulk.files import Part, Writer, line
from fhir_server.bulk.order import Order, filters, group_members
from fhir_server.bulk.rows import select_bodies, select_deleted
from fhir_server.bulk.settings import BulkSettings
from fhir_server.context import Context
from fhir_server.interactions.seeing import Seen, seen
from fhir_server.interactions.serving import Serving
from fhir_server.outcome import FhirError, NotFound, issue, operation_outcome
from fhir_server.resource import instant
from fhir_server.search.compartment import PATIENT, compartment
from fhir_server.search.index import extract_values
from fhir_server.search.subset import subset
from identifiers.person_key import PersonKey

log = structlog.get_logger("ndi.bulk")

_ROWS: Final = 500
"""Resources held in memory at a time."""
_DELETIONS: Final = 100
"""Deletions in one transaction Bundle."""
_MARGIN: Final = 5.0

Tell = Callable[[str], Awaitable[None]]
"""Keeps how far it is; raises `Stopped` if nobody wants it any more."""


class Stopped(Exception):
    """The job was cancelled, or another worker has begun it anew."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it."""

    moment: datetime
    parts: tuple[Part, ...]
    types: tuple[str, ...]
    sight: str
    """Changes when what the caller may see of them does."""


class Export:
    """One export, with what it is worked by."""

    def __init__(
        self, engine: AsyncEngine, types: Mapping[str, Serving], order: Order, folder: Path, settings: BulkSettings,
        tell: Tell,
    ) -> None:  # fmt: skip
        self._engine, self._types, self._order, self._folder = engine, types, order, folder
        self._settings, self._tell = settings, tell
        self._patients: tuple[str, ...] | None = order.patients or None
        self._issues: list[dict[str, Any]] = []
        self._done = 0

    async def run(self, context: Context, base: str, now: datetime, deadline: float) -> Exported:
        """Writes the files. Raises `FhirError` if nothing can be exported, `Stopped`.

        `deadline`: seconds a write may take. Its lastUpdated is that of its beginning, so that only what is older than
        that is sure to be in the snapshot: `moment` is set back by it, and no `_since` loses a write.
        """
        moment = now - timedelta(seconds=deadline + _MARGIN)
        visible = await seen(self._types, context, base, named=self._order.types)
        kinds = exported_types(self._order, visible)
        parts: list[Part] = []
        async with self._engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                await connection.execute(text(f"SET LOCAL statement_timeout = {int(self._settings.statement * 1000)}"))
                if self._order.group is not None:
                    await self._enter_group(connection, visible)
                for kind in kinds:
                    parts += await self._type(connection, kind, visible)
        for each in self._order.ignored:
            self._issues.append(issue("warning", "not-supported", "ignored", f"left out: {each}"))
        if self._issues:
            writer = self._writer("error", "OperationOutcome")
            await writer.write([line(orjson.dumps(operation_outcome([each]))) for each in self._issues])
            parts += await writer.close()
        return Exported(moment, tuple(parts), tuple(kinds), visible.fingerprint(kinds))

    async def _type(self, connection: AsyncConnection, kind: str, visible: Seen) -> list[Part]:
        """The files of a type; if the database refuses them, none of them and an error that names the type."""
        writers = [self._writer("output", kind), self._writer("deleted", kind)]
        try:
            async with connection.begin_nested():
                await self._current(connection, kind, visible, writers[0])
                if self._order.moment is not None:
                    await self._deleted(connection, kind, visible, self._order.moment, writers[1])
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            log.error("export of a type failed", type=kind, error=type(error.orig).__name__)
            text_ = f"{kind} could not be exported: the database gave up on it; narrow it by _typeFilter or _since"
            self._issues.append(issue("error", "incomplete", "type-not-exported", text_))
            return []
        else:
            return [part for writer in writers for part in await writer.close()]
        finally:
            for writer in writers:
                writer.abandon()

    async def _current(self, connection: AsyncConnection, kind: str, visible: Seen, writer: Writer) -> None:
        statement = select_bodies(
            self._types[kind].tables,
            kind,
            visible,
            patients=self._patients,
            compartments=self._order.level != "system",
            since=self._order.moment,
            queries=filters(self._types, self._order).get(kind, []),
        )
        part = subset("false", self._order.elements_of(kind)) if self._order.elements_of(kind) else None
        async for rows in _streamed(connection, statement):
            bodies = [bytes(row.body) for row in rows]
            await writer.write([line(body if part is None else part(kind, body)) for body in bodies])
            self._done += len(rows)
            await self._tell(f"{self._done:,} resources, at {kind}")

    async def _deleted(
        self, connection: AsyncConnection, kind: str, visible: Seen, since: datetime, writer: Writer
    ) -> None:
        gone: list[str] = []
        async for rows in _streamed(connection, select_deleted(self._types[kind].tables, kind, since)):
            gone += [row.id for row in rows if self._was_visible(kind, visible, row)]
            await self._tell(f"{self._done:,} resources, at deleted {kind}")
        for start in range(0, len(gone), _DELETIONS):
            entries = [{"request": {"method": "DELETE", "url": f"{kind}/{each}"}} for each in gone[start:][:_DELETIONS]]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            await writer.write([line(orjson.dumps(bundle))])

    def _was_visible(self, kind: str, visible: Seen, row: Any) -> bool:
        policy = visible.policies.get(kind)
        if policy is not None:
            person = None if row.person_key is None else PersonKey(bytes(row.person_key))
            if not policy.permits(person, row.custodian):
                return False
        if self._order.level == "system" or (kind == PATIENT and self._patients is None):
            return True
        if kind == PATIENT:
            return row.id in (self._patients or ())
        return self._belonged(kind, row.body)

    def _belonged(self, kind: str, body: bytes) -> bool:
        """Whether what was deleted stood in one of the compartments; its search values are gone."""
        if kind not in compartment():
            return False
        wanted = compartment()[kind].parameters
        own = [each for code, each in self._types[kind].parameters.items() if code in wanted]
        led = {
            each.target for each in extract_values(orjson.loads(body), own).references if each.target_type == PATIENT
        }
        return bool(led) if self._patients is None else bool(led & set(self._patients))

    async def _enter_group(self, connection: AsyncConnection, visible: Seen) -> None:
        """The members, as they are in the snapshot."""
        tables = self._types["Group"].tables
        resource = tables.resource
        found = select(resource.c.body).where(*visible.sight.of(resource, "Group"), resource.c.id == self._order.group)
        body = (await connection.execute(found)).scalar_one_or_none()
        if body is None:
            raise NotFound("no Group with this id")
        members = group_members(orjson.loads(body))
        asked = self._order.patients
        self._patients = tuple(each for each in members if not asked or each in asked)

    def _writer(self, kind: str, resource_type: str) -> Writer:
        return Writer(self._folder, kind, resource_type, self._settings.rows_per_file)


def exported_types(order: Order, visible: Seen) -> list[str]:
    """The types an export holds: those named, else all that may be seen at this level."""
    if order.types:
        return sorted(order.types)
    filtered = {each.partition("?")[0] for each in order.filters}
    if order.level == "system":
        return sorted(visible.types)
    return sorted(each for each in visible.types if each == PATIENT or each in compartment() or each in filtered)


def manifest(exported: Mapping[str, Any], request: str, address: Callable[[str], str]) -> dict[str, Any]:
    """The answer to a client whose export is done (export.html#response---complete-status)."""
    listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": []}
    for each in exported["parts"]:
        kind = "Bundle" if each["kind"] == "deleted" else each["type"]
        listed[each["kind"]].append({"type": kind, "url": address(each["name"]), "count": each["count"]})
    return {
        "transactionTime": exported["moment"],
        "request": request,
        "requiresAccessToken": True,
        **listed,
    }


def result(exported: Exported) -> dict[str, Any]:
    """What is kept of it with the job."""
    return {
        "moment": instant(exported.moment),
        "parts": [each.row() for each in exported.parts],
        "types": list(exported.types),
        "sight": exported.sight,
    }


def failure(error: FhirError) -> dict[str, Any]:
    """What is kept of an error with the job."""
    return {"status": error.status, "outcome": error.outcome()}


async def _streamed(connection: AsyncConnection, statement: Any) -> AsyncIterator[Sequence[Any]]:
    """The rows of a statement some hundreds at a time, by a cursor of the server."""
    async with connection.stream(statement.execution_options(yield_per=_ROWS)) as rows:
        async for some in rows.partitions(_ROWS):
            yield some
