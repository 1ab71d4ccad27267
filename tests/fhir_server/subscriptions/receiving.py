# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A receiver of notifications: a real HTTP server on a port of its own, which can be down, refuse or be slow."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
import time
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.running import free_port, serving

PATIENCE = 15.0


async def until(holds: Callable[[], Any], what: str = "the condition") -> None:
    """Waits for a condition, which may be a coroutine function, until it holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"{what} does not come true"
        await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Received:
    """One notification as it arrived."""

    body: bytes
    headers: dict[str, str]

    @property
    def bundle(self) -> dict[str, Any]:
        return dict(orjson.loads(self.body))

    def parameter(self, name: str) -> Any:
        for each in self.bundle["entry"][0]["resource"]["parameter"]:
            if each["name"] == name:
                return next(value for key, value in each.items() if key != "name")
        return None

    @property
    def kind(self) -> str:
        return str(self.parameter("type"))

    @property
    def subscription(self) -> str:
        return str(self.parameter("subscription")["reference"]).rpartition("/")[2]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Number, timestamp and focus of each event."""
        found = []
        for each in self.bundle["entry"][0]["resource"]["parameter"]:
            if each["name"] == "notification-event":
                found.append({part["name"]: next(v for k, v in part.items() if k != "name") for part in each["part"]})
        return found


@dataclass
class Receiver:
    """Keeps what arrives."""

    port: int = field(default_factory=free_port)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    refused: list[Received] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, answers wait."""
    _up: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        app = Starlette(routes=[Route("/{name:path}", self._take, methods=["POST", "GET"])])
        await self._up.enter_async_context(serving(app, port=self.port))

    async def stop(self) -> None:
        await self._up.aclose()

    async def _take(self, request: Request) -> Response:
        taken = Received(await request.body(), dict(request.headers))
        accepted = 200 <= self.status < 300
        (self.received if accepted else self.refused).append(taken)
        status, headers = self.status, dict(self.headers)
        await self.gate.wait()
        return Response(status_code=status, headers=headers)

    def of(self, subscription: str, kind: str = "event-notification") -> list[Received]:
        return [each for each in self.received if each.subscription == subscription and each.kind == kind]

    def numbers(self, subscription: str) -> list[int]:
        """The numbers of all events as they came, repetitions too."""
        return [int(event["event-number"]) for each in self.of(subscription) for event in each.events]

    def told(self, subscription: str) -> list[str]:
        """What they are about, as a receiver knows it that takes each number once."""
        found: dict[int, str] = {}
        for each in self.of(subscription):
            for event in each.events:
                reference = event.get("focus", {}).get("reference", "")
                found.setdefault(int(event["event-number"]), "/".join(reference.split("/")[-2:]))
        assert sorted(found) == list(range(1, len(found) + 1)), "a number is missing"
        return [found[number] for number in sorted(found)]
