# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The sandbox that the clients call."""

from collections.abc import AsyncIterator

import pytest

from tests.support.sandbox import sandbox_serving


@pytest.fixture(scope="module")
async def base(server: str) -> AsyncIterator[str]:
    """The FHIR base of a running sandbox, one for each client's tests."""
    async with sandbox_serving(server, ["Patient", "Observation", "Basic"]) as address:
        yield address
