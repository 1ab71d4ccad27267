# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What waits for evaluation, and the transaction that turns an evaluation into records and deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKey
from identifiers.person_number import PersonIdentifier
from transfer.model.plan import Action, Cancel, Kind, Quarantine, RecordState, Release, Retract, Submit, plan
from transfer.model.variables import Found
from transfer.store.hold import Hold
from transfer.store.queueing import cancel_queued, change, queue, queue_retraction, records_of
from transfer.store.sealing import unseal
from transfer.store.tables import entry, erasure, opposition, pending_event, record

_RECORD_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Event:
    """A person's records of one type at one unit that may have changed."""

    person: PersonKey
    unit: str
    information_type: str
    generation: int
    """Grows when the index speaks of the place again while we look."""
    attempts: int
    identifier: PersonIdentifier | None
    """For the source; None if the index has no entry left there, so that nothing need be fetched."""


class Events:
    """The events of one register."""

    def __init__(self, hold: Hold, cipher: Cipher) -> None:
        self._hold, self._cipher = hold, cipher
        self._register = hold.register.hsa_id

    async def due(self, limit: int) -> list[Event]:
        """Events whose time has come, longest waiting first; none of people whose erasure is under way."""
        sealed = (
            select(entry.c.sealed_identifier)
            .where(
                entry.c.register == pending_event.c.register,
                entry.c.person_key == pending_event.c.person_key,
                entry.c.unit == pending_event.c.unit,
                entry.c.information_type == pending_event.c.information_type,
            )
            .limit(1)
            .scalar_subquery()
        )
        erasing = exists().where(
            erasure.c.register == pending_event.c.register,
            erasure.c.person_key == pending_event.c.person_key,
            erasure.c.erased_at.is_(None),
        )
        statement = (
            select(pending_event, sealed.label("sealed"))
            .where(
                pending_event.c.register == self._register,
                pending_event.c.state == "waiting",
                pending_event.c.next_attempt <= self._hold.now(),
                ~erasing,
            )
            .order_by(pending_event.c.next_attempt)
            .limit(limit)
        )
        async with self._hold.transaction() as connection:
            return [self._event(row) for row in await connection.execute(statement)]

    async def settle(self, event: Event, holds: Sequence[Found]) -> tuple[Action, ...]:
        """Writes record versions, deliveries and the end of the event in one transaction; answers what was done.

        `holds` is all that the unit holds of the type about the person. If the person opposes, nothing is kept.
        """
        async with self._hold.transaction() as connection:
            actions: tuple[Action, ...] = ()
            if not await self._opposed(connection, event.person):
                records = await records_of(connection, self._register, event.person, event.unit, event.information_type)
                actions = plan(records, holds)
                for action in actions:
                    await self._do(connection, event, action)
            await connection.execute(
                delete(pending_event).where(*self._mine(event), pending_event.c.generation == event.generation)
            )
            return actions

    async def postpone(self, event: Event, reason: str, next_attempt: datetime, limit: int) -> bool:
        """The source did not answer well: tried again later, dead after `limit` attempts. Answers whether dead."""
        dead = event.attempts + 1 >= limit
        await self._leave(event, "dead" if dead else "waiting", reason, next_attempt)
        return dead

    async def refuse(self, event: Event, reason: str) -> None:
        """The source or the decision says no, with a reason of law: not asked again until something changes."""
        await self._leave(event, "refused", reason, self._hold.now())

    async def _leave(self, event: Event, state: str, reason: str, next_attempt: datetime) -> None:
        async with self._hold.transaction() as connection:
            await connection.execute(
                update(pending_event)
                .where(*self._mine(event), pending_event.c.generation == event.generation)
                .values(state=state, reason=reason, attempts=event.attempts + 1, next_attempt=next_attempt)
            )

    async def _opposed(self, connection: AsyncConnection, person: PersonKey) -> bool:
        opposes = exists().where(opposition.c.register == self._register, opposition.c.person_key == person.value)
        return bool((await connection.execute(select(opposes))).scalar_one())

    async def _do(self, connection: AsyncConnection, event: Event, action: Action) -> None:
        hold = self._hold
        match action:
            case Submit(record=None, found=found):
                record_key = hold.random_bytes(_RECORD_KEY_BYTES).hex()
                await self._add(
                    connection, event, found.source_record, record_key,
                    version=1, content_hash=found.content_hash, state=RecordState.pending.value,
                )  # fmt: skip
                await queue(connection, hold, event.person, record_key, 1, Kind.upsert, found.content or {})
            case Submit(record=known, found=found) if known is not None:
                version = known.version + 1
                await change(
                    connection, hold, known,
                    version=version, content_hash=found.content_hash, state=RecordState.pending.value,
                )  # fmt: skip
                await queue(connection, hold, event.person, known.record_key, version, Kind.upsert, found.content or {})
            case Retract(record=known):
                await queue_retraction(connection, hold, event.person, known)
            case Cancel(record=known):
                await cancel_queued(connection, hold, known)
            case Quarantine(record=None, source_record=source_record, reason=reason):
                await self._add(
                    connection, event, source_record, hold.random_bytes(_RECORD_KEY_BYTES).hex(),
                    version=0, content_hash=None, state=RecordState.quarantined.value, quarantine=reason,
                )  # fmt: skip
            case Quarantine(record=known, reason=reason) if known is not None:
                await change(connection, hold, known, quarantine=reason)
            case Release(record=known):
                await change(connection, hold, known)

    async def _add(
        self, connection: AsyncConnection, event: Event, source_record: str, record_key: str, **values: Any
    ) -> None:
        await connection.execute(
            insert(record).values(
                register=self._register,
                record_key=record_key,
                person_key=event.person.value,
                unit=event.unit,
                information_type=event.information_type,
                source_record=source_record,
                changed=self._hold.now(),
                **values,
            )
        )

    def _mine(self, event: Event) -> tuple[Any, ...]:
        return (
            pending_event.c.register == self._register,
            pending_event.c.person_key == event.person.value,
            pending_event.c.unit == event.unit,
            pending_event.c.information_type == event.information_type,
        )

    def _event(self, row: Any) -> Event:
        person = PersonKey(row.person_key)
        identifier = None if row.sealed is None else unseal(self._cipher, person, row.sealed)
        return Event(person, row.unit, row.information_type, row.generation, row.attempts, identifier)
