# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One service and one database for the tests of search; each test begins with empty tables."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.fhir_server.search.holdings import fill
from tests.fhir_server.search.library import Library, opened


@pytest.fixture(scope="module")
async def lasting_library(lasting_engine: AsyncEngine) -> AsyncIterator[Library]:
    async with opened(lasting_engine) as library:
        yield library


@pytest.fixture
async def library(lasting_library: Library) -> Library:
    await lasting_library.empty()
    lasting_library.content = ""
    return lasting_library


@pytest.fixture
async def filled(lasting_library: Library) -> Library:
    if lasting_library.content != "filled":
        await lasting_library.empty()
        await fill(lasting_library)
        lasting_library.content = "filled"
    return lasting_library
