# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Connections for hot queries: kept open, prepared statements, no reset between uses, the one used last first.

A query through them costs a third of what it costs through SQLAlchemy's execution (docs/decisions/0023): that stays
the writer of SQL and runs everything else.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.outcome import Conflict, FhirError, TooCostly, Unavailable

SECONDS: Final = "ndi_query_seconds"
"""Execution option of an engine: what one statement may take."""
_CONNECT_SECONDS: Final = 5
_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
_AWAY: Final = frozenset({"08", "53"})
"""Classes of SQLSTATE: connection exceptions, insufficient resources."""
_ENDING: Final = frozenset({"57P01", "57P02", "57P03"})
"""The server is being shut down, has crashed, or is not yet up."""
_REFUSED: Final = (asyncpg.TooManyConnectionsError, asyncpg.InvalidCatalogNameError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its arguments, in the order of $1, $2 …"""

    text: str
    arguments: Sequence[Any] = ()


class Pinned:
    """A set of connections, opened when they are first needed."""

    def __init__(self, url: str, *, size: int, query_seconds: float, generic: bool) -> None:
        """`generic`: plans are made once for a statement and not anew for its values; for queries by key."""
        self._url, self._size = url, size
        self._settings = {"statement_timeout": str(round(query_seconds * 1000)), "timezone": "UTC"}
        if generic:
            self._settings["plan_cache_mode"] = "force_generic_plan"
        self._free: list[Any] = []
        self._open: set[Any] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def fetch(self, statement: Statement) -> list[Any]:
        """The rows of a query. Sent again on another connection if the first turns out to be lost.

        Raises `Unavailable`, `TooCostly`.
        """
        for attempt in (1, 2):
            connection = await self._take()
            try:
                rows: list[Any] = await connection.fetch(statement.text, *statement.arguments)
            except _LOST as error:
                self._drop(connection)
                if attempt == 2:
                    raise Unavailable("the store cannot be reached; nothing was done, try again") from error
            except asyncpg.PostgresError as error:
                self._give(connection)
                raise foreseen(error) or error from error
            except BaseException:
                # Cancelled: what the connection is doing is not known.
                self._drop(connection)
                raise
            else:
                self._give(connection)
                return rows
        raise AssertionError("unreachable")

    async def write(self, statement: Statement) -> None:
        """One statement that is a transaction of its own; it is never sent twice.

        Raises `Unavailable` (it may have been done), `Conflict`, `TooCostly`.
        """
        connection = await self._take()
        try:
            await connection.fetch(statement.text, *statement.arguments)
        except _LOST as error:
            self._drop(connection)
            raise Unavailable("the store cannot be reached; try again") from error
        except asyncpg.PostgresError as error:
            self._give(connection)
            raise foreseen(error) or error from error
        except BaseException:
            self._drop(connection)
            raise
        self._give(connection)

    def terminate(self) -> None:
        """Closes all connections at once; the next query opens new ones."""
        for connection in self._open:
            connection.terminate()
        self._open.clear()
        self._free.clear()

    async def _take(self) -> Any:
        while True:
            while self._free:
                connection = self._free.pop()
                if not connection.is_closed():
                    return connection
                self._open.discard(connection)
            if len(self._open) + self._opening < self._size:
                return await self._connect()
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._wake()
                raise

    async def _connect(self) -> Any:
        self._opening += 1
        try:
            connection = await asyncpg.connect(
                self._url, timeout=_CONNECT_SECONDS, server_settings=self._settings, statement_cache_size=500,
                max_cached_statement_lifetime=0,
            )  # fmt: skip
        except (*_LOST, *_REFUSED) as error:
            self._wake()
            raise Unavailable("the store cannot be reached; nothing was done, try again") from error
        finally:
            self._opening -= 1
        self._open.add(connection)
        return connection

    def _give(self, connection: Any) -> None:
        if connection in self._open:
            self._free.append(connection)
        self._wake()

    def _drop(self, connection: Any) -> None:
        self._open.discard(connection)
        connection.terminate()
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


def foreseen(error: BaseException | None) -> FhirError | None:
    """What a caller is told of an error of the database that is no fault of ours."""
    # SQLAlchemy raises its own from the driver's: one that broke between two messages of the protocol has no SQLSTATE.
    if isinstance(error, _LOST) or isinstance(getattr(error, "__cause__", None), _LOST):
        return Unavailable("the store cannot be reached; try again")
    match getattr(error, "sqlstate", None):
        case "57014":
            return TooCostly()
        case "40001" | "40P01":
            return Conflict("another request changed the same at the same time; try again")
        case "23505":
            return Conflict("another request changed this resource at the same time; read it and try again")
        case str() as state if state[:2] in _AWAY or state in _ENDING:
            return Unavailable("the store cannot be reached; try again")
    return None


@dataclass(frozen=True, slots=True)
class Pins:
    """The pinned connections of one engine."""

    keyed: Pinned
    """Reads by key and writes: one plan for all values."""
    searching: Pinned
    """Searches: the server chooses between a plan for all values and one for these."""


_PINS: WeakKeyDictionary[Engine, Pins] = WeakKeyDictionary()


def pins_of(engine: AsyncEngine) -> Pins:
    """The pinned connections beside an engine's pool, closed when the engine is disposed of."""
    found = _PINS.get(engine.sync_engine)
    if found is None:
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        seconds = engine.get_execution_options().get(SECONDS, 30.0)
        keyed, searching = (Pinned(url, size=8, query_seconds=seconds, generic=each) for each in (True, False))
        found = _PINS[engine.sync_engine] = Pins(keyed, searching)

        def closed(_: Engine) -> None:
            keyed.terminate()
            searching.terminate()

        event.listen(engine.sync_engine, "engine_disposed", closed)
    return found
