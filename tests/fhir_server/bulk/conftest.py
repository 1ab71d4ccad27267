# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The clinic with its worker; each test begins with empty tables and no job."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.storage.database import create_engine
from tests.fhir_server.bulk.exporting import Exporter
from tests.fhir_server.clinic import opened
from tests.support import databases


@pytest.fixture(scope="module")
async def lasting(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exporter]:
    async with databases.fresh_database(server, template) as url:
        engine = create_engine(url)
        async with opened(engine, tmp_path_factory.mktemp("bulk"), rows_per_file=10) as clinic:
            yield Exporter(clinic)
        await engine.dispose()


@pytest.fixture
async def exporter(lasting: Exporter) -> Exporter:
    await lasting.clinic.empty()
    return lasting
