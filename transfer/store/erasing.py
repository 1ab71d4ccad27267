# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Opposition and erasure (PDL 7:2): the queue is cancelled, what arrived is retracted, then nothing is left."""

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from identifiers.person_key import PersonKey
from transfer.model.plan import Cancel, RecordState, removal
from transfer.store.hold import Hold
from transfer.store.queueing import cancel_queued, queue_retraction, records_of
from transfer.store.tables import erasure, pseudonym, record


async def begin_erasure(connection: AsyncConnection, hold: Hold, person: PersonKey) -> None:
    """Queues a retraction for each record the register may hold; the rest disappears at once.

    Doing it again changes nothing: a record on its way out is not retracted twice.
    """
    waiting = False
    for each in await records_of(connection, hold.register.hsa_id, person):
        actions = removal(each)
        waiting = waiting or each.state is RecordState.retracting or not all(isinstance(a, Cancel) for a in actions)
        for action in actions:
            if isinstance(action, Cancel):
                await cancel_queued(connection, hold, each)
            else:
                await queue_retraction(connection, hold, person, each)
    known = exists().where(pseudonym.c.register == hold.register.hsa_id, pseudonym.c.person_key == person.value)
    if waiting or (await connection.execute(select(known))).scalar_one():
        statement = insert(erasure).values(
            register=hold.register.hsa_id, person_key=person.value, requested_at=hold.now(), erased_at=None
        )
        await connection.execute(
            statement.on_conflict_do_update(
                constraint="erasure_pkey",
                set_={"requested_at": statement.excluded.requested_at, "erased_at": None},
                where=erasure.c.erased_at.is_not(None),
            )
        )
        await end_erasure(connection, hold, person)


async def end_erasure(connection: AsyncConnection, hold: Hold, person: PersonKey) -> bool:
    """If an erasure is under way and the register has confirmed every retraction: erases pair and records.

    Answers whether it did. After it nothing here leads from the person to what the register had.
    """
    register = hold.register.hsa_id
    unconfirmed = exists().where(
        record.c.register == register,
        record.c.person_key == person.value,
        record.c.state == RecordState.retracting.value,
    )
    ended = await connection.execute(
        update(erasure)
        .where(
            erasure.c.register == register,
            erasure.c.person_key == person.value,
            erasure.c.erased_at.is_(None),
            ~unconfirmed,
        )
        .values(erased_at=hold.now())
    )
    if not ended.rowcount:
        return False
    for table in (record, pseudonym):
        await connection.execute(delete(table).where(table.c.register == register, table.c.person_key == person.value))
    return True
