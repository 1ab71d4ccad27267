# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worker: takes each Subscription for which there is something to do, until it is cancelled.

Several processes may run one for the same service: a Subscription is worked by whoever holds it (`hold.py`). It may be
killed anywhere: what was numbered and not marked as delivered is sent again under the same numbers.
"""

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Mapping
from datetime import timedelta
import time
import traceback
from typing import Final

import structlog

from fhir_server.context import AuditSink
from fhir_server.endpoint import KernelSettings
from fhir_server.interactions.serving import Serving
from fhir_server.subscriptions.deliver import Courier, client
from fhir_server.subscriptions.hold import Hold, hold
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.store import SubscriptionStore
from fhir_server.subscriptions.topics import Topic
from fhir_server.subscriptions.turn import Turns

log = structlog.get_logger("ndi.subscriptions")

_SWEEP: Final = 60.0
_TURNS: Final = 50
"""Turns of one Subscription before another gets its place."""


class Worker:
    """Works the subscriptions of one service."""

    def __init__(
        self, store: SubscriptionStore, types: Mapping[str, Serving], topics: Mapping[str, Topic],
        settings: SubscriptionSettings, kernel: KernelSettings,
    ) -> None:  # fmt: skip
        self._store, self._types, self._topics = store, types, topics
        self._settings, self._kernel = settings, kernel

    async def run(self, audit: AuditSink) -> None:
        """Works until cancelled. A database that does not answer is asked again."""
        async with client() as http:
            courier = Courier(http, self._settings, self._kernel.clock)
            while True:
                try:
                    async with hold(self._store.engine, self._store.schema) as held:
                        turns = Turns(
                            self._store, self._types, self._topics, held, courier, audit, self._settings, self._kernel
                        )
                        await self._work(held, turns)
                except Exception as error:
                    log.error("subscriptions interrupted; begun anew", **failure_of(error))
                await asyncio.sleep(self._settings.poll)

    async def _work(self, held: Hold, turns: Turns) -> None:
        tasks: dict[str, asyncio.Task[bool]] = {}
        swept = float("-inf")
        try:
            while True:
                free = self._settings.parallel - len(tasks)
                found = await self._store.due(self._kernel.clock(), free, list(tasks)) if free else []
                for identity in found:
                    tasks[identity] = asyncio.create_task(self._of(identity, held, turns))
                if time.monotonic() - swept > _SWEEP:
                    swept = time.monotonic()
                    await self._sweep(turns)
                if tasks:
                    await asyncio.wait(tasks.values(), timeout=self._settings.poll, return_when=FIRST_COMPLETED)
                ended = [each for each, task in tasks.items() if task.done()]
                done = [tasks.pop(each).result() for each in ended]
                if True not in done:
                    await asyncio.sleep(self._settings.poll)
        finally:
            for task in tasks.values():
                task.cancel()
            if tasks:
                await asyncio.wait(tasks.values())

    async def _of(self, identity: str, held: Hold, turns: Turns) -> bool:
        """Works one Subscription; whether anything was done. What fails for it alone must not stop the others."""
        done = False
        async with held.of(identity) as mine:
            try:
                for _ in range(_TURNS if mine else 0):
                    if not await turns.turn(identity):
                        break
                    done = True
            except Exception as error:
                log.error("subscription interrupted; tried again", subscription=identity, **failure_of(error))
                return False
        return done

    async def _sweep(self, turns: Turns) -> None:
        keep = timedelta(seconds=self._settings.keep)
        now = self._kernel.clock()
        for identity in await self._store.abandoned(now, keep):
            await turns.abandon(identity)
        await self._store.sweep(now, keep)


def failure_of(error: BaseException) -> dict[str, str]:
    """The place alone: a message may hold the values of a statement."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "where": f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""}
