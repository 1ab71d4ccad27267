# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The hospital with its worker, and a receiver; each test begins with empty tables and nothing received."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.storage.database import create_engine
from tests.fhir_server.subscriptions.hospital import Hospital, opened
from tests.fhir_server.subscriptions.receiving import Receiver
from tests.support import databases


@pytest.fixture(scope="module")
async def lasting_hospital(server: str, template: str) -> AsyncIterator[Hospital]:
    async with databases.fresh_database(server, template) as url:
        engine = create_engine(url)
        async with opened(engine) as hospital:
            yield hospital
        await engine.dispose()


@pytest.fixture
async def hospital(lasting_hospital: Hospital) -> Hospital:
    await lasting_hospital.empty()
    return lasting_hospital


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    made.gate.set()
    await made.stop()
