# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 6: a region that hangs or is gone costs no more than its deadline, and is named."""

import signal

from demo.actors import MITT
from demo.people import ASTRID
from demo.scenario import dentist
from demo.scenario.stage import Facts, Step, World, answered, check, resources
from demo.scenario.step0_prepare import settled
from demo.scenario.step4_consent import check_merged

TITLE = "One region is silent: the read answers in time and says so"
TOTAL_SECONDS = 5.0


async def _read_without(world: World, facts: Facts) -> None:
    answer, seconds = await dentist.read(world, ASTRID)
    bundle = answered(answer, 200, "the read")
    check(seconds < TOTAL_SECONDS, f"answered within {TOTAL_SECONDS} s, but took {seconds:.2f} s")
    check(len(resources(bundle, "AllergyIntolerance")) == 2, "the others' allergies are there")
    warnings = [each for each in dentist.issues(bundle) if each["severity"] == "warning"]
    silent = dentist.coded(warnings, "source-silent")
    check(len(silent) == 1 and silent[0]["code"] == "timeout", f"one source is told to be silent, but: {warnings}")
    check(MITT.unit_name in str(silent[0]), "and is named")
    facts.update(seconds=round(seconds, 3), allergies=2)


async def run(world: World, step: Step) -> None:
    """Mitt hangs, is killed, starts again."""
    with step.line(f"reads while {MITT.provider_name} hangs", "Anemonen → gateway", "FHIR R4") as facts:
        world.processes.signal(MITT.name, signal.SIGSTOP)
        try:
            await _read_without(world, facts)
        finally:
            world.processes.signal(MITT.name, signal.SIGCONT)
    with step.line(f"reads while {MITT.provider_name} is gone", "Anemonen → gateway", "FHIR R4") as facts:
        world.processes.signal(MITT.name, signal.SIGKILL)
        await _read_without(world, facts)
    with step.line(f"{MITT.provider_name} starts again", "Anemonen → gateway", "FHIR R4") as facts:
        world.start_region(MITT)
        await world.processes.healthy(MITT.name, f"{world.source(MITT.name)}/health")
        await settled(world, MITT.name)
        answer, _ = await dentist.read(world, ASTRID)
        check_merged(answered(answer, 200, "the read"), facts)
