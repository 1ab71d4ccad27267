# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The outbox: which deliveries go now, and what came of them."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import case, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.audit_row import audit_row
from fhir_server.context import AuditEntry, Context
from identifiers.person_key import PersonKey
from transfer.model.plan import DeliveryState, Kind, RecordState
from transfer.store.erasing import end_erasure
from transfer.store.hold import Hold
from transfer.store.tables import delivery, erasure, record

_OPEN = (DeliveryState.queued.value, DeliveryState.sent.value)
_TRANSFER = "PDL 7 kap. 4 §"
_OPPOSITION = "PDL 7 kap. 2 §"
_ACCURACY = "GDPR art. 5.1 d"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way."""

    id: int
    record_key: str
    version: int
    kind: Kind
    idempotency_key: str
    message_id: str
    payload: bytes
    attempts: int
    """This one included."""
    attempt_limit: int | None


class Outbox:
    """The outbox of one register."""

    def __init__(self, hold: Hold, audit_function: str | None) -> None:
        """`audit_function`: the SQL function that keeps an event of the access log in the same transaction."""
        self._hold = hold
        self._register = hold.register.hsa_id
        self._audit = text(f"SELECT {audit_function}(CAST(:events AS jsonb))") if audit_function else None

    async def claim(self, limit: int, *, retractions_only: bool = False) -> list[Delivery]:
        """Due deliveries, oldest first, at most one of a record: the next waits until the one before is settled.

        Marks them as sent and counts the attempt before anything leaves, so that after a crash it is known what may
        have arrived. What a crash left as sent is claimed again and goes out under the same key.
        """
        earlier = delivery.alias("earlier")
        first = ~exists().where(
            earlier.c.register == delivery.c.register,
            earlier.c.record_key == delivery.c.record_key,
            earlier.c.id < delivery.c.id,
            earlier.c.state.in_(_OPEN),
        )
        kinds = [each.value for each in Kind if each is Kind.retract or not retractions_only]
        due = (
            select(delivery.c.id)
            .where(
                delivery.c.register == self._register,
                delivery.c.state.in_(_OPEN),
                delivery.c.next_attempt <= self._hold.now(),
                first,
                delivery.c.kind.in_(kinds),
            )
            .order_by(delivery.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=delivery)
        )
        async with self._hold.transaction() as connection:
            ids = (await connection.execute(due)).scalars().all()
            if not ids:
                return []
            claimed = await connection.execute(
                update(delivery)
                .where(delivery.c.id.in_(ids))
                .values(state=DeliveryState.sent.value, attempts=delivery.c.attempts + 1)
                .returning(delivery)
            )
            rows = sorted(claimed, key=lambda row: row.id)
        return [
            Delivery(
                row.id, row.record_key, row.version, Kind(row.kind), row.idempotency_key, row.message_id, row.payload,
                row.attempts, row.attempt_limit,
            )
            for row in rows
        ]  # fmt: skip

    async def acknowledged(self, each: Delivery, context: Context) -> None:
        """The register has it: settles delivery and record, logs the transfer, ends an erasure that waited for it."""
        upsert = each.kind is Kind.upsert
        newest = record.c.version == each.version
        done = RecordState.delivered if upsert else RecordState.retracted
        async with self._hold.transaction() as connection:
            await self._settle(connection, each, DeliveryState.acknowledged, "ok")
            row = (
                await connection.execute(
                    update(record)
                    .where(record.c.register == self._register, record.c.record_key == each.record_key)
                    .values(
                        held_version=each.version if upsert else None,
                        state=case((newest, done.value), else_=record.c.state),
                        changed=self._hold.now(),
                    )
                    .returning(record.c.person_key, record.c.unit, record.c.information_type)
                )
            ).first()
            if not upsert:
                await self._forget(connection, each)
            if row is None:
                return
            person = PersonKey(row.person_key)
            await self._log(connection, each, context, person, row.unit, row.information_type)
            if not upsert:
                await end_erasure(connection, self._hold, person)

    async def again(self, each: Delivery, reason: str, next_attempt: datetime, limit: int) -> bool:
        """Not taken this time. Answers whether it was given up: an upsert after `limit` attempts becomes a dead letter.

        A retraction is never given up, since the law's duty to erase does not end.
        """
        if each.kind is Kind.upsert and each.attempts >= (each.attempt_limit or limit):
            await self.refused(each, f"gave up after {each.attempts} attempts: {reason}")
            return True
        async with self._hold.transaction() as connection:
            await connection.execute(
                update(delivery)
                .where(delivery.c.id == each.id, delivery.c.state == DeliveryState.sent.value)
                .values(state=DeliveryState.queued.value, next_attempt=next_attempt, answer=reason)
            )
        return False

    async def refused(self, each: Delivery, reason: str) -> None:
        """The register will not take it: a dead letter with the reason; the record stays as the register has it."""
        async with self._hold.transaction() as connection:
            await self._settle(connection, each, DeliveryState.dead, reason)

    async def _settle(self, connection: AsyncConnection, each: Delivery, state: DeliveryState, answer: str) -> None:
        await connection.execute(
            update(delivery)
            .where(delivery.c.id == each.id, delivery.c.state == DeliveryState.sent.value)
            .values(state=state.value, answer=answer, settled_at=func.greatest(self._hold.now(), delivery.c.queued_at))
        )

    async def _forget(self, connection: AsyncConnection, each: Delivery) -> None:
        """What was sent of an erased record is erased here too; that it was sent stays known."""
        await connection.execute(
            update(delivery)
            .where(
                delivery.c.register == self._register,
                delivery.c.record_key == each.record_key,
                delivery.c.state.not_in(_OPEN),
            )
            .values(payload=None)
        )

    async def _law(self, connection: AsyncConnection, each: Delivery, person: PersonKey) -> str:
        """Why it was done: a record is erased because the person opposes, or because it was not true."""
        if each.kind is Kind.upsert:
            return _TRANSFER
        erasing = exists().where(
            erasure.c.register == self._register,
            erasure.c.person_key == person.value,
            erasure.c.erased_at.is_(None),
        )
        return _OPPOSITION if (await connection.execute(select(erasing))).scalar_one() else _ACCURACY

    async def _log(
        self,
        connection: AsyncConnection,
        each: Delivery,
        context: Context,
        person: PersonKey,
        unit: str,
        information_type: str,
    ) -> None:
        if self._audit is None:
            return
        entry = AuditEntry(
            operation="transfer-to-register" if each.kind is Kind.upsert else "erase-in-register",
            action="E" if each.kind is Kind.upsert else "D",
            person=person,
            information_type=information_type,
            holders=(unit,),
            ground="lawful-basis",
            law=await self._law(connection, each, person),
            count=1,
            detail={"register": self._register},
        )
        await connection.execute(self._audit, {"events": orjson.dumps([audit_row(context, entry)]).decode()})
