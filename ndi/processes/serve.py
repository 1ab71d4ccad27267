# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The serving process: port, keys, database, migrations, then uvicorn with what `ndi.assembly` builds."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import errno
import gc
import signal
import socket
from typing import Any, Final

from pydantic import SecretStr
import uvicorn

from fhir_server.commands import CommandError
from ndi import logs, migrate
from ndi.deployment import LocalDeployment, upgrade
from ndi.settings import Settings

Build = Callable[[Settings, Sequence[str] | None], Any]
"""`ndi.assembly.build`: from settings with a database address and the names of services to an ASGI application."""

_GRACE_SECONDS: Final = 10


def serve(settings: Settings, services: Sequence[str] | None, build: Build) -> None:
    """Serves until SIGINT or SIGTERM; requests in work are finished first, for ten seconds at most.

    `services`: those to serve; None for all. Raises `CommandError`, `EmbeddedError`, `KeysError`.
    """
    logs.set_up(settings.log_level, settings.log_format)
    # uvicorn raises the signal again after its graceful stop: what it interrupts must still stop the database.
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with listening(settings.host, settings.port) as listener, LocalDeployment(settings).server() as url:
            upgrade(url, _schemas(services))
            app = build(settings.model_copy(update={"database_url": SecretStr(url)}), services)
            run(app, listener)
    except KeyboardInterrupt:
        return


def run(app: Any, listener: socket.socket) -> None:
    """Serves an ASGI application on a bound socket until it is stopped. Raises `CommandError` if it cannot start."""
    server = _Server(_configuration(app))
    server.run(sockets=[listener])
    if not server.started:
        raise CommandError("the services did not start: the log above says why")


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address, taken before anything costly is started. Raises `CommandError`."""
    # With the protocol's number, so that every event loop recognises TCP and sends answers without delay.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise CommandError(_why_not(error, host, port)) from None
        yield listener
    finally:
        listener.close()


def _schemas(services: Sequence[str] | None) -> list[str] | None:
    """The schemas the services need: their own, and that of `audit`, whose function all writes call."""
    if services is None:
        return None
    return sorted({name for name in services if name in migrate.SERVICES} | {"audit"})


def _configuration(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        # What was made until now lives as long as the process: the collector need not look at it again.
        # A first threshold of 50,000 instead of 700 was measured to halve the 99th percentile.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)


def interrupt(_number: int, _frame: object) -> None:
    """A signal's handler: ends the process the way Ctrl-C does, so that the database is stopped too."""
    raise KeyboardInterrupt


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there, or choose another with --port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not permitted: choose one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is no address of this machine: choose another with --host"
    return f"{host}:{port}: {error.strerror}"
