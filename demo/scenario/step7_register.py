# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 7: the register gets each case exactly once although the transfer is killed; opting out erases it.

The register was frozen while the transfer sent; it wakes and takes its time over the first message. The transfer is
killed there: the message has arrived, the acknowledgement has not. The register stores what it got, and the restarted
transfer, which knows nothing of that, must send it again.
"""

import asyncio
import signal

from demo.actors import REGIONS, REGISTER_HSA, REGISTER_NAME
from demo.scenario.portal_api import OPT_OUT
from demo.scenario.stage import TRANSFER_OFFSET, Step, World, check
from demo.scenario.step0_prepare import SLOW_SECONDS, erased, live, register_rows
from demo.sockets import bytes_waiting

TITLE = "The allergy register receives each case once; the patient opts out"
SECONDS = 40.0


async def run(world: World, step: Step) -> None:
    """Kill in the middle, exactly once, opposition, erasure."""
    port = int(world.register.rpartition(":")[2])
    with step.line("is killed while it submits (kill -9)", f"transfer → {REGISTER_NAME}", "FHIR messaging") as facts:
        facts["bytesInFlight"] = await _in_flight(port)
        world.processes.signal("register", signal.SIGCONT)
        # The first message is the slow one: as soon as another is stored, that one has arrived unacknowledged.
        await _stored(world, 1)
        world.processes.signal("transfer", signal.SIGKILL)
        await asyncio.sleep(SLOW_SECONDS + 0.3)
        facts["storedAlready"] = len(live(await register_rows(world)))
    with step.line("starts again and finishes", f"transfer → {REGISTER_NAME}", "FHIR messaging") as facts:
        world.start_transfer()
        await world.processes.healthy("transfer", f"{world.url(TRANSFER_OFFSET)}/transfer/fhir/metadata")
        await _stored(world, len(REGIONS))
        await asyncio.sleep(1)  # a duplicate would come now
        rows = live(await register_rows(world))
        check(len(rows) == len(REGIONS), f"one record for each of {len(REGIONS)} cases, but {len(rows)}")
        check(len({each["record_key"] for each in rows}) == len(REGIONS), "each under a key of its own")
        check(all(each["deliveries_stored"] == 1 for each in rows), "each stored exactly once")
        attempts = [each["attempts"] for each in rows]
        check(max(attempts) >= 2, f"the one that was in flight arrived twice, but attempts were {attempts}")
        facts.update(records=len(rows), attempts=attempts, storedOnce=True)
    with step.line("sees the register and opts out", "Astrid → portal → consent", "JSON") as facts:
        [before] = [each for each in await world.patient.registers() if each["hsaId"] == REGISTER_HSA]
        check(before["records"] == len(REGIONS) and not before["optedOut"], f"the portal shows the records: {before}")
        await world.patient.give(OPT_OUT, REGISTER_HSA)
        facts["records"] = before["records"]
    with step.line("erases and confirms", f"transfer → {REGISTER_NAME}", "FHIR messaging") as facts:
        rows = await erased(world)
        check(all(each.get("content") is None for each in rows), "no content is left")
        for _ in range(int(SECONDS / 0.1)):
            [after] = [each for each in await world.patient.registers() if each["hsaId"] == REGISTER_HSA]
            if after["records"] == 0 and after["erasedAt"]:
                break
            await asyncio.sleep(0.1)
        check(after["records"] == 0 and after["erasedAt"] and after["optedOut"], f"the portal confirms it: {after}")
        facts.update(erased=len(rows), erasedAt=after["erasedAt"])


async def _stored(world: World, wanted: int) -> None:
    """Waits until the register holds so many records. Raises `Failed`."""
    for _ in range(int(SECONDS / 0.05)):
        if len(live(await register_rows(world))) >= wanted:
            return
        await asyncio.sleep(0.05)
    check(False, f"{wanted} records were not stored within {SECONDS:.0f} s")


async def _in_flight(port: int) -> int:
    """Waits until bytes lie unread at the frozen register; answers how many. Raises `Failed`."""
    for _ in range(int(SECONDS / 0.05)):
        waiting = bytes_waiting(port)
        if waiting is None:
            await asyncio.sleep(2 * SLOW_SECONDS)  # this system does not tell
            return 0
        if waiting:
            return waiting
        await asyncio.sleep(0.05)
    check(False, "the transfer sent nothing to the register")
    return 0
