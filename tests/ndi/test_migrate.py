# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
import asyncio
import sys

import asyncpg
import pytest

from ndi import migrate
from tests.support.databases import fresh_database


@pytest.mark.servers
async def test_a_fresh_database_is_at_head_and_upgrading_again_changes_nothing(database_url: str) -> None:
    before = await migrate.status(database_url)
    assert [state.service for state in before] == [service for service, _ in migrate.with_migrations()]
    assert all(state.up_to_date for state in before)
    assert await migrate.upgrade(database_url) == before


@pytest.mark.servers
async def test_two_upgrades_of_an_empty_database_at_once(server: str) -> None:
    async with fresh_database(server, "template0") as url:
        program = "import asyncio, sys; from ndi import migrate; asyncio.run(migrate.upgrade(sys.argv[1]))"
        others = [await asyncio.create_subprocess_exec(sys.executable, "-c", program, url) for _ in range(2)]
        await asyncio.gather(migrate.upgrade(url), migrate.upgrade(url))
        assert [await other.wait() for other in others] == [0, 0]
        assert all(state.up_to_date for state in await migrate.status(url))


async def test_each_version_table_stands_in_its_own_schema(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        schemas = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename = 'alembic_version'")
    finally:
        await connection.close()
    assert {row["schemaname"] for row in schemas} == {service for service, _ in migrate.with_migrations()}


def test_an_unknown_service_is_named() -> None:
    with pytest.raises(ValueError, match="no such service: nonsense"):
        migrate.with_migrations(["nonsense"])
