# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 1: the regions have started and registered themselves; the catalogue knows where each is reached."""

from demo.actors import SOURCES
from demo.scenario.stage import FHIR_JSON, Step, World, answered, check, parameter, parts
from demo.scenario.step0_prepare import settled

TITLE = "Three regions and a clinic start and register with their endpoints"


async def run(world: World, step: Step) -> None:
    """Each source's unit is resolved to its own address and protocol."""
    for actor in SOURCES:
        with step.line(f"registers {actor.unit_name}", f"{actor.provider_name} → catalogue", "FHIR R4") as facts:
            await settled(world, actor.name)
            body = {
                "resourceType": "Parameters",
                "parameter": [
                    {"name": "unit", "valueString": actor.unit},
                    {"name": "informationType", "valueCode": "alert"},
                ],
            }
            answer = await world.http.post(
                f"{world.ndi}/provider-catalog/fhir/Endpoint/$resolve",
                json=body,
                headers={**await world.operator.headers(), "Content-Type": FHIR_JSON},
            )
            found = parameter(answered(answer, 200, "$resolve"), "endpoint")
            check(len(found) == 1, "the catalogue gives one endpoint")
            endpoint = parts(found[0])
            check(endpoint["address"] == world.source(actor.name) + actor.path, "the endpoint is the source's own")
            check(endpoint["connectionType"] == actor.protocol, f"the endpoint speaks {actor.protocol}")
            facts.update(address=endpoint["address"], connectionType=endpoint["connectionType"])
