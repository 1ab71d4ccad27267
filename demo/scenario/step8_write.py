# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 8: the dentist documents a reaction through the gateway: stored at her own clinic, in the index at once."""

import asyncio

from demo.actors import ANEMONEN, REGIONS
from demo.people import ASTRID
from demo.scenario import dentist
from demo.scenario.documents import OBSERVATION_TEXT, observation
from demo.scenario.stage import FHIR_JSON, Step, World, answered, check, parameter, parts, resources

TITLE = "The dentist documents a reaction; the index knows at once"
AT_ONCE_SECONDS = 2.0


async def run(world: World, step: Step) -> None:
    """Create, find at the clinic, find in the index."""
    with step.line("documents a reaction", "Anemonen → gateway → its own records", "FHIR R4") as facts:
        answer = await world.http.post(
            f"{world.ndi}/gateway/fhir/AllergyIntolerance",
            json=observation(active=True),
            headers={**world.as_dentist(), "Content-Type": FHIR_JSON},
        )
        created = answered(answer, 201, "the create")
        check(answer.headers.get("location"), "a Location is given")
        check(OBSERVATION_TEXT in str(created), "the resource comes back")
        facts["location"] = answer.headers["location"]
    with step.line("is in the index at once", "Anemonen → index", "FHIR operation") as facts:
        loop = asyncio.get_running_loop()
        begin, entries = loop.time(), []
        while loop.time() - begin < AT_ONCE_SECONDS:
            located = answered(await dentist.locate(world, ASTRID), 200, "$locate")
            entries = [parts(each) for each in parameter(located, "entry")]
            if any(each["unit"] == ANEMONEN.unit for each in entries):
                break
            await asyncio.sleep(0.02)
        units = sorted(each["unit"] for each in entries)
        check(units == sorted(each.unit for each in (*REGIONS, ANEMONEN)), f"four holders, once each, but: {units}")
        facts["milliseconds"] = round((loop.time() - begin) * 1000)
    with step.line("is stored at the clinic", "Anemonen → its own records", "FHIR R4") as facts:
        found = answered(
            await world.http.post(
                f"{world.source('anemonen')}/fhir/AllergyIntolerance/_search",
                data={"patient.identifier": ASTRID.identifier},
                headers=world.as_dentist(),
            ),
            200,
            "the clinic's own search",
        )
        own = resources(found, "AllergyIntolerance")
        check(len(own) == 1 and OBSERVATION_TEXT in str(own[0]), f"one record at the clinic, but {len(own)}")
        facts["version"] = own[0]["meta"]["versionId"]
