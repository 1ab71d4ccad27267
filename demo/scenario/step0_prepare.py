# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Before the steps: what an earlier run left is taken back, so that each run begins with the same state."""

import asyncio
import json
import signal
from typing import Any

from demo.actors import ANEMONEN, REGISTER_HSA
from demo.people import ASTRID
from demo.scenario.documents import observation
from demo.scenario.portal_api import OPT_OUT
from demo.scenario.stage import FHIR_JSON, Step, World, answered, check

TITLE = "Begin with the person's state as it was"
SECONDS = 30.0
SLOW_SECONDS = 1.5
"""Seconds the register takes over the first message of the run."""
SETTLING = 2.5
"""Seconds in which a submission that was under way would arrive: the transfer looks at its feeds once a second."""


async def register_rows(world: World) -> list[dict[str, Any]]:
    """What the register holds, by its test view."""
    return list(answered(await world.http.post(f"{world.register}/test/records"), 200, "the register's records"))


def live(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are not erased."""
    return [each for each in rows if not each["erased"]]


async def erased(world: World, *, quiet: float = 0.0) -> list[dict[str, Any]]:
    """Waits until the register holds nothing, and has for `quiet` seconds. Raises `Failed`."""
    loop = asyncio.get_running_loop()
    begin = empty_since = loop.time()
    while loop.time() - begin < SECONDS:
        rows = await register_rows(world)
        if live(rows):
            empty_since = loop.time()
        elif loop.time() - empty_since >= quiet:
            return rows
        await asyncio.sleep(0.1)
    check(False, "the register did not erase what it held")
    return []


async def run(world: World, step: Step) -> None:
    """Retracts the dentist's observation, empties the register, withdraws all that is in force."""
    with step.line("logs in", "Astrid → portal", "OAuth 2 + PKCE") as facts:
        session = await world.patient.login()
        check(session["kind"] == "patient" and session["name"] == ASTRID.name, "the session is Astrid's")
        held = [each["unit"] for each in await world.patient.holders()]
        facts["holders"] = len(held)
    if ANEMONEN.unit in held:
        await _take_back(world, step)
    with step.line("withdraws consents, lifts blocks", "Astrid → portal", "OAuth 2 + PKCE, JSON") as facts:
        active = await world.patient.active_consents()
        interrupted = bool(held) and not any(each["kind"] == OPT_OUT for each in active)
        if interrupted:
            # An earlier run ended before its step 7: what it left with the register, or on the way there, goes.
            await world.patient.give(OPT_OUT, REGISTER_HSA)
        rows = await erased(world, quiet=SETTLING if interrupted else 0.0)
        # From here on the register is frozen, and takes its time over the first message once it wakes: so step 7
        # finds the transfer in the middle of a submission.
        slow = {"kind": "timeout", "count": 1, "seconds": SLOW_SECONDS}
        planned = await world.http.post(f"{world.register}/test/fault", json=slow)
        check(planned.status_code == 204, f"the register's fault: {planned.status_code}")
        world.processes.signal("register", signal.SIGSTOP)
        for each in await world.patient.active_consents():
            await world.patient.withdraw(each["id"])
        check(await world.patient.active_consents() == [], "something is still in force")
        facts.update(withdrawn=len(active), interrupted=interrupted, registerRows=len(rows))


async def _take_back(world: World, step: Step) -> None:
    with step.line("takes back an earlier observation", "Anemonen → its own records", "FHIR R4") as facts:
        answer = await world.http.post(
            f"{world.source('anemonen')}/document",
            content=json.dumps(observation(active=False)),
            headers={**world.own_staff(), "Content-Type": FHIR_JSON},
        )
        check(answer.status_code == 200, f"{answer.status_code}: {answer.text[:200]}")
        await settled(world, "anemonen")
        facts["version"] = answer.json()["meta"]["versionId"]


async def settled(world: World, name: str, seconds: float = 10.0) -> int:
    """Waits until a source has registered and told the index everything; answers how long it took, in ms."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    while loop.time() - begin < seconds:
        health = answered(await world.http.get(f"{world.source(name)}/health"), 200, f"health of {name}")
        if health["registered"] and health["outbox"] == 0:
            return round((loop.time() - begin) * 1000)
        await asyncio.sleep(0.02)
    check(False, f"{name} could not tell the index within {seconds:.0f} s")
    return 0
