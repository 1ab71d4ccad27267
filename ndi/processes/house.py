# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The services of one process as one ASGI application: each under its own path, started and stopped together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
import structlog

log = structlog.get_logger("ndi.process")

AsgiApp = Callable[..., Awaitable[None]]
Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that lives as long as the process: a batcher, a worker, a connection pool."""

    name: str
    start: Callable[[], Awaitable[None]] | None
    close: Callable[[], Awaitable[None]]


class House:
    """Sends a request to the service whose path begins the address; what is left goes to the root."""

    def __init__(
        self, engine: AsyncEngine, services: Mapping[str, AsgiApp], root: AsgiApp | None, parts: Sequence[Part]
    ) -> None:
        """`services`: by base path, e.g. /consent; `parts` start in order and close in the opposite one."""
        self._engine, self._services, self._parts = engine, dict(services), tuple(parts)
        self._root = root or Starlette()
        self._own = Starlette(routes=self._own_routes())

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serves one request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        first = path[: path.find("/", 1)] if path.find("/", 1) > 0 else path
        app = self._own if path in ("/health", "/metrics") else self._services.get(first, self._root)
        await app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        started: list[Part] = []
        try:
            for part in self._parts:
                if part.start is not None:
                    await part.start()
                started.append(part)
        except Exception as error:
            await _close(started)
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await _close(started)
        await self._engine.dispose()
        await send({"type": "lifespan.shutdown.complete"})

    def _own_routes(self) -> list[BaseRoute]:
        return [Route("/health", self._health), Route("/metrics", _metrics)]

    async def _health(self, request: Request) -> Response:
        """200 with the services served when the database answers, else 503."""
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return JSONResponse({"status": "no database", "services": sorted(self._services)}, 503)
        return JSONResponse({"status": "ok", "services": sorted(self._services)})


def running(name: str, work: Callable[[], Awaitable[None]]) -> Part:
    """A part that works in a task of its own until the process ends. If it fails, that is logged and it stays down."""
    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        tasks.append(asyncio.ensure_future(work()))
        tasks[0].add_done_callback(ended)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("a part of the process ended", part=name, error=type(task.exception()).__name__)

    async def close() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return Part(name, start, close)


async def _metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _close(parts: Sequence[Part]) -> None:
    for part in reversed(parts):
        await part.close()
