# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What every simulator's process is made of: arguments, the network's client, background tasks, health, the server."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
import logging
from pathlib import Path
import socket
import sys

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
import uvicorn

from demo.actors import BY_NAME, Actor
from demo.regions.callers import Askers, OwnStaff
from demo.regions.publish import SCOPE, Network, Publisher, Sender, until_done
from demo.regions.store import Engagement, LocalPerson, Store
from demo.tokens import SystemLogin

MAX_BODY = 1 << 20
"""Bytes of the largest body that is read."""

log = logging.getLogger("demo.region")


@dataclass(frozen=True, slots=True)
class Arguments:
    """How a simulator is started."""

    actor: Actor
    port: int
    database_url: str
    ndi: str
    key: Path
    client_id: str
    staff: Path

    @property
    def address(self) -> str:
        """The system's own address."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(slots=True)
class Region:
    """What the handlers of a simulator work with. Its parts live as long as the process."""

    actor: Actor
    address: str
    store: Store
    askers: Askers
    staff: OwnStaff
    sender: Sender
    network: Network
    registered: bool = False


class TooLarge(Exception):
    """The body is larger than `MAX_BODY`."""


async def body_of(request: Request) -> bytes:
    """The request's body. Raises `TooLarge`."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


def arguments(argv: Sequence[str] | None = None) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="A simulated record system of the demo.")
    parser.add_argument("--name", required=True, choices=sorted(BY_NAME), help="which actor this is")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--database-url", required=True, help="postgresql://… of this system's own database")
    parser.add_argument("--ndi", required=True, help="base address of the infrastructure")
    parser.add_argument("--key", required=True, type=Path, help="the system's private key (JWK)")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--staff", required=True, type=Path, help="file with the secret of the house's own staff")
    given = parser.parse_args(argv)
    return Arguments(
        actor=BY_NAME[given.name],
        port=given.port,
        database_url=given.database_url,
        ndi=given.ndi.rstrip("/"),
        key=given.key,
        client_id=given.client_id,
        staff=given.staff,
    )


def client() -> httpx2.AsyncClient:
    """The client for calls into the network; every request line is logged, so that a test can read them."""

    async def note(answer: httpx2.Response) -> None:
        log.info("out: %s %s %d", answer.request.method, answer.request.url, answer.status_code)

    return httpx2.AsyncClient(timeout=5, trust_env=False, event_hooks={"response": [note]})


RoutesOf = Callable[[Callable[[], Region]], Sequence[BaseRoute]]
"""A simulator's routes; they ask for the `Region` when a request comes."""


def create_app(
    given: Arguments,
    *,
    tables: str,
    people: tuple[LocalPerson, ...],
    routes: RoutesOf,
    at_start: Callable[[Store], Awaitable[None]] | None = None,
    publisher: Callable[[Network], Publisher] | None = None,
) -> Starlette:
    """The simulator as an application: opens its store, registers itself and sends its outbox while it runs.

    `publisher` makes the way to tell the index; the default is FHIR.
    """
    held: list[Region] = []

    def region() -> Region:
        return held[0]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(client())
            store = await Store.open(given.database_url, tables, people)
            stack.push_async_callback(store.close)
            if at_start is not None:
                await at_start(store)
            network = Network(http, given.ndi, SystemLogin(http, given.ndi, given.client_id, given.key, SCOPE),
                              given.actor)  # fmt: skip
            publish: Publisher = publisher(network) if publisher else network.publish
            sender = Sender(store, publish)
            held[:] = [
                Region(
                    given.actor, given.address, store, Askers(http, given.ndi), OwnStaff(given.staff), sender, network
                )
            ]
            tasks = [asyncio.create_task(_register(held[0])), asyncio.create_task(sender.run())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with suppress(asyncio.CancelledError):
                        await task

    async def health(_request: Request) -> JSONResponse:
        pending = await region().store.pending()
        return JSONResponse({"status": "ok", "registered": region().registered, "outbox": pending})

    return Starlette(routes=[Route("/health", health), *routes(region)], lifespan=lifespan)


async def _register(region: Region) -> None:
    async def step() -> None:
        await region.network.register(region.address)

    await until_done("catalogue", step)
    region.registered = True
    log.info("catalogue: registered %s", region.actor.unit)


def serve(given: Arguments, app: Starlette) -> None:
    """Serves until stopped; a busy port is one clear line and exit code 1."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", given.port))
    except OSError:
        print(f"port {given.port} is taken; stop what uses it or choose another --port", file=sys.stderr)
        raise SystemExit(1) from None
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


__all__ = ["Arguments", "Engagement", "Region", "TooLarge", "arguments", "body_of", "create_app", "serve"]
