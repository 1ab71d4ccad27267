# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The server under test: the sandbox over HTTP on an empty database, and what the areas ask of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import orjson

from tests.support.sandbox import both_serving

JSON = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ALL_IN_ONE_PAGE = "1000"

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    http: httpx2.AsyncClient
    base: str
    unchecked: str
    """Base of a server on the same database that takes resources without checking them."""

    async def put(self, kind: str, identity: str, body: bytes, *, checked: bool = True) -> httpx2.Response:
        """Stores under the id of the resource."""
        base = self.base if checked else self.unchecked
        return await self.http.put(f"{base}/{kind}/{identity}", content=body, headers=JSON)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """`path` below the base."""
        return await self.http.get(f"{self.base}/{path}", headers=headers)

    async def search(self, kind: str, query: Query) -> httpx2.Response:
        """By POST, so that no value is too long for an address."""
        return await self.http.post(f"{self.base}/{kind}/_search", content=urlencode(query), headers=FORM)

    async def ids(self, kind: str, query: Query) -> frozenset[str] | str:
        """The ids that match, all in one page; the diagnostics if the search is refused."""
        answer = await self.search(kind, [*query, ("_elements", "id"), ("_count", ALL_IN_ONE_PAGE)])
        found: dict[str, Any] = orjson.loads(answer.content)
        if answer.status_code != 200:
            return f"{answer.status_code} {found['issue'][0].get('diagnostics')}"
        return frozenset(
            entry["resource"]["id"] for entry in found.get("entry", ()) if entry["search"]["mode"] == "match"
        )


@asynccontextmanager
async def opened(database: str, types: Sequence[str] | None = None) -> AsyncIterator[Server]:
    """`database`: address of a PostgreSQL server, on which it makes a database and drops it in the end.

    `types`: the resource types served, all if None.
    """
    async with both_serving(database, types) as bases, httpx2.AsyncClient(timeout=120, trust_env=False) as http:
        yield Server(http, bases.checked, bases.unchecked)
