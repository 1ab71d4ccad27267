# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Refused callers in the access log: attempts with a token that does not hold, or with none.

Who it was is not known, and nothing of the token is kept. The first attempt on a route is kept before it is answered;
those of the minute after it are counted and kept as one event when the minute ends. So a flood of bad tokens costs one
event a minute for each route and process, whatever it sends, and its size can still be read. A process that ends
within the minute loses that count, not that there was an attempt; the request log has a line for each.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from fhir_server.context import Access, AuditEntry, AuditSink, Caller, CallerKind, Context
from fhir_server.outcome import FhirError
from fhir_server.service import Route

log = structlog.get_logger("ndi.request")

ANONYMOUS: Final = Caller(client_id="anonymous", kind=CallerKind.system, scopes=frozenset())
WINDOW: Final = 60.0


class Refusals:
    """The refused attempts on one route."""

    def __init__(
        self, route: Route, audit: AuditSink, clock: Callable[[], datetime], *, window: float = WINDOW
    ) -> None:
        """`window`: seconds within which attempts are counted together."""
        self._route, self._audit, self._clock, self._window = route, audit, clock, window
        self._more = 0
        self._counting: asyncio.Task[None] | None = None
        self._telling = asyncio.Lock()

    async def keep(self, context: Context, failure: FhirError) -> None:
        """Returns when the attempt is on disk or counted. Raises `Unavailable` if the first cannot be kept.

        What the directory holds is no secret, and an authenticator that failed itself has refused nobody.
        """
        if self._route.access is Access.directory or failure.status >= 500:
            return
        async with self._telling:
            if self._counting is None or self._counting.done():
                await self._append(context, failure.detail_code, 1)
                self._counting = asyncio.create_task(self._count(replace(context, token=""), failure.detail_code))
            else:
                self._more += 1

    async def _count(self, context: Context, code: str) -> None:
        while True:
            await asyncio.sleep(self._window)
            if not self._more:
                return
            told = self._more
            try:
                await self._append(replace(context, now=self._clock()), code, told)
                self._more -= told
            except FhirError as error:  # counted on: it is told when the log can be reached again
                log.error("refused attempts not kept", route=self._route.path, error=type(error).__name__)

    async def _append(self, context: Context, code: str, count: int) -> None:
        entry = AuditEntry(operation=self._route.path, action="E", outcome="denied", reason=code, count=count)
        await self._audit.append(context, [entry])
