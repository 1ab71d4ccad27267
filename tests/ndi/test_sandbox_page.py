# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The requests of docs/sandbox.md do what it says."""

from pathlib import Path
import re
import shutil

import pytest

from tests.support.sandbox import sandbox_serving
from tests.support.shell import run_block

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"


async def test_the_requests_of_the_page(server: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    async with sandbox_serving(server, ["Patient", "Observation"]) as base:
        first, second = [await run_block(block, FHIR=base) for block in blocks]
    assert '"total":1' in first
    assert '"versionId": "2"' in first
    assert '"value":71.50' in second
    assert '"mode":"include"' in second
