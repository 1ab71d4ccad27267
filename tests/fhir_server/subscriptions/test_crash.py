# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""kill -9 of the worker: what the receiver may have is sent again under the same number, and nothing is lost."""

import asyncio
import os
import random

import pytest

from fhir_server.storage.database import create_engine
from tests.fhir_server.subscriptions.hospital import opened, organization, subscription
from tests.fhir_server.subscriptions.receiving import Receiver, until
from tests.fhir_server.subscriptions.working import WorkerProcess

ROUNDS = 100 if os.environ.get("NDI_SOAK") else 4


async def test_killed_between_delivery_and_mark(database_url: str, receiver: Receiver) -> None:
    engine = create_engine(database_url)
    async with opened(engine, working=False) as hospital:
        process = WorkerProcess(database_url)
        await process.start()
        identity = await hospital.subscribe(subscription(receiver.url, "organization"))
        receiver.gate.clear()
        await hospital.put(organization("o1"))
        await until(lambda: receiver.numbers(identity) == [1])
        await process.kill()  # it has been received, and nobody has marked it
        assert await hospital.column(identity, "delivered") == 0
        receiver.gate.set()
        await hospital.put(organization("o2"))
        await process.start()
        await until(lambda: 2 in receiver.numbers(identity))
        assert receiver.numbers(identity) == [1, 1, 2]
        assert receiver.told(identity) == ["Organization/o1", "Organization/o2"]
        await process.kill()
    await engine.dispose()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_anywhere(database_url: str, receiver: Receiver) -> None:
    engine = create_engine(database_url)
    chance = random.Random(3)
    async with opened(engine, working=False) as hospital:
        process = WorkerProcess(database_url)
        await process.start()
        identity = await hospital.subscribe(subscription(receiver.url, "organization", max_count=2))
        written = 0
        for _ in range(ROUNDS):
            before = len(receiver.numbers(identity))
            for _ in range(20):
                await hospital.put(organization(f"o{written}"))
                written += 1
            await until(lambda before=before: len(receiver.numbers(identity)) > before)  # type: ignore[misc]  # mypy cannot infer the default of a lambda
            await asyncio.sleep(chance.random() * 0.05)
            await process.kill()
            await process.start()
        await until(lambda: len(set(receiver.numbers(identity))) == written)
        assert receiver.told(identity) == [f"Organization/o{number}" for number in range(written)]
        firsts = list(dict.fromkeys(receiver.numbers(identity)))
        assert firsts == sorted(firsts), "a number came before the one it follows"
        await process.kill()
    await engine.dispose()
