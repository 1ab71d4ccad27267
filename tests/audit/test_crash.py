# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Kill -9 in the middle of batches: every append that was answered is in the table, none twice."""

import asyncio
from collections import Counter
import os
from pathlib import Path
import random
import signal
import sys

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.audit.conftest import events

ROOT = Path(__file__).parents[2]
ROUNDS = 300 if os.environ.get("NDI_SOAK") else 5


async def test_what_was_answered_survives_kill_9(log_url: str, engine: AsyncEngine) -> None:
    rng = random.Random(7)
    answered: Counter[str] = Counter()
    for _ in range(ROUNDS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.audit.writer", log_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        first = await process.stdout.readline()
        reading = asyncio.create_task(process.stdout.read())
        await asyncio.sleep(rng.uniform(0.01, 0.3))
        process.send_signal(signal.SIGKILL)
        rest = await reading
        assert await process.wait() == -signal.SIGKILL
        answered.update((first + rest).decode().split())
    kept = Counter(row["reason"] for row in await events(engine))
    print(f"\n{ROUNDS} kills: {answered.total()} answered, {kept.total()} kept")
    assert answered.total() > 10 * ROUNDS
    assert answered <= kept
    ids = [row["id"] for row in await events(engine)]
    assert len(ids) == len(set(ids))
