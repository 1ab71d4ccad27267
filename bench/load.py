# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A load generator: keep-alive connections that send prepared requests for a bounded time, in a process of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
import multiprocessing
import statistics
import time
from typing import Any


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one run."""

    requests: int
    seconds: float
    errors: int
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def send(port: int, requests: Sequence[bytes], *, connections: int = 16, seconds: float = 4.0) -> Load:
    """Sends the requests in turn over so many connections to 127.0.0.1 and measures each answer."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    worker = multiprocessing.Process(target=_work, args=(sender, port, list(requests), connections, seconds))
    worker.start()
    try:
        result: Load = receiver.recv()
        return result
    finally:
        worker.join()


def _work(sender: Any, port: int, requests: list[bytes], connections: int, seconds: float) -> None:
    import uvloop

    sender.send(uvloop.run(_run(port, requests, connections, seconds)))


async def _run(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    times: list[float] = []
    errors = 0
    started = time.perf_counter()
    ends = started + seconds

    async def connection(number: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = number
        while time.perf_counter() < ends:
            begun = time.perf_counter()
            writer.write(requests[at % len(requests)])
            at += connections
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
            errors += not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))
        writer.close()

    await asyncio.gather(*(connection(number) for number in range(connections)))
    taken = time.perf_counter() - started
    cuts = statistics.quantiles(times, n=100)
    return Load(len(times), taken, errors, cuts[49] * 1000, cuts[98] * 1000)
