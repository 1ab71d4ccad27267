# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The receiver and the requests of docs/api/fhir_server/subscriptions.md do what it says."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import re
import shutil
import sys

import pytest

from tests.support.running import free_port
from tests.support.sandbox import sandbox_serving
from tests.support.shell import run_block

PAGE = Path(__file__).parents[2] / "docs" / "api" / "fhir_server" / "subscriptions.md"


async def test_the_receiver_and_the_requests_of_the_page(server: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    text = PAGE.read_text()
    program, requests = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("python", "sh"))
    (tmp_path / "receiver.py").write_text(program)
    port = str(free_port())
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, tmp_path / "receiver.py", env={"PORT": port},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with sandbox_serving(server, ["Patient"]) as base:
            answered = await run_block(requests, FHIR=base, HOOK=f"http://127.0.0.1:{port}/hook")
            lines = [each async for each in _until_number(receiver, 3)]
    finally:
        receiver.kill()
        await receiver.wait()
    assert lines[0] == "handshake requested"
    numbered = [each for each in lines if each[0].isdigit()]
    assert numbered == [f"{n} {base}/Patient/{name}" for n, name in enumerate(("Berg", "Bergman", "Berg"), 1)]
    assert '"query-status"' in answered


async def _until_number(receiver: asyncio.subprocess.Process, last: int) -> AsyncIterator[str]:
    assert receiver.stdout is not None
    async with asyncio.timeout(30):
        async for line in receiver.stdout:
            text = line.decode().strip()
            yield text
            if text.startswith(f"{last} "):
                return
