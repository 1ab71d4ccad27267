# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The requests in the service's README do what it says."""

from pathlib import Path
import re
import shutil

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import create_app
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys
from patient_index.app import create_service
from tests.patient_index.world import PROVIDER, RuleConsent, catalogue, clinician
from tests.support.callers import SOURCE_NORR, ListAudit, TestAuthenticator, token_of
from tests.support.running import serving
from tests.support.shell import run_block

README = Path(__file__).parents[2] / "patient_index" / "README.md"


async def test_the_requests_of_the_readme(engine: AsyncEngine, keys: PersonKeys, cipher: Cipher) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    service = create_service(engine=engine, keys=keys, cipher=cipher, consent=RuleConsent(), catalog=catalogue())
    app = create_app(service, engine=engine, authenticator=TestAuthenticator(), audit=ListAudit())
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    async with serving(app) as address:
        registered, updated, located = [
            await run_block(block, NDI=address, TOKEN=token_of(SOURCE_NORR), CLINICIAN=token_of(clinician(PROVIDER)))
            for block in blocks
        ]
    assert '"status":"current"' in registered
    assert "<up:ResultCode>OK</up:ResultCode>" in updated
    assert '"7f3a2c1e"' in located
    assert '"8a4b3d2f"' in located
