# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 3: without consent the dentist learns that unblocked data exist, yes or no, and nothing more (SVOD 2:4)."""

from demo.actors import NOT_CONNECTED_NAME, REGIONS, SOURCES
from demo.people import ASTRID, DISA
from demo.scenario import dentist
from demo.scenario.stage import Step, World, answered, check, parameter, parts, value
from demo.tokens import BrowserLogin

TITLE = "A dentist outside the public platforms asks without consent"
SCOPE = "user/*.cruds"


async def run(world: World, step: Step) -> None:
    """Login, care relation, existence, coverage; and reading is refused."""
    with step.line("logs in", "Disa → authorization server", "OAuth 2 + PKCE"):
        login = BrowserLogin(
            world.http, world.ndi, "anemonen-ehr", world.data / "keys" / "anemonen-ehr.json",
            world.url(SOURCES[-1].port_offset) + "/callback",
        )  # fmt: skip
        world.dentist = await login.token(DISA.login, SCOPE)
    with step.line("states a care relation", "Anemonen → consent", "FHIR operation") as facts:
        stated = await dentist.state_care_relation(world, ASTRID, "Tandextraktion i bedövning")
        facts["until"] = value(answered(stated, 200, "$state-care-relation"), "until")
        check(facts["until"], "the care relation has an end")
    with step.line("asks who holds what", "Anemonen → index", "FHIR operation") as facts:
        answer = await dentist.locate(world, ASTRID)
        located = answered(answer, 200, "$locate")
        check(value(located, "unblockedExist") is True, "unblocked data exist")
        check(value(located, "reason") == "NO_CONSENT", f"the reason is NO_CONSENT, not {value(located, 'reason')}")
        check(parameter(located, "entry") == [], "no entry without consent")
        told = [each for region in REGIONS for each in (region.provider, region.unit, region.provider_name,
                                                        region.unit_name, region.system)]  # fmt: skip
        hidden = [each for each in (*told, '"alert"', "valueDateTime") if each in answer.text]
        check(not hidden, f"no holder, type or date in the answer, but: {hidden}")
        coverage = parts(parameter(located, "coverage")[0])
        check(set(coverage) <= {"connected", "notConnected", "notConnectedName"}, "coverage tells nothing of her")
        check(coverage["connected"] >= len(SOURCES), "the connected care providers are counted")
        names = [each["valueString"] for each in parameter(located, "coverage")[0]["part"]
                 if each["name"] == "notConnectedName"]  # fmt: skip
        check(NOT_CONNECTED_NAME in names, "a care provider that is not connected is named")
        facts.update(unblockedExist=True, connected=coverage["connected"], notConnected=names,
                     law=value(located, "law"))  # fmt: skip
    with step.line("tries to read", "Anemonen → gateway", "FHIR R4") as facts:
        refused, _ = await dentist.read(world, ASTRID)
        outcome = answered(refused, 403, "the read")
        check(outcome["resourceType"] == "OperationOutcome", "the refusal is an OperationOutcome")
        check(not [each for each in told if each in refused.text], "the refusal names no holder")
        facts["reason"] = outcome["issue"][0]["details"]["coding"][0]["code"]
