# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The outbox and the subscriptions of a service in its database.

Changes are handed out in the order (transaction, place), and only those of transactions before the oldest that still
runs: what becomes visible later never sorts before what was handed out (as the change feeds of the services).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, cast, delete, exists, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.outcome import RateLimited, Unprocessable
from fhir_server.storage.schema import tables
from fhir_server.subscriptions.schema import Snapshot, TransactionId, subscription_tables
from fhir_server.subscriptions.topics import Change, Topic

_HORIZON = func.pg_snapshot_xmin(func.pg_current_snapshot())
_LIVE = ("requested", "active", "error")
_FRESH: dict[str, Any] = {
    "attempts": 0, "failing_since": None, "next_attempt": None, "heartbeat_due": None, "error": None,
}  # fmt: skip
_LATE = timedelta(hours=1)
"""Changes younger than this are kept although nobody waits: a Subscription whose transaction still runs may."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a resource."""

    xid: str
    seq: int
    type: str
    id: str
    version: int
    change: Change
    occurred: datetime
    body: bytes
    """The version's body; of a deletion the last. Empty if it is kept no more: then nobody may see it."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event that a Subscription was given a number for."""

    number: int
    event: Event
    audited: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A Subscription as the worker sees it."""

    id: str
    status: str
    deleted: bool
    revision: int
    topic: str
    type: str
    owner: bytes
    caller: dict[str, Any]
    base: str
    secret: bytes | None
    ends: datetime | None
    xid: str
    seq: int
    started: str
    events: int
    delivered: int
    attempts: int
    failing_since: datetime | None
    next_attempt: datetime | None
    heartbeat: int | None
    heartbeat_due: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a Subscription that its owner writes."""

    id: str
    status: str
    topic: Topic
    owner: bytes
    caller: dict[str, Any] | None
    """None where another than the owner writes: then it stays the owner's."""
    base: str
    secret: bytes | None
    """None: as it was."""
    ends: datetime | None
    heartbeat: int | None


class SubscriptionStore:
    """Statements on the tables of one service."""

    def __init__(self, engine: AsyncEngine, schema: str) -> None:
        self.engine, self.schema = engine, schema
        self._tables, self._history = subscription_tables(schema), tables(schema).history

    async def emit(
        self, connection: AsyncConnection, kind: str, identity: str, version: int, change: Change, occurred: datetime
    ) -> None:
        """Writes a change to the outbox, in the transaction that makes it.

        A transaction that began earlier may change a resource later: the change then takes its place behind the one it
        follows. That is no earlier than its own, so what holds for the order of transactions still holds.
        """
        event = self._tables.event
        row: dict[str, Any] = {
            "type": kind, "id": identity, "version": version, "change": change, "occurred": occurred,
        }  # fmt: skip
        if version > 1:
            before = select(func.max(event.c.xid)).where(event.c.type == kind, event.c.id == identity)
            row["xid"] = func.greatest(func.pg_current_xact_id(), before.scalar_subquery())
        await connection.execute(insert(event).values(**row))

    async def keep(self, connection: AsyncConnection, kept: Kept, most: int) -> bool:
        """Keeps what was written, in the transaction that writes the resource; gives whether there is a secret.

        One that was off begins anew with what is changed from now on; one in error goes on where it stopped. Raises
        `RateLimited`, `Unprocessable` if it is new and another writes it than the owner.
        """
        table = self._tables.subscription
        # Writes of one owner wait for each other, else two at once would both be the last.
        name = f"ndi.subscriptions:{self.schema}/{kept.owner.hex()}"
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
        others = select(func.count()).where(
            table.c.owner == kept.owner, table.c.status.in_(_LIVE), ~table.c.deleted, table.c.id != kept.id
        )
        if kept.status != "off" and (await connection.execute(others)).scalar_one() >= most:
            raise RateLimited(f"an owner may have {most} subscriptions: delete one, or turn it off", code="too-many")
        values: dict[str, Any] = {
            "status": kept.status, "topic": kept.topic.url, "type": kept.topic.type, "ends": kept.ends,
            "heartbeat": kept.heartbeat, "deleted": False,
        }  # fmt: skip
        if kept.status != "error":
            values |= _FRESH
        if kept.caller is not None:
            values |= {"owner": kept.owner, "caller": kept.caller}
        if kept.secret is not None:
            values["secret"] = kept.secret
        from_now = {"started": cast(func.pg_current_snapshot(), Snapshot), "xid": _HORIZON, "seq": -1}
        before = select(table.c.status, table.c.deleted, table.c.secret).where(table.c.id == kept.id).with_for_update()
        row = (await connection.execute(before)).first()
        if row is not None:
            if row.status == "off" or row.deleted:
                values |= from_now
            again = update(table).where(table.c.id == kept.id).values(**values, revision=table.c.revision + 1)
            await connection.execute(again)
            return kept.secret is not None or row.secret is not None
        if kept.caller is None:
            raise Unprocessable("a Subscription is made by its owner", expression="Subscription.extension")
        first = {"id": kept.id, "base": kept.base, "revision": 1, "events": 0, "delivered": 0, **_FRESH}
        await connection.execute(insert(table).values(**{**first, **values, **from_now}))
        return kept.secret is not None

    async def remove(self, connection: AsyncConnection, identity: str) -> None:
        """Ends it with its resource. The count of its events stays: one that comes back under its id goes on."""
        table, notification = self._tables.subscription, self._tables.notification
        await connection.execute(delete(notification).where(notification.c.subscription == identity))
        ended = {"status": "off", "deleted": True, "secret": None, "delivered": table.c.events}
        await connection.execute(
            update(table).where(table.c.id == identity).values(**ended, revision=table.c.revision + 1)
        )

    async def states(self, *, owner: bytes | None, ids: Collection[str], statuses: Collection[str]) -> list[State]:
        """Subscriptions of an owner (of all, if None), by their ids; of the ids and statuses if there are any."""
        table = self._tables.subscription
        found = self._states().where(~table.c.deleted).order_by(table.c.id)
        if owner is not None:
            found = found.where(table.c.owner == owner)
        if ids:
            found = found.where(table.c.id.in_(ids))
        if statuses:
            found = found.where(table.c.status.in_(statuses))
        async with self.engine.connect() as connection:
            return [_state(row) for row in (await connection.execute(found)).all()]

    async def due(self, now: datetime, count: int, without: Collection[str]) -> list[str]:
        """Ids of those for which there is something to do, the longest waiting first."""
        table, event = self._tables.subscription, self._tables.event
        news = exists().where(
            event.c.type == table.c.type,
            tuple_(event.c.xid, event.c.seq) > tuple_(table.c.xid, table.c.seq),
            event.c.xid < _HORIZON,
        )
        waiting = or_(table.c.delivered < table.c.events, table.c.heartbeat_due <= now, table.c.ends <= now, news)
        ready = or_(table.c.next_attempt.is_(None), table.c.next_attempt <= now)
        found = (
            select(table.c.id)
            .where(
                or_(table.c.status == "requested", (table.c.status == "active") & ready & waiting),
                ~table.c.deleted,
                table.c.id.not_in(without),
            )
            .order_by(table.c.next_attempt.nulls_first())
            .limit(count)
        )
        async with self.engine.connect() as connection:
            return list((await connection.execute(found)).scalars())

    async def state(self, identity: str) -> State | None:
        """One of them."""
        async with self.engine.connect() as connection:
            row = (await connection.execute(self._states().where(self._tables.subscription.c.id == identity))).first()
        return None if row is None or row.deleted else _state(row)

    async def changes(self, state: State, topic: Topic, count: int, *, after: Event | None) -> list[tuple[Event, bool]]:
        """Changes of the topic's type, oldest first, and whether the topic is about them.

        After `after`, else after what is decided.
        """
        event = self._tables.event
        position = tuple_(_xid(state.xid if after is None else after.xid), literal((after or state).seq))
        before = func.pg_visible_in_snapshot(event.c.xid, cast(cast(state.started, Text), Snapshot))
        concerned = event.c.change.in_(sorted(topic.changes)) & ~before
        found = (
            self._events(event, concerned.label("concerned"))
            .where(
                event.c.type == topic.type,
                tuple_(event.c.xid, event.c.seq) > position,
                event.c.xid < _HORIZON,
            )
            .order_by(event.c.xid, event.c.seq)
            .limit(count)
        )
        async with self.engine.connect() as connection:
            rows = (await connection.execute(found)).all()
        return [(_event(row, row.xid, row.seq), row.concerned) for row in rows]

    async def previous(self, event: Event) -> bytes | None:
        """The body that stood before the change; None if nothing did."""
        history = self._history
        found = select(history.c.body).where(
            history.c.type == event.type,
            history.c.id == event.id,
            history.c.version == event.version - 1,
            ~history.c.deleted,
        )
        async with self.engine.connect() as connection:
            body = (await connection.execute(found)).scalar_one_or_none()
        return None if body is None else bytes(body)

    async def holds(self, statement: Any) -> bool:
        """Whether a statement of `search.version` finds its version."""
        async with self.engine.connect() as connection:
            return (await connection.execute(statement)).first() is not None

    async def notified(self, identity: str, *, since: int, until: int | None, count: int) -> list[Numbered]:
        """The events of a Subscription by their numbers, both ends included."""
        table = self._tables.notification
        found = (
            self._events(table, table.c.number, table.c.audited)
            .where(table.c.subscription == identity, table.c.number >= since)
            .order_by(table.c.number)
            .limit(count)
        )
        if until is not None:
            found = found.where(table.c.number <= until)
        async with self.engine.connect() as connection:
            rows = (await connection.execute(found)).all()
        return [Numbered(row.number, _event(row, "0", 0), row.audited) for row in rows]

    async def audited(self, identity: str, numbers: Sequence[int]) -> None:
        """The access log knows of these events."""
        table = self._tables.notification
        told = update(table).where(table.c.subscription == identity, table.c.number.in_(numbers)).values(audited=True)
        async with self.engine.begin() as connection:
            await connection.execute(told)

    async def number(
        self, connection: AsyncConnection, state: State, events: Sequence[Event], decided: Event
    ) -> list[Numbered] | None:
        """Gives the next numbers to what was permitted, and remembers that all up to `decided` is decided.

        None if the owner has changed the Subscription meanwhile: then it is decided anew.
        """
        subscription, notification = self._tables.subscription, self._tables.notification
        moved = (
            update(subscription)
            .where(subscription.c.id == state.id, subscription.c.revision == state.revision)
            .values(events=subscription.c.events + len(events), xid=_xid(decided.xid), seq=decided.seq)
            .returning(subscription.c.events)
        )
        last = (await connection.execute(moved)).scalar_one_or_none()
        if last is None:
            return None
        numbered = [Numbered(last - len(events) + place, each) for place, each in enumerate(events, 1)]
        if numbered:
            rows = [
                {
                    "subscription": state.id, "number": each.number, "type": each.event.type, "id": each.event.id,
                    "version": each.event.version, "change": each.event.change, "occurred": each.event.occurred,
                    "audited": False,
                }
                for each in numbered
            ]  # fmt: skip
            await connection.execute(insert(notification), rows)
        return numbered

    async def mark(self, connection: AsyncConnection, state: State, **values: Any) -> bool:
        """Sets columns of the Subscription; False if the owner has changed it since the state was read."""
        table = self._tables.subscription
        same = (table.c.id == state.id, table.c.revision == state.revision)
        return bool((await connection.execute(update(table).where(*same).values(**values))).rowcount)

    async def delivered(self, connection: AsyncConnection, state: State, number: int, now: datetime) -> None:
        """The receiver has all up to this number, whatever the owner has changed meanwhile."""
        table = self._tables.subscription
        values = {"delivered": func.greatest(table.c.delivered, number), **alive(state, now)}
        await connection.execute(update(table).where(table.c.id == state.id).values(**values))

    async def sweep(self, now: datetime, keep: timedelta) -> None:
        """Forgets changes that nobody waits for, and events that were delivered long ago."""
        event, subscription, notification = self._tables.event, self._tables.subscription, self._tables.notification
        waited_for = exists().where(
            subscription.c.type == event.c.type,
            subscription.c.status.in_(_LIVE),
            tuple_(subscription.c.xid, subscription.c.seq) < tuple_(event.c.xid, event.c.seq),
        )
        pending = exists().where(
            subscription.c.id == notification.c.subscription, subscription.c.delivered < notification.c.number
        )
        async with self.engine.begin() as connection:
            await connection.execute(
                delete(event).where(event.c.xid < _HORIZON, event.c.occurred < now - _LATE, ~waited_for)
            )
            await connection.execute(delete(notification).where(notification.c.occurred < now - keep, ~pending))

    async def abandoned(self, now: datetime, keep: timedelta) -> list[str]:
        """Ids of those in error for so long that nothing is kept for them any more."""
        table = self._tables.subscription
        found = select(table.c.id).where(table.c.status == "error", table.c.failing_since < now - keep)
        async with self.engine.connect() as connection:
            return list((await connection.execute(found)).scalars())

    def _states(self) -> Any:
        table = self._tables.subscription
        plain = [table.c[each.name] for each in fields(State) if each.name not in ("xid", "started")]
        return select(*plain, cast(table.c.xid, Text).label("xid"), cast(table.c.started, Text).label("started"))

    def _events(self, table: Any, *more: Any) -> Any:
        history = self._history
        columns = [table.c[name] for name in ("type", "id", "version", "change", "occurred")]
        if "xid" in table.c:
            columns += [cast(table.c.xid, Text).label("xid"), table.c.seq]
        same = (history.c.type == table.c.type) & (history.c.id == table.c.id) & (history.c.version == table.c.version)
        return select(*columns, *more, history.c.body).join_from(table, history, same, isouter=True)


def alive(state: State, now: datetime) -> dict[str, Any]:
    """What is known of a Subscription whose receiver has just answered."""
    due = None if state.heartbeat is None else now + timedelta(seconds=state.heartbeat)
    return {"attempts": 0, "failing_since": None, "next_attempt": None, "error": None, "heartbeat_due": due}


def _xid(value: str) -> Any:
    return cast(cast(value, Text), TransactionId)


def _event(row: Any, xid: str, seq: int) -> Event:
    return Event(xid, seq, row.type, row.id, row.version, row.change, row.occurred, bytes(row.body or b""))


def _state(row: Any) -> State:
    return State(**{each.name: row._mapping[each.name] for each in fields(State)})
