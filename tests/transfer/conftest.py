# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A world, a register and a worker between them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.register.app import Settings, create_app
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys
from tests.support.running import serving
from tests.transfer.working import until
from tests.transfer.world import ISSUER, REGISTER, World
from transfer.client import RegisterView
from transfer.model.register import register
from transfer.store import Registers


@dataclass
class Scene:
    """Everything a test needs at hand."""

    world: World
    world_url: str
    register_url: str
    database_url: str
    engine: AsyncEngine
    http: httpx2.AsyncClient
    keys: PersonKeys
    cipher: Cipher

    @property
    def worker(self) -> tuple[str, str, PersonKeys, Cipher]:
        """The arguments of `working.worker`."""
        return self.database_url, self.world_url, self.keys, self.cipher

    async def rows(self) -> list[dict[str, Any]]:
        """What the register has, in the order it came to know of it."""
        answer = await self.http.post(f"{self.register_url}/test/records")
        rows: list[dict[str, Any]] = answer.json()
        return rows

    async def held(self) -> list[dict[str, Any]]:
        """What the register has and has not erased."""
        return [each for each in await self.rows() if not each["erased"]]

    async def fault(self, kind: str, count: int = 1, **more: Any) -> None:
        """The register's next messages meet a fault."""
        answer = await self.http.post(f"{self.register_url}/test/fault", json={"kind": kind, "count": count, **more})
        assert answer.status_code == 204

    async def view(self, number: str) -> RegisterView:
        """The register as the person sees it."""
        [view] = await Registers(self.engine).of_person(self.world.person(number))
        return view

    async def sql(self, statement: str) -> list[Any]:
        """What stands in the tables."""
        async with self.engine.begin() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) if len(row) > 1 else row[0] for row in result] if result.returns_rows else []

    async def settled(self) -> bool:
        """Both feeds are read to their end, nothing waits and nothing is on its way."""
        cursors = dict(await self.sql("SELECT feed, position FROM transfer.feed_cursor"))
        [open_] = await self.sql(
            "SELECT (SELECT count(*) FROM transfer.delivery WHERE state IN ('queued', 'sent'))"
            " + (SELECT count(*) FROM transfer.pending_event WHERE state = 'waiting')"
        )
        read = {name: int(cursors.get(name, 0)) for name in ("index", "consent")}
        return open_ == 0 and read == {"index": len(self.world.index), "consent": len(self.world.consents)}

    async def done(self, seconds: float = 15.0) -> None:
        """Waits until there is nothing left to do."""
        await until(self.settled, seconds)


@pytest.fixture
def register_delay() -> float:
    """Seconds the register takes for a message."""
    return 0.0


@pytest.fixture
async def scene(
    engine: AsyncEngine, database_url: str, keys: PersonKeys, cipher: Cipher, register_delay: float
) -> AsyncIterator[Scene]:
    world = World(keys)
    async with serving(world.app()) as world_url:
        settings = Settings(database_url, ISSUER, f"{world_url}/jwks", hsa_id=REGISTER, delay=register_delay)
        async with serving(create_app(settings)) as register_url, httpx2.AsyncClient(trust_env=False) as http:
            await Registers(engine).save(
                register(REGISTER, "Allergiregistret", register_url, ("alert",), ("code", "recorded-date", "category"),
                         "Utveckla vårdens kvalitet vid allergi.", "Improve the quality of allergy care.")
            )  # fmt: skip
            yield Scene(world, world_url, register_url, database_url, engine, http, keys, cipher)
