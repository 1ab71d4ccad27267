# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 5: a block works from the next call; that blocked information exists is told in SE mode, not in EHDS mode."""

from demo.actors import SYD
from demo.people import ASTRID
from demo.scenario import dentist
from demo.scenario.portal_api import OUTER_BLOCK
from demo.scenario.stage import EHDS_OFFSET, Step, World, answered, check, parameter, resources, value
from demo.scenario.step4_consent import units_of

TITLE = "The patient blocks one unit: the next read lacks it"
BLOCKED = "blocked-information-exists"


async def run(world: World, step: Step) -> None:
    """Block, read, read in EHDS mode, lift, read."""
    with step.line(f"blocks {SYD.unit_name}", "Astrid → portal → consent", "JSON") as facts:
        block = await world.patient.give(OUTER_BLOCK, SYD.unit)
        facts["block"] = block["id"]
    with step.line("reads at once", "Anemonen → gateway", "FHIR R4") as facts:
        answer, _ = await dentist.read(world, ASTRID)
        bundle = answered(answer, 200, "the read")
        check(SYD.unit not in units_of(bundle), "nothing of the blocked unit")
        check(len(resources(bundle, "AllergyIntolerance")) == 2, "two allergies are left")
        told = dentist.coded(dentist.issues(bundle), BLOCKED)
        check(len(told) == 1, "it is told that blocked information exists")
        named = [each for each in (SYD.unit, SYD.unit_name, SYD.provider, SYD.provider_name, SYD.system, "cefuroxim")
                 if each in answer.text]  # fmt: skip
        check(not named, f"and nobody is named, but: {named}")
        located = answered(await dentist.locate(world, ASTRID), 200, "$locate")
        check(value(located, "blockedExist") is True and len(parameter(located, "entry")) == 2, "the index agrees")
        facts["allergies"] = 2
    with step.line("reads in EHDS mode", "Anemonen → gateway (EHDS)", "FHIR R4") as facts:
        other = world.url(EHDS_OFFSET)
        await world.processes.healthy("ehds", f"{other}/gateway/fhir/metadata")
        answer, _ = await dentist.read(world, ASTRID, base=other)
        bundle = answered(answer, 200, "the read in EHDS mode")
        check(len(resources(bundle, "AllergyIntolerance")) == 2, "two allergies")
        check("blocked" not in answer.text.lower() and "spärr" not in answer.text.lower(), "not a word of blocks")
        located = answered(await dentist.locate(world, ASTRID, base=other), 200, "$locate in EHDS mode")
        check(value(located, "blockedExist") is None and value(located, "mode") == "EHDS", "nor from the index")
        facts["mode"] = "EHDS"
    with step.line("lifts the block", "Astrid → portal → consent", "JSON") as facts:
        await world.patient.withdraw(block["id"])
        answer, _ = await dentist.read(world, ASTRID)
        check(SYD.unit in units_of(answered(answer, 200, "the read")), "the unit is back in the next read")
        facts["allergies"] = len(resources(answer.json(), "AllergyIntolerance"))
