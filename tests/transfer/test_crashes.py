# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""kill -9 of the worker anywhere: nothing is lost, nothing is stored twice. `make soak` runs the full numbers."""

import asyncio
from collections import Counter
import os
import random
from typing import Any

import pytest

from tests.transfer.conftest import Scene
from tests.transfer.working import WorkerProcess, until
from tests.transfer.world import ASTRID, BERTIL, MITT, NORR, allergy

ROUNDS = 150 if os.environ.get("NDI_SOAK") else 12
PEOPLE = (ASTRID, BERTIL)
CRITICALITY = ("high", "low", "unable-to-assess")

_STORED = """
    SELECT d.state || CASE WHEN i.idempotency_hash IS NULL THEN ' not stored' ELSE ' stored' END, count(*)
    FROM transfer.delivery d
    LEFT JOIN allergy_register.inbox i ON i.idempotency_hash = sha256(convert_to(d.idempotency_key, 'UTF8'))
    GROUP BY 1
"""


@pytest.fixture
def register_delay() -> float:
    return 0.04


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_killed_at_random_points_each_version_is_stored_once(scene: Scene) -> None:
    chance = random.Random(20261124)
    scene.world.fetch_delay = 0.005
    killed_at = Counter[str]()
    for _ in range(ROUNDS):
        _document(scene, chance, 12)
        await _until_killed(scene, chance, killed_at)
    await _finish(scene)
    assert _contents(await scene.held()) == _wanted(scene)
    # What was acknowledged stands in the register's inbox once; what was cancelled may have arrived before.
    stored = dict(await scene.sql(_STORED))
    assert set(stored) <= {"acknowledged stored", "cancelled stored", "cancelled not stored"}
    assert await scene.sql("SELECT count(*) FROM allergy_register.inbox") == [
        stored["acknowledged stored"] + stored.get("cancelled stored", 0)
    ]
    attempts = await scene.sql("SELECT sum(attempts) FROM transfer.delivery")
    print(f"{ROUNDS} kills (open then: {dict(killed_at)}), {attempts[0]} attempts, {stored}")


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_killed_while_a_person_opposes_and_returns(scene: Scene) -> None:
    chance = random.Random(7)
    scene.world.fetch_delay = 0.005
    opposed: set[str] = set()
    for _ in range(ROUNDS):
        _document(scene, chance, 6)
        person = chance.choice(PEOPLE)
        consent = "c-" + person[-4:]
        if person in opposed:
            opposed.discard(person)
            scene.world.return_(person, consent)
        else:
            opposed.add(person)
            scene.world.oppose(person, consent)
        await _until_killed(scene, chance, Counter())
    await _finish(scene)
    for person in PEOPLE:
        view = await scene.view(person)
        assert view.opted_out is (person in opposed)
        if person in opposed:
            assert view.records == 0
    assert _contents(await scene.held()) == _wanted(scene, frozenset(opposed))
    assert await scene.sql("SELECT count(*) FROM transfer.erasure WHERE erased_at IS NULL") == [0]
    alive = {each["record_key"] for each in await scene.held()}
    known = set(await scene.sql("SELECT record_key FROM transfer.record WHERE held_version IS NOT NULL"))
    assert alive == known


def _document(scene: Scene, chance: random.Random, number: int) -> None:
    for _ in range(number):
        person, unit, identity = chance.choice(PEOPLE), chance.choice((NORR, MITT)), f"a{chance.randrange(5)}"
        if chance.random() < 0.1 and len(scene.world.records.get((person, unit), {})) > 1:
            scene.world.delete(person, unit, identity)
        else:
            code = {"text": f"{person[-4:]} {unit} {identity}"}
            scene.world.document(person, unit, allergy(identity, criticality=chance.choice(CRITICALITY), code=code))


async def _until_killed(scene: Scene, chance: random.Random, killed_at: Counter[str]) -> None:
    """Starts a worker and kills it at some point of its work."""
    process = WorkerProcess(scene.database_url, scene.world_url)
    before = scene.world.tokens
    await process.start()

    async def working() -> bool:
        return scene.world.tokens > before

    await until(working, 60)
    # Half of the kills come at any time, half as soon as a message is seen to be on its way.
    if chance.random() < 0.5:
        await asyncio.sleep(chance.random() * chance.choice((0.05, 0.2, 0.6)))
    else:
        await _sending(scene)
        await asyncio.sleep(chance.random() * 0.06)
    await process.kill()
    for state in await scene.sql("SELECT state FROM transfer.delivery WHERE state IN ('queued', 'sent')"):
        killed_at[state] += 1


async def _sending(scene: Scene) -> None:
    end = asyncio.get_running_loop().time() + 1
    while asyncio.get_running_loop().time() < end:
        if (await scene.sql("SELECT count(*) FROM transfer.delivery WHERE state = 'sent'"))[0]:
            return
        await asyncio.sleep(0.003)


async def _finish(scene: Scene) -> None:
    process = WorkerProcess(scene.database_url, scene.world_url)
    await process.start()
    await scene.done(120)
    await process.kill()


def _contents(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((row["content"]["code"]["text"], row["content"]["criticality"]) for row in rows)


def _wanted(scene: Scene, without: frozenset[str] = frozenset()) -> Counter[tuple[str, str]]:
    return Counter(
        (each["code"]["text"], each["criticality"])
        for (person, _), held in scene.world.records.items()
        for each in held.values()
        if person not in without
    )
