# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One turn of a held register: oppositions first, then the index, then evaluation, then delivery.

The order is the law's: no record is evaluated or sent unless the feed of consents was read to its end within the
last moments (PDL 7:2). When it cannot be read, only retractions leave.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import time
from typing import TypeVar

import httpx2
import structlog

from consent.client import ConsentClient
from fhir_server.context import AuditSink, Context
from fhir_server.outcome import FhirError, Forbidden, Unavailable
from fhir_server.retry import Backoff
from gateway.client import GatewayClient
from patient_index.client import IndexClient
from security.client import TokenSource
from transfer.evaluate import evaluate
from transfer.model.message import Acknowledged, Refused, TryAgain
from transfer.model.register import Register
from transfer.model.variables import Found
from transfer.store import CONSENT, INDEX, Delivery, Event, Ledger
from transfer.submit import submit

T = TypeVar("T")

log = structlog.get_logger("ndi.transfer")

_OUR_RIGHTS = frozenset({"forbidden", "insufficient-scope", "insufficient-role"})
"""Codes of a refusal that speak of our client and not of this person: an operator can mend that, so it is retried."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the worker paces itself. Times in seconds."""

    poll: float = 1.0
    """How often the feeds are asked when nothing is to do, and how old the last look may be while work is done."""
    rest: float = 2.0
    """Between looks at which registers there are and which are free, and after a failure."""
    page: int = 200
    """Changes asked of a feed at a time."""
    batch: int = 16
    """Events and deliveries taken at a time; between two batches the feeds may be asked."""
    concurrency: int = 4
    fetch_seconds: float = 8.0
    send_seconds: float = 10.0
    event_attempts: int = 120
    """Failed fetches after which an event is a dead letter: with the default waits about a day."""
    delivery_attempts: int = 120
    """Failed attempts after which an upsert is a dead letter; a retraction is never given up."""
    event_backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 900.0))
    delivery_backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 900.0))


@dataclass(frozen=True, slots=True)
class Partners:
    """Whom the worker asks, and where time and chance come from."""

    index: IndexClient
    gateway: GatewayClient
    consent: ConsentClient
    tokens: TokenSource
    http: httpx2.AsyncClient
    """Goes to the registers."""
    audit: AuditSink | None
    """Needed where a partner is called in process: then what it recorded is ours to make durable."""
    now: Callable[[], datetime]
    chance: Callable[[], float]

    async def context(self, seconds: float) -> Context:
        """A context of our own client. Raises `Unavailable` where no token can be had."""
        return await self.tokens.context(seconds=seconds)

    async def log(self, context: Context) -> None:
        """Makes durable what was recorded while the context was used, before anything read with it is kept.

        Raises `Unavailable` if that cannot be done.
        """
        if not context.entries:
            return
        if self.audit is None:
            raise Unavailable("accesses were recorded but there is no audit sink to keep them")
        await self.audit.append(context, context.entries)


class Turns:
    """The turns of one register while it is held."""

    def __init__(self, register: Register, ledger: Ledger, partners: Partners, settings: WorkerSettings) -> None:
        self._register, self._ledger = register, ledger
        self._partners, self._settings = partners, settings
        self._fed: float | None = None
        """When both feeds were last read to their end, on the monotonic clock."""
        self._places = asyncio.Semaphore(settings.concurrency)

    async def turn(self) -> bool:
        """One turn; answers whether there was work, so that more may wait.

        Raises what the database raises; failures of partners are recorded where they happen.
        """
        fed = await self._feed()
        worked = await self._evaluate() if fed else 0
        return bool(worked + await self._deliver(retractions_only=not fed))

    async def _feed(self) -> bool:
        """Reads both feeds to their end unless that was done just now. Answers whether the consents are known."""
        if self._fed is not None and time.monotonic() - self._fed < self._settings.poll:
            return True
        begun = time.monotonic()
        try:
            await self._consents()
        except FhirError as error:
            log.warning("consents cannot be read, nothing is sent", register=self._register.hsa_id, error=error.message)
            self._fed = None
            return False
        try:
            await self._index()
        except FhirError as error:
            log.warning("the index cannot be read", register=self._register.hsa_id, error=error.message)
        self._fed = begun
        return True

    async def _consents(self) -> None:
        feeds = self._ledger.feeds
        cursor = await feeds.position(CONSENT)
        while True:
            context = await self._partners.context(self._settings.fetch_seconds)
            page = await self._partners.consent.changes(context, cursor, self._settings.page)
            await self._partners.log(context)
            if page.items or page.cursor != cursor:
                await feeds.take_consents(page.items, page.cursor)
            if not page.items:
                return
            cursor = page.cursor

    async def _index(self) -> None:
        feeds = self._ledger.feeds
        cursor = await feeds.position(INDEX)
        types = self._register.information_types
        while True:
            context = await self._partners.context(self._settings.fetch_seconds)
            page = await self._partners.index.changes(context, cursor, types, self._settings.page)
            await self._partners.log(context)
            if page.items or page.cursor != cursor:
                await feeds.take_index(page.items, page.cursor)
            if not page.items:
                return
            cursor = page.cursor

    async def _evaluate(self) -> int:
        return await self._all(await self._ledger.events.due(self._settings.batch), self._evaluate_one)

    async def _deliver(self, *, retractions_only: bool) -> int:
        claimed = await self._ledger.outbox.claim(self._settings.batch, retractions_only=retractions_only)
        return await self._all(claimed, self._deliver_one)

    async def _all(self, items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> int:
        async def one(item: T) -> None:
            async with self._places:
                await work(item)

        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(one(item))
        return len(items)

    async def _evaluate_one(self, event: Event) -> None:
        events, settings = self._ledger.events, self._settings
        try:
            holds = await self._fetch(event)
        except Forbidden as error:
            if error.detail_code not in _OUR_RIGHTS:
                await events.refuse(event, error.detail_code)
                return
            reason = f"{error.detail_code}: {error.message}"
        except FhirError as error:
            reason = f"{error.detail_code}: {error.message}"
        except TimeoutError:
            reason = "timeout"
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # One record of a form nobody foresaw must not stop the others; it ends as a dead letter with its reason.
            reason = f"unreadable: {type(error).__name__}"
        else:
            await events.settle(event, holds)
            return
        moment = settings.event_backoff.next(event.attempts + 1, self._partners.chance(), self._partners.now())
        if await events.postpone(event, reason, moment, settings.event_attempts):
            log.error("dead letter", register=self._register.hsa_id, unit=event.unit, reason=reason)

    async def _fetch(self, event: Event) -> tuple[Found, ...]:
        context = await self._partners.context(self._settings.fetch_seconds)
        try:
            async with asyncio.timeout(self._settings.fetch_seconds):
                return await evaluate(context, event, self._register, self._partners.gateway)
        finally:
            # A refusal is logged like an access.
            await self._partners.log(context)

    async def _deliver_one(self, delivery: Delivery) -> None:
        outbox, partners, seconds = self._ledger.outbox, self._partners, self._settings.send_seconds
        try:
            context = await partners.context(seconds)
        except FhirError as error:
            await self._again(delivery, f"no-token: {error.message}")
            return
        result = await submit(
            context, delivery, self._register.address, partners.http, seconds=seconds, now=partners.now()
        )
        match result:
            case Acknowledged():
                await outbox.acknowledged(delivery, context)
            case Refused(reason):
                await outbox.refused(delivery, reason)
                self._dead(delivery, reason)
            case TryAgain(reason, after):
                await self._again(delivery, reason, after)

    async def _again(self, delivery: Delivery, reason: str, after: timedelta | None = None) -> None:
        settings, partners = self._settings, self._partners
        moment = settings.delivery_backoff.next(delivery.attempts, partners.chance(), partners.now(), after)
        if await self._ledger.outbox.again(delivery, reason, moment, settings.delivery_attempts):
            self._dead(delivery, reason)

    def _dead(self, delivery: Delivery, reason: str) -> None:
        log.error("dead letter", register=self._register.hsa_id, delivery=delivery.id, reason=reason)
