# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel against the bare minimum of the same stack, one figure an interaction.

    python -m bench.kernel [read search create transaction history …]

Each floor is an ASGI callable on pinned connections with prepared statements that sends the same bytes, driven by the
same client in the same run, alternating (`bench/kernel_floors.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import gc
import os
from pathlib import Path
import sys
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
import structlog
import uvloop

from audit.client import APPEND_FUNCTION
from audit.local import AuditBatcher
from bench import kernel_floors as floors
from bench.figures import Figure, write
from bench.kernel_data import PERSONS, SCHEMA, fill, observation
from bench.load import Load, send
from fhir_server.app import KernelSettings, create_app
from fhir_server.context import Access, Context
from fhir_server.policy import Policy
from fhir_server.search.parameters import codes_of
from fhir_server.service import Interaction, ResourceType, Service
from fhir_server.storage.database import create_engine
from fhir_server.storage.schema import tables
from identifiers.person_key import PersonKey
from ndi import migrate
from ndi.embedded import EmbeddedPostgres
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer
from tests.support.databases import fresh_database
from tests.support.running import serving

ROUNDS = 5
BASE = "/bench/fhir"
OFFERED: frozenset[Interaction] = frozenset({"read", "create", "update", "search", "history"})


class Everyone:
    """A guard that decides, for all: what a policy costs apart from its rules."""

    async def check(self, context: Context, interaction: str, resource: Any) -> None:
        """Permits."""
        context.decided = True

    async def policy(self, context: Context) -> Policy:
        """Confines to the persons there are."""
        return Policy(persons=frozenset(PersonKey(each) for each in PERSONS))


class Known(TestAuthenticator):
    """A token that was verified before: the product's own remembers it by its hash (`security.local`)."""

    def __init__(self) -> None:
        self._callers: dict[str | None, Any] = {}

    async def authenticate(self, authorization: str | None) -> Any:
        """The caller of the token."""
        caller = self._callers.get(authorization)
        if caller is None:
            caller = self._callers[authorization] = await super().authenticate(authorization)
        return caller


@dataclass(frozen=True, slots=True)
class Case:
    """One figure: the same requests sent to both."""

    key: str
    title: str
    floor: Callable[[Any], Any]
    """From the floors' connections to the ASGI callable."""
    requests: Callable[[str], Sequence[bytes]]
    """From the path of the FHIR base to what is sent."""
    per: int = 1
    """Resources in a request."""
    person_data: bool = False


def cases() -> list[Case]:
    """All figures, in the order of the page."""
    return [
        Case("read", "Read by id, 2 kB", floors.read, reads),
        Case("read-audited", "Read by id, 2 kB, with policy and durable audit", floors.read, reads, 1, True),
        Case("search", "Search by token, 10 resources of 2 kB", floors.search, _searches),
        Case("create", "Create, 2 kB, 12 search values, validation off", floors.create, creates),
        Case("transaction", "Transaction of 100 creates, validation off", floors.transaction, _transactions, 100),
        Case("history", "History of a resource, 10 versions", floors.history, _histories),
    ]


def main() -> None:
    """Measures and prints what is named, or all, and writes the tables."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    named = sys.argv[1:]
    uvloop.run(measure([each for each in cases() if not named or each.key in named]))


async def measure(chosen: Sequence[Case]) -> None:
    """Each figure on one database, one after the other."""
    async with database() as url:
        await migrate.upgrade(url)
        engine = create_engine(url)
        await make_tables(engine)
        connections = await floors.Connections.open(url, 8)
        await fill(connections.some[0])
        batcher = AuditBatcher(url)
        await batcher.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)
        for case in chosen:
            app = bench_app(engine, batcher, person_data=case.person_data)
            async with serving(app) as ours, serving(case.floor(connections)) as bare:
                await _compare(case, ours, bare)
        await batcher.close()
        await connections.close()
        await engine.dispose()


async def _compare(case: Case, ours: str, bare: str) -> None:
    """One after the other in each round; the figure is that of the round with the median ratio."""
    rounds: list[tuple[Load, Load]] = []
    for _ in range(ROUNDS):
        floor = await _load(bare, case)
        rounds.append((floor, await _load(ours, case)))
    rounds.sort(key=lambda each: each[1].rate / each[0].rate)
    floor, kernel = rounds[ROUNDS // 2]
    rows = [Figure("floor", floor, None), Figure("kernel", kernel, kernel.rate / floor.rate)]
    more = f"; {kernel.rate * case.per:,.0f} resources/s" if case.per > 1 else ""
    write(f"kernel-{case.key}", f"{case.title}, 16 connections, one worker{more}", rows)


async def _load(base: str, case: Case) -> Load:
    port = int(base.rpartition(":")[2])
    return await asyncio.to_thread(send, port, case.requests(BASE))


def bench_app(engine: AsyncEngine, audit: AuditBatcher, *, person_data: bool, validate: bool = False) -> Any:
    """A service of observations."""
    access = Access.person_data if person_data else Access.directory
    guarded: dict[str, Any] = {"guard": Everyone(), "person": _person} if person_data else {}
    types = (ResourceType("Observation", access, OFFERED, search=codes_of("Observation"), **guarded),)
    service = Service(SCHEMA, "Bench", "/bench", resources=types, interactions=frozenset({"transaction"}))
    settings = KernelSettings(
        cursor_secret=b"c" * 32, compress_from=0, audit_function=APPEND_FUNCTION if person_data else None,
        validate=validate,
    )  # fmt: skip
    sink = audit if person_data else ListAudit()
    return create_app(service, engine=engine, authenticator=Known(), audit=sink, settings=settings)


def _person(resource: Any) -> PersonKey:
    return PersonKey(PERSONS[0])


def reads(base: str) -> list[bytes]:
    """Reads of a thousand resources."""
    return [_get(f"{base}/Observation/o{number}") for number in range(1000)]


def _searches(base: str) -> list[bytes]:
    return [_get(f"{base}/Observation?code=http://loinc.org|c{number}&_count=10") for number in range(1000)]


def _histories(base: str) -> list[bytes]:
    return [_get(f"{base}/Observation/h{number}/_history?_count=10") for number in range(1000)]


def creates(base: str) -> list[bytes]:
    """Creates of a thousand resources."""
    return [_post(f"{base}/Observation", observation(number)) for number in range(1000)]


def _transactions(base: str) -> list[bytes]:
    made: list[bytes] = []
    for number in range(20):
        entries = b",".join(
            b'{"resource":' + observation(number * 100 + at) + b',"request":{"method":"POST","url":"Observation"}}'
            for at in range(100)
        )
        made.append(_post(base, b'{"resourceType":"Bundle","type":"transaction","entry":[' + entries + b"]}"))
    return made


_TOKEN = bearer(OPERATOR)["Authorization"]


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {_TOKEN}\r\n\r\n".encode()


def _post(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {_TOKEN}\r\nPrefer: return=minimal\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def make_tables(engine: AsyncEngine) -> None:
    """The schema of the figures."""
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        await connection.run_sync(tables(SCHEMA).metadata.create_all)


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """A fresh one: on the server that BENCH_DATABASE_URL names, else on the embedded one."""
    named = os.environ.get("BENCH_DATABASE_URL")
    if named:
        async with fresh_database(named, "template1") as url:
            yield url
        return
    with EmbeddedPostgres(Path("var/bench/postgres")).used() as server:
        async with fresh_database(server, "template1") as url:
            yield url


if __name__ == "__main__":
    main()
