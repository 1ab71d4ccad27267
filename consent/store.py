# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The tables of `consent` beside the kernel's: access documents, the feed of changes, stated care relations.

A decision reads one row by its primary key, always from the database: a block works from the next call anywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, insert, select, text
from sqlalchemy import update as sql_update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from consent.client import ConsentChange
from consent.model.document import EMPTY, AccessDocument, CareRelation, Entry, Kind
from consent.model.resource import active, entry_of, person_of
from fhir_server.context import Context
from fhir_server.outcome import Unavailable, Unprocessable
from identifiers.person_key import PersonKey

__all__ = ["AsyncEngine", "ConsentStore", "write_consent"]

READ_SECONDS: Final = 2.0
"""A decision that cannot be read within this time is denied as unavailable."""

_METADATA: Final = MetaData(schema="consent")
_DOCUMENT: Final = Table(
    "access_document",
    _METADATA,
    Column("person_key", LargeBinary, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("updated", DateTime(timezone=True), nullable=False),
)
_RELATION: Final = Table(
    "care_relation",
    _METADATA,
    Column("id", Uuid, nullable=False),
    Column("person_key", LargeBinary, nullable=False),
    Column("provider", Text, nullable=False),
    Column("unit", Text),
    Column("user_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("starts", DateTime(timezone=True), nullable=False),
    Column("ends", DateTime(timezone=True), nullable=False),
)

_READ: Final = text("SELECT document FROM consent.access_document WHERE person_key = :person_key")
_APPEND: Final = text(
    "INSERT INTO consent.change (person_key, consent_id, kind, active, register, changed) "
    "VALUES (:person_key, :consent_id, :kind, :active, :register, :changed)"
)
_LAST: Final = text(
    "SELECT active FROM consent.change WHERE person_key = :person_key AND consent_id = :consent_id "
    "ORDER BY seq DESC LIMIT 1"
)
# Rows of transactions that may still be running are held back: what becomes visible later can never sort before what
# was already handed out.
_FEED: Final = text(
    "SELECT person_key, consent_id, kind, active, register, CAST(xid AS text) AS xid, seq FROM consent.change "
    "WHERE (xid, seq) > (CAST(CAST(:xid AS text) AS xid8), :seq) "
    "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, seq LIMIT :count"
)


class ConsentStore:
    """Reads and writes of the service's own tables."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def document(self, person: PersonKey) -> AccessDocument:
        """What is in force for the person now. Raises `Unavailable` when it cannot be read, in time or at all."""
        try:
            async with asyncio.timeout(READ_SECONDS), self._single.connect() as connection:
                row = (await connection.execute(_READ, {"person_key": person.value})).first()
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable("consents cannot be read, so nothing is permitted; try again") from error
        return EMPTY if row is None else AccessDocument.of_json(_object(row.document))

    async def add_relation(self, person: PersonKey, relation: CareRelation, reason: str, now: datetime) -> None:
        """Keeps a stated care relation and puts it in force."""
        row = {
            "id": UUID(relation.id),
            "person_key": person.value,
            "provider": relation.provider,
            "unit": relation.unit,
            "user_id": relation.user,
            "reason": reason,
            "starts": relation.period.start,
            "ends": relation.period.end,
        }
        async with self._transaction() as connection:
            document = await _locked(connection, person, now)
            await connection.execute(insert(_RELATION).values(**row))
            await _rewrite(connection, person, document.with_relation(relation, now), now)

    async def changes(self, after: tuple[int, int], count: int) -> tuple[list[ConsentChange], tuple[int, int]]:
        """Changes after a position, oldest first, and the position of the last."""
        async with self._transaction() as connection:
            rows = (await connection.execute(_FEED, {"xid": str(after[0]), "seq": after[1], "count": count})).all()
        position = (int(rows[-1].xid), int(rows[-1].seq)) if rows else after
        return [
            ConsentChange(PersonKey(bytes(r.person_key)), r.kind, r.consent_id, r.active, r.register) for r in rows
        ], position

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable("the store of consents cannot be reached; nothing was done, try again") from error


async def write_consent(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Brings the access document in line with a Consent, inside the transaction that stores it.

    The document's row is locked, so that concurrent changes of one person wait for each other and none is lost.
    Raises `Unprocessable` on a change of terms and on bringing an ended Consent back.
    """
    person, entry, on = person_of(resource), entry_of(resource), active(resource)
    document = await _locked(connection, person, context.now)
    known = document.entry(entry.id)
    if known is not None and replace(entry, provider=known.provider) != known:
        raise Unprocessable(
            "only the status of a Consent changes; withdraw it and make a new one for other terms",
            expression="Consent",
            code="consent-terms-changed",
        )
    if on == (known is not None):
        return
    if on and await _ended(connection, person, entry):
        raise Unprocessable(
            "an ended Consent does not come back; make a new one", expression="Consent.status", code="consent-ended"
        )
    changed = document.with_entry(entry) if on else document.without(entry.id)
    await _rewrite(connection, person, changed, context.now)
    await connection.execute(
        _APPEND,
        {
            "person_key": person.value,
            "consent_id": entry.id,
            "kind": entry.kind.value,
            "active": on,
            "register": entry.organisation if entry.kind is Kind.register_opt_out else None,
            "changed": context.now,
        },
    )


async def _locked(connection: AsyncConnection, person: PersonKey, now: datetime) -> AccessDocument:
    """The person's document, its row made if there is none, locked until the transaction ends."""
    empty = {"person_key": person.value, "version": 0, "document": EMPTY.json(), "updated": now}
    await connection.execute(upsert(_DOCUMENT).values(**empty).on_conflict_do_nothing())
    statement = select(_DOCUMENT.c.document).where(_DOCUMENT.c.person_key == person.value).with_for_update()
    return AccessDocument.of_json((await connection.execute(statement)).scalar_one())


async def _rewrite(connection: AsyncConnection, person: PersonKey, document: AccessDocument, now: datetime) -> None:
    await connection.execute(
        sql_update(_DOCUMENT)
        .where(_DOCUMENT.c.person_key == person.value)
        .values(document=document.json(), version=_DOCUMENT.c.version + 1, updated=now)
    )


async def _ended(connection: AsyncConnection, person: PersonKey, entry: Entry) -> bool:
    key = {"person_key": person.value, "consent_id": entry.id}
    return (await connection.execute(_LAST, key)).scalar_one_or_none() is False


def _object(value: Any) -> Mapping[str, Any]:
    """A jsonb value of a plain statement: the driver gives text, Core's column an object."""
    import orjson

    return value if isinstance(value, Mapping) else orjson.loads(value)
