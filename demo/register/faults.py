# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Faults on request, so that tests and the curious can see what the network does about them."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, get_args

from starlette.types import Message, Receive, Scope, Send

Kind = Literal["unavailable", "lost-answer", "timeout", "reject"]
KINDS: tuple[str, ...] = get_args(Kind)
LARGEST = 1000


class Faults:
    """The faults that the next messages meet, in order."""

    def __init__(self) -> None:
        self._next: deque[Mapping[str, Any]] = deque()

    def plan(self, fault: Mapping[str, Any]) -> None:
        """`kind`, `count` (1), `retry_after` and `seconds`. Raises `ValueError` on anything else."""
        count = fault.get("count", 1)
        if fault.get("kind") not in KINDS or not isinstance(count, int) or not 0 < count <= LARGEST:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, count 1 to {LARGEST}")
        self._next.extend([fault] * count)

    def clear(self) -> None:
        """No more faults."""
        self._next.clear()

    def meet(self) -> Mapping[str, Any]:
        """The fault of this message; empty if it meets none."""
        return self._next.popleft() if self._next else {}


class LostAnswer:
    """An answer that breaks off: the connection closes before the body is there."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announces the whole body and sends a piece."""
        start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/fhir+json"), (b"content-length", b"%d" % len(self._body))],
        }
        await send(start)
        await send({"type": "http.response.body", "body": self._body[:20], "more_body": True})


async def wait(fault: Mapping[str, Any]) -> None:
    """The delay of a `timeout` fault."""
    await asyncio.sleep(float(fault.get("seconds", 30)))
