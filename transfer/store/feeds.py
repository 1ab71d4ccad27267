# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the feeds say, taken in: each page with its cursor in one transaction, so that no crash loses or repeats it."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.client import ConsentChange
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKey
from patient_index.client import Change
from transfer.store.erasing import begin_erasure
from transfer.store.hold import Hold
from transfer.store.sealing import seal
from transfer.store.tables import entry, feed_cursor, opposition, pending_event

INDEX = "index"
CONSENT = "consent"

Place = tuple[bytes, str, str]
"""Person key, unit, information type: what is evaluated together."""


class Feeds:
    """The two feeds of one register."""

    def __init__(self, hold: Hold, cipher: Cipher) -> None:
        self._hold, self._cipher = hold, cipher
        self._register = hold.register.hsa_id

    async def position(self, feed: str) -> str | None:
        """The cursor to read on from; None at the beginning."""
        statement = select(feed_cursor.c.position).where(
            feed_cursor.c.register == self._register, feed_cursor.c.feed == feed
        )
        async with self._hold.transaction() as connection:
            return (await connection.execute(statement)).scalar_one_or_none()

    async def take_index(self, changes: Sequence[Change], cursor: str) -> None:
        """Keeps what the index says and marks the places touched for evaluation."""
        wanted = [each for each in changes if each.entry.information_type in self._hold.register.information_types]
        async with self._hold.transaction() as connection:
            for change in wanted:
                for place in await self._keep(connection, change):
                    await self._touch(connection, place)
            await self._move(connection, INDEX, cursor)

    async def take_consents(self, changes: Sequence[ConsentChange], cursor: str) -> None:
        """Carries out oppositions and their withdrawal (PDL 7:2)."""
        async with self._hold.transaction() as connection:
            for change in changes:
                if change.kind == "register-opt-out" and change.register in (None, self._register):
                    await (self._oppose if change.active else self._return)(connection, change)
            await self._move(connection, CONSENT, cursor)

    async def _keep(self, connection: AsyncConnection, change: Change) -> set[Place]:
        each = change.entry
        mine = (entry.c.register == self._register, entry.c.entry_id == each.id)
        place = (each.person.value, each.unit, each.information_type)
        touched = {place}
        before = (await connection.execute(select(entry).where(*mine))).first()
        if before is not None:
            touched.add((before.person_key, before.unit, before.information_type))
        if change.deleted:
            await connection.execute(delete(entry).where(*mine))
            return touched
        values = {
            "person_key": each.person.value,
            "unit": each.unit,
            "information_type": each.information_type,
            "source_system": each.source_system,
            "business_object": each.business_object,
            "sealed_identifier": seal(self._cipher, each.person, change.identifier),
        }
        statement = insert(entry).values(register=self._register, entry_id=each.id, **values)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[entry.c.register, entry.c.entry_id], set_=values)
        )
        return touched

    async def _touch(self, connection: AsyncConnection, place: Place) -> None:
        person_key, unit, information_type = place
        statement = insert(pending_event).values(
            register=self._register,
            person_key=person_key,
            unit=unit,
            information_type=information_type,
            next_attempt=self._hold.now(),
        )
        await connection.execute(
            statement.on_conflict_do_update(
                constraint="pending_event_pkey",
                set_={
                    "generation": pending_event.c.generation + 1,
                    "state": "waiting",
                    "attempts": 0,
                    "next_attempt": func.least(pending_event.c.next_attempt, statement.excluded.next_attempt),
                    "reason": None,
                },
            )
        )

    async def _oppose(self, connection: AsyncConnection, change: ConsentChange) -> None:
        statement = insert(opposition).values(
            register=self._register,
            person_key=change.person.value,
            consent_id=change.consent_id,
            since=self._hold.now(),
        )
        await connection.execute(statement.on_conflict_do_nothing())
        await connection.execute(
            delete(pending_event).where(
                pending_event.c.register == self._register, pending_event.c.person_key == change.person.value
            )
        )
        await begin_erasure(connection, self._hold, change.person)

    async def _return(self, connection: AsyncConnection, change: ConsentChange) -> None:
        """The opposition is withdrawn: what the person's units hold is looked at again."""
        of_person = (opposition.c.register == self._register, opposition.c.person_key == change.person.value)
        this = opposition.c.consent_id == change.consent_id
        gone = await connection.execute(delete(opposition).where(*of_person, this))
        left = (await connection.execute(select(func.count()).select_from(opposition).where(*of_person))).scalar_one()
        if gone.rowcount and not left:
            for place in await self._places(connection, change.person):
                await self._touch(connection, place)

    async def _places(self, connection: AsyncConnection, person: PersonKey) -> set[Place]:
        statement = select(entry.c.person_key, entry.c.unit, entry.c.information_type).where(
            entry.c.register == self._register, entry.c.person_key == person.value
        )
        return {(row.person_key, row.unit, row.information_type) for row in await connection.execute(statement)}

    async def _move(self, connection: AsyncConnection, feed: str, cursor: str) -> None:
        statement = insert(feed_cursor).values(register=self._register, feed=feed, position=cursor)
        await connection.execute(
            statement.on_conflict_do_update(constraint="feed_cursor_pkey", set_={"position": cursor})
        )
