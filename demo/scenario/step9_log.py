# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 9: the patient sees each read: who, where, why, when (PDL 5:5, 8:5)."""

from datetime import datetime

from demo.actors import ANEMONEN, REGIONS
from demo.people import DISA
from demo.scenario.stage import Step, World, check

TITLE = "The patient sees each access in her log"


async def run(world: World, step: Step) -> None:
    """Every read of this run is there, with who, where, why and when; refused reads too."""
    with step.line("reads her access log", "Astrid → portal → audit", "JSON") as facts:
        began = datetime.fromisoformat(world.began)
        rows = [
            each for each in await world.patient.log(world.began) if datetime.fromisoformat(each["recorded"]) >= began
        ]
        reads = [each for each in rows if each["operation"] == "read" and each["who"] == DISA.name]
        done = [each for each in reads if each["outcome"] == "success"]
        check(len(done) == world.reads, f"each of {world.reads} reads is logged once, but {len(done)} are")
        for each in done:
            check(each["organisation"] == ANEMONEN.provider_name and each["unit"] == ANEMONEN.unit_name, "where")
            check(each["purpose"] == "TREAT" and each["ground"] == "consent" and each["law"], f"why: {each}")
        check(any(each["outcome"] == "denied" for each in reads), "the refused read is logged, too")
        check({unit for each in done for unit in each["holders"]} == {each.unit for each in REGIONS}, "what was read")
        kinds = {each["operation"] for each in rows}
        check({"locate", "read"} <= kinds, f"asking the index is logged, too: {kinds}")
        facts.update(rows=len(rows), reads=len(done), denied=len(reads) - len(done), operations=sorted(kinds))
