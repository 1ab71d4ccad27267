# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 2: an allergy is documented in each region, in that region's own format; each region tells the index."""

from demo.actors import REGIONS, SYD
from demo.scenario.documents import record_text
from demo.scenario.stage import Step, World, check
from demo.scenario.step0_prepare import settled

TITLE = "An allergy is documented in each region; each tells the index"
_FORMATS = {
    "norr": ("penicillin", "FHIR AllergyIntolerance", "application/fhir+json", "FHIR R4"),
    "mitt": ("latex", "openEHR composition", "application/json", "FHIR R4"),
    "syd": ("cefuroxime", "RIV-TA alertInformation", "text/xml; charset=utf-8", "RIV-TA SOAP Update"),
}


async def run(world: World, step: Step) -> None:
    """The index acknowledges each region; the patient sees three holders, each once."""
    for actor in REGIONS:
        substance, kind, media, protocol = _FORMATS[actor.name]
        with step.line(f"documents {substance} as {kind}", f"{actor.unit_name} → index", protocol) as facts:
            answer = await world.http.post(
                f"{world.source(actor.name)}/document",
                content=record_text(actor.name).encode(),
                headers={**world.own_staff(), "Content-Type": media},
            )
            check(answer.status_code in (200, 201), f"{answer.status_code}: {answer.text[:300]}")
            facts.update(created=answer.status_code == 201, toldAfterMs=await settled(world, actor.name))
    with step.line("sees who holds what", "Astrid → portal → index", "JSON") as facts:
        holders = await world.patient.holders()
        units = sorted(each["unit"] for each in holders)
        check(units == sorted(each.unit for each in REGIONS), f"three units, each once, but: {units}")
        for each in holders:
            # The engagement index's rows have no count: what came by `Update` shows type and recency only.
            expected = None if each["unit"] == SYD.unit else 1
            check(each["informationType"] == "alert" and each["items"] == expected, f"one alert, but: {each}")
        facts["holders"] = [each["unitName"] for each in holders]
