# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The index behind the kernel on a real server and a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import create_app
from fhir_server.crypto import Cipher
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKeys
from patient_index.app import create_service
from patient_index.engagement import EngagementIndexSettings
from tests.patient_index.world import Index, RuleConsent, catalogue
from tests.support import databases
from tests.support.callers import ListAudit, TestAuthenticator
from tests.support.running import running

ENGAGEMENT_INDEX = EngagementIndexSettings(
    owner="INDEX-OWNER-HSAID",
    alternative_owners=frozenset({"INDEX-ALTERNATIVE-HSAID"}),
    platform_addresses=frozenset({"PLATFORM-HSAID"}),
)


@pytest.fixture
async def index(engine: AsyncEngine, keys: PersonKeys, cipher: Cipher) -> AsyncIterator[Index]:
    """An index of its own for the test."""
    async with serving_index(engine, keys, cipher) as served:
        yield served


@pytest.fixture(scope="session")
async def lasting_engine(server: str, template: str) -> AsyncIterator[AsyncEngine]:
    """One migrated database for many tests."""
    async with databases.fresh_database(server, template) as url:
        engine = create_engine(url)
        try:
            yield engine
        finally:
            await engine.dispose()


@pytest.fixture(scope="session")
async def lasting_index(lasting_engine: AsyncEngine, keys: PersonKeys, cipher: Cipher) -> AsyncIterator[Index]:
    """One index for many tests: for those that store nothing, or about a person of their own."""
    async with serving_index(lasting_engine, keys, cipher) as served:
        yield served


@asynccontextmanager
async def serving_index(engine: AsyncEngine, keys: PersonKeys, cipher: Cipher) -> AsyncIterator[Index]:
    consent, catalog, audit = RuleConsent(), catalogue(), ListAudit()
    service = create_service(
        engine=engine, keys=keys, cipher=cipher, consent=consent, catalog=catalog, engagement_index=ENGAGEMENT_INDEX
    )
    app = create_app(service, engine=engine, authenticator=TestAuthenticator(), audit=audit)
    async with running(app) as http:
        yield Index(http, consent, catalog, audit, keys, engine)
