# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The operator's commands on a real database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
from typing import Any

import anyio.to_thread
import pytest
from typer.testing import CliRunner

from tests.transfer.conftest import Scene
from tests.transfer.working import worker
from tests.transfer.world import ASTRID, MITT, NORR, REGISTER, allergy
from transfer.cli import app


@dataclass
class Deployment:
    """What `ndi` gives the command."""

    url: str

    @contextmanager
    def database(self) -> Iterator[str]:
        yield self.url


async def _run(scene: Scene, *arguments: str) -> Any:
    # A thread of its own: the command starts an event loop.
    def run() -> Any:
        return CliRunner().invoke(app, list(arguments), obj=Deployment(scene.database_url))

    return await anyio.to_thread.run_sync(run)


async def test_a_register_is_added_and_worked(scene: Scene) -> None:
    await scene.sql("DELETE FROM transfer.register")
    answer = await _run(
        scene, "register", "add", "--id", REGISTER, "--name", "Allergiregistret", "--address", scene.register_url,
        "--purpose-sv", "Bättre vård", "--purpose-en", "Better care",
    )  # fmt: skip
    assert (answer.exit_code, answer.stdout.split()[0]) == (0, REGISTER)
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await scene.done()
    assert len(await scene.held()) == 1
    assert (await scene.view(ASTRID)).purpose_sv == "Bättre vård"


async def test_a_wrong_register_is_told_in_one_line(scene: Scene) -> None:
    answer = await _run(scene, "register", "add", "--id", "X", "--name", "n", "--address", "https://x", "--purpose-sv",
                        "a", "--purpose-en", "b")  # fmt: skip
    assert "HSA-id" in str(answer.exception)


async def test_dead_letters_are_listed_and_sent_again(scene: Scene) -> None:
    await scene.fault("reject", 2)
    scene.world.silent.add(MITT)
    scene.world.document(ASTRID, NORR, allergy("a1"))
    scene.world.document(ASTRID, NORR, allergy("a2"))
    scene.world.document(ASTRID, MITT, allergy("a3"))
    async with worker(*scene.worker):
        await scene.done()
        state = json.loads((await _run(scene, "status", "--json")).stdout)
        assert state["registers"][0]["deliveries"] == {"dead": 2}
        assert state["registers"][0]["events"] == {"dead": 1}
        [why] = state["registers"][0]["reasons"]
        assert (why["unit"], why["state"], why["reason"]) == (MITT, "dead", "source-silent: the source is silent")
        assert ASTRID not in json.dumps(state)
        first = state["deadLetters"][0]["id"]
        answer = await _run(scene, "retry", str(first))
        assert answer.stdout == "1 queued, 0 cancelled as overtaken, 0 events revived\n"
        await scene.done()
        assert len(await scene.held()) == 1
        scene.world.silent.clear()
        answer = await _run(scene, "retry", "--all")
        assert answer.stdout == "1 queued, 0 cancelled as overtaken, 1 events revived\n"
        await scene.done()
    assert len(await scene.held()) == 3


async def test_an_overtaken_dead_letter_is_not_sent(scene: Scene) -> None:
    await scene.fault("reject")
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await scene.done()
        scene.world.document(ASTRID, NORR, allergy("a1", criticality="low"))
        await scene.done()
        answer = await _run(scene, "retry", "--all")
        assert answer.stdout == "0 queued, 1 cancelled as overtaken, 0 events revived\n"
    [row] = await scene.rows()
    assert (row["version"], row["deliveries_stored"]) == (2, 1)


@pytest.mark.parametrize("arguments", [["retry"], ["retry", "--all", "3"]])
async def test_retry_wants_to_know_what(scene: Scene, arguments: list[str]) -> None:
    assert "name the dead letters" in str((await _run(scene, *arguments)).exception)
