# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Records and their deliveries, written together inside the caller's transaction."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhir_server.ids import uuid7
from identifiers.person_key import PersonKey
from transfer.model.message import Destination, Subject, message
from transfer.model.plan import DeliveryState, Kind, Record, RecordState, idempotency_key
from transfer.model.register import new_pseudonym
from transfer.store.hold import Hold
from transfer.store.tables import delivery, pseudonym, record

_NONCE_BYTES = 32
_OPEN = (DeliveryState.queued.value, DeliveryState.sent.value)


async def records_of(
    connection: AsyncConnection,
    register: str,
    person: PersonKey,
    unit: str | None = None,
    information_type: str | None = None,
) -> list[Record]:
    """The person's records in a register, all or those of one unit and information type, locked."""
    attempted = exists().where(
        delivery.c.register == record.c.register,
        delivery.c.record_key == record.c.record_key,
        delivery.c.attempts > 0,
    )
    statement = (
        select(record, attempted.label("attempted"))
        .where(record.c.register == register, record.c.person_key == person.value)
        .order_by(record.c.record_key)
        .with_for_update(of=record)
    )
    if unit is not None:
        statement = statement.where(record.c.unit == unit, record.c.information_type == information_type)
    return [_record(row) for row in await connection.execute(statement)]


async def pseudonym_of(connection: AsyncConnection, hold: Hold, person: PersonKey) -> str:
    """The person's pseudonym in the register, made at first need; both directions are unique."""
    statement = select(pseudonym.c.pseudonym).where(
        pseudonym.c.register == hold.register.hsa_id, pseudonym.c.person_key == person.value
    )
    known: str | None = (await connection.execute(statement)).scalar_one_or_none()
    if known is not None:
        return known
    made = new_pseudonym(hold.key, person, hold.random_bytes(_NONCE_BYTES))
    await connection.execute(
        insert(pseudonym).values(register=hold.register.hsa_id, person_key=person.value, pseudonym=made)
    )
    return made


async def queue(
    connection: AsyncConnection,
    hold: Hold,
    person: PersonKey,
    record_key: str,
    version: int,
    kind: Kind,
    content: Mapping[str, Any],
) -> None:
    """Writes the delivery with the bytes that every attempt will send."""
    now, register = hold.now(), hold.register
    subject = Subject(record_key, version, await pseudonym_of(connection, hold, person))
    message_id = uuid7(now)
    payload = message(
        kind,
        subject,
        content,
        Destination(register.hsa_id, register.address, hold.sender),
        message_id=message_id,
        record_id=uuid7(now),
        now=now,
    )
    await connection.execute(
        insert(delivery).values(
            register=register.hsa_id,
            record_key=record_key,
            version=version,
            kind=kind.value,
            idempotency_key=idempotency_key(register.hsa_id, record_key, version, kind),
            message_id=str(message_id),
            payload=payload,
            next_attempt=now,
            queued_at=now,
        )
    )


async def queue_retraction(connection: AsyncConnection, hold: Hold, person: PersonKey, each: Record) -> None:
    """Cancels what is still queued of the record and queues its erasure under the next version."""
    await _cancel(connection, hold, each)
    version = each.version + 1
    await change(connection, hold, each, version=version, state=RecordState.retracting.value, content_hash=None)
    await queue(connection, hold, person, each.record_key, version, Kind.retract, {})


async def cancel_queued(connection: AsyncConnection, hold: Hold, each: Record) -> None:
    """The record never left: what is queued of it is cancelled, and the record counts as retracted."""
    await _cancel(connection, hold, each)
    await change(connection, hold, each, state=RecordState.retracted.value, content_hash=None, held_version=None)


async def change(connection: AsyncConnection, hold: Hold, each: Record, **values: Any) -> None:
    """Sets columns of the record; any change but a quarantine's closes its quarantine."""
    await connection.execute(
        update(record)
        .where(record.c.register == hold.register.hsa_id, record.c.record_key == each.record_key)
        .values(**{"quarantine": None, "changed": hold.now(), **values})
    )


async def _cancel(connection: AsyncConnection, hold: Hold, each: Record) -> None:
    await connection.execute(
        update(delivery)
        .where(
            delivery.c.register == hold.register.hsa_id,
            delivery.c.record_key == each.record_key,
            delivery.c.state.in_((*_OPEN, DeliveryState.dead.value)),
        )
        .values(state=DeliveryState.cancelled.value, payload=None, settled_at=hold.now())
    )


def _record(row: Row[Any]) -> Record:
    return Record(
        record_key=row.record_key,
        source_record=row.source_record,
        version=row.version,
        content_hash=row.content_hash,
        state=RecordState(row.state),
        attempted=row.attempted,
        quarantine=row.quarantine,
    )
