# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One turn of a Subscription that is held: handshake, or decide and number what comes next, deliver it, mark it.

A number is given after the decision for the subscriber, and only to what is sent next: an event that is withheld leaves
no gap and no trace, and the decision is as old as the attempt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection
import structlog

from fhir_server.bulk.callers import context_of, read
from fhir_server.context import AuditSink, Caller, CallerKind, Context
from fhir_server.endpoint import KernelSettings, failure_of
from fhir_server.ids import uuid7
from fhir_server.interactions.serving import Serving
from fhir_server.interactions.write import Incoming, store
from fhir_server.outcome import BadGateway, DeadlineExceeded, FhirError, RateLimited, TooCostly, Unavailable
from fhir_server.subscriptions.deliver import Courier, Failure
from fhir_server.subscriptions.filters import filter_query
from fhir_server.subscriptions.hold import Hold
from fhir_server.subscriptions.matching import Matching
from fhir_server.subscriptions.notification import Kind, Told, notification
from fhir_server.subscriptions.operations import about
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.sight import audit_entries, permitted, told
from fhir_server.subscriptions.store import Event, Numbered, State, SubscriptionStore, alive
from fhir_server.subscriptions.topics import Topic
from fhir_server.subscriptions.wanted import Wanted, wanted

log = structlog.get_logger("ndi.subscriptions")

_SCAN: Final = 160
"""Changes looked at together, at most."""
_TRANSIENT: Final = (Unavailable, DeadlineExceeded, TooCostly, RateLimited, BadGateway)
_OURSELVES: Final = Caller("ndi-subscriptions", CallerKind.system, frozenset())


@dataclass(frozen=True, slots=True)
class _Job:
    """A Subscription as it is worked in one turn."""

    state: State
    caller: Caller
    """The subscriber, with what it may do now."""
    wanted: Wanted
    topic: Topic
    matching: Matching


class Turns:
    """Works Subscriptions one step at a time."""

    def __init__(
        self, store: SubscriptionStore, types: Mapping[str, Serving], topics: Mapping[str, Topic], held: Hold,
        courier: Courier, audit: AuditSink, settings: SubscriptionSettings, kernel: KernelSettings,
    ) -> None:  # fmt: skip
        self._store, self._types, self._topics = store, types, topics
        self._held, self._courier, self._audit = held, courier, audit
        self._settings, self._kernel = settings, kernel

    async def turn(self, identity: str) -> bool:
        """One step; whether another may follow at once."""
        state = await self._store.state(identity)
        if state is None or state.status not in ("requested", "active"):
            return False
        now = self._kernel.clock()
        if state.ends is not None and state.ends <= now:
            await self._end(state, "off", "it has come to its end")
            return False
        caller: Caller | None = read(state.caller)
        if self._kernel.standing is not None and caller is not None:
            caller = await self._kernel.standing(caller)
        if caller is None:
            await self._end(state, "off", "the client that asked for it is not registered any more")
            return False
        try:
            job = await self._job(state, caller, now)
        except FhirError as error:
            await self._end(state, "error", error.message)
            return False
        if state.status == "requested":
            return await self._handshake(job)
        if state.next_attempt is not None and state.next_attempt > now:
            return False
        batch = min(job.wanted.max_count or self._settings.max_count, self._settings.max_count)
        if state.delivered < state.events:
            since = state.delivered + 1
            pending = await self._store.notified(state.id, since=since, until=state.events, count=batch)
            return await self._deliver(job, pending, [await self._seen(job, each.event) for each in pending])
        decided = await self._decide(job, batch)
        if decided is not None:
            return await self._deliver(job, decided, [True] * len(decided)) if decided else True
        if state.heartbeat_due is not None and state.heartbeat_due <= now:
            return await self._send(job, "heartbeat", ())
        return False

    async def abandon(self, identity: str) -> None:
        """Turns off what has been in error for too long."""
        async with self._held.of(identity) as mine:
            state = await self._store.state(identity) if mine else None
            if state is not None and state.status == "error":
                await self._end(state, "off", "it was in error for too long; what was changed meanwhile is not kept")

    async def _job(self, state: State, caller: Caller, now: datetime) -> _Job:
        """Raises `FhirError` if it cannot be done any more, since what is offered has changed."""
        stored = await self._types["Subscription"].store.read("Subscription", state.id)
        asked = wanted(orjson.loads(stored.body if stored is not None else b"{}"))
        topic = self._topics.get(state.topic)
        if topic is None:
            raise FhirError("the topic is not offered any more")
        serving = self._types[topic.type]
        limits = self._kernel.search
        filters = [
            filter_query(topic, each, serving.parameters, now=now, base=state.base, limits=limits)
            for each in asked.filters
        ]
        return _Job(state, caller, asked, topic, Matching(self._store, serving, topic, filters, state.base))

    async def _handshake(self, job: _Job) -> bool:
        """Any failure of it means error, at once (channels.html#rest-hook)."""
        failure = await self._post(job, "handshake", ())
        if failure is not None:
            await self._end(job.state, "error", failure.reason)
            return False
        now = self._kernel.clock()
        return await self._end(job.state, "active", None, **alive(job.state, now))

    async def _decide(self, job: _Job, batch: int) -> list[Numbered] | None:
        """Looks at the next changes and numbers those that are told; None if there are none to look at.

        As many are looked at as are sent together; more and more while a filter leaves most of them out.
        """
        chosen: list[Event] = []
        last: Event | None = None
        count = batch
        while not chosen and count <= _SCAN:
            found = await self._store.changes(job.state, job.topic, count, after=last)
            for event, concerned in found:
                last = event
                if concerned and await self._concerns(job, event):
                    chosen.append(event)
                    if len(chosen) == batch:
                        break
            if len(found) < count:
                break
            count *= 2
        if last is None:
            return None
        async with self._held.transaction() as connection:
            return await self._store.number(connection, job.state, chosen, last) or []

    async def _concerns(self, job: _Job, event: Event) -> bool:
        """Whether it is told to the subscriber; one that cannot be judged is withheld and must not stop the others."""
        try:
            return await job.matching.matches(event) and await permitted(self._types, self._context(job), event)
        except Exception as error:
            return self._withheld(job.state, error)

    async def _seen(self, job: _Job, event: Event) -> bool:
        """Whether the subscriber may still see it."""
        try:
            return await permitted(self._types, self._context(job), event)
        except Exception as error:
            return self._withheld(job.state, error)

    def _withheld(self, state: State, error: Exception) -> bool:
        """Deny is the default; but what may answer in a moment is asked again. Raises that."""
        failure = failure_of(error, state.id)
        if isinstance(failure, _TRANSIENT):
            raise failure from error
        return False

    async def _deliver(self, job: _Job, numbered: Sequence[Numbered], seen: Sequence[bool]) -> bool:
        events = [told(each, seen=may) for each, may in zip(numbered, seen, strict=True)]
        await self._log(job, numbered, events)
        state = replace(job.state, events=numbered[-1].number)
        return await self._send(replace(job, state=state), "event-notification", events)

    async def _log(self, job: _Job, numbered: Sequence[Numbered], events: Sequence[Told]) -> None:
        """The access log knows before the notification leaves; of what is sent again it knows already."""
        new = [(each, event) for each, event in zip(numbered, events, strict=True) if not each.audited]
        context = self._context(job)
        entries = list(
            audit_entries(
                self._types, context, "notify", job.state.id, job.wanted.content,
                [each for each, _ in new], [event for _, event in new],
            )
        )  # fmt: skip
        if entries:
            await self._audit.append(context, entries)
            await self._store.audited(job.state.id, [each.number for each, event in new if event.focus is not None])

    async def _send(self, job: _Job, kind: Kind, events: Sequence[Told]) -> bool:
        """Sends it and marks what came of it; whether the receiver has it."""
        failure = await self._post(job, kind, events)
        now = self._kernel.clock()
        if failure is None:
            async with self._held.transaction() as connection:
                number = events[-1].number if events else job.state.delivered
                await self._store.delivered(connection, job.state, number, now)
            return True
        attempts = job.state.attempts + 1
        since = job.state.failing_since or now
        if attempts >= self._settings.attempts or (now - since).total_seconds() >= self._settings.give_up:
            await self._end(job.state, "error", failure.reason, attempts=attempts, failing_since=since)
            return False
        moment = self._settings.backoff.next(attempts, self._settings.chance(), now, failure.after)
        log.warning("notification failed", subscription=job.state.id, attempts=attempts, reason=failure.reason)
        values = {"attempts": attempts, "failing_since": since, "next_attempt": moment, "error": failure.reason}
        async with self._held.transaction() as connection:
            await self._store.mark(connection, job.state, **values)
        return False

    async def _post(self, job: _Job, kind: Kind, events: Sequence[Told]) -> Failure | None:
        sealed, context = job.state.secret, job.state.id.encode()
        secret = None if sealed is None else self._settings.cipher.decrypt(sealed, context)
        body = notification(about(job.state, job.wanted.content), kind, events, self._kernel.clock())
        return await self._courier.send(job.wanted, secret, body)

    async def _end(self, state: State, status: str, reason: str | None, **values: Any) -> bool:
        """Sets the status, in the resource and in its state together; False if the owner has changed it meanwhile."""
        now = self._kernel.clock()
        if status == "error":
            values = {"failing_since": now, "next_attempt": None, **values}
        async with self._held.transaction() as connection:
            # The resource is locked first, as by a write of the owner: else each would wait for the other.
            await self._types["Subscription"].store.lock_id(connection, "Subscription", state.id)
            if not await self._store.mark(connection, state, **{"error": reason, **values, "status": status}):
                return False
            await self._restated(connection, state.id, status, reason, now)
        log.info("subscription", subscription=state.id, status=status, reason=reason)
        return True

    async def _restated(
        self, connection: AsyncConnection, identity: str, status: str, reason: str | None, now: datetime
    ) -> None:
        """The next version of the resource."""
        serving = self._types["Subscription"]
        serving = replace(serving, store=serving.store.bound(connection), type=replace(serving.type, within=None))
        current = await serving.store.current(connection, "Subscription", identity)
        if current is None or current.deleted:
            return
        resource = {name: value for name, value in orjson.loads(current.body).items() if name != "error"}
        resource |= {"status": status} if reason is None else {"status": status, "error": reason}
        given = Incoming(resource, orjson.dumps(resource))
        context = context_of(_OURSELVES, uuid7(now).hex, now, self._kernel.deadline)
        await store(serving, context, connection, given, identity, current, "PUT")

    def _context(self, job: _Job) -> Context:
        """The subscriber as it asks now, without a token, so that nothing is asked of other services for it."""
        now = self._kernel.clock()
        context = context_of(job.caller, uuid7(now).hex, now, self._kernel.deadline)
        context.base = job.state.base
        return context
