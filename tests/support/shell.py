# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Runs the code blocks of documents as a reader would."""

import asyncio
import os


async def run_block(block: str, **environment: str) -> str:
    """What the block writes; it must end well, at its first command that does not."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", block, env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode == 0, output.decode() + errors.decode()
    return output.decode()
