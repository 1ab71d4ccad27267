# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Step 4: with the patient's consent the dentist sees three holders and reads one merged Bundle."""

from typing import Any

from demo.actors import ANEMONEN, HSA_SYSTEM, REGIONS, SYD
from demo.people import ASTRID, BERTIL
from demo.scenario import dentist
from demo.scenario.portal_api import CONSENT
from demo.scenario.stage import Facts, Step, World, answered, check, parameter, parts, resources, value

TITLE = "The patient consents: holders are listed and the allergies read"


def units_of(bundle: dict[str, Any]) -> list[str]:
    """The care unit (author) of each Provenance."""
    return sorted(
        agent["who"]["identifier"]["value"]
        for each in resources(bundle, "Provenance")
        for agent in each["agent"]
        if agent["who"].get("identifier", {}).get("system") == HSA_SYSTEM
        and any(coding.get("code") == "author" for coding in agent.get("type", {}).get("coding", ()))
    )


def check_merged(bundle: dict[str, Any], facts: Facts) -> None:
    """Three allergies of one person, a Provenance for each that names its source, and the losses."""
    allergies = resources(bundle, "AllergyIntolerance")
    check(len(allergies) == len(REGIONS), f"one AllergyIntolerance of each region, but {len(allergies)}")
    numbers = {each["patient"]["identifier"]["value"] for each in allergies}
    check(numbers == {ASTRID.number}, "all are about Astrid")
    sources = {each["meta"]["source"].rpartition("#")[2] for each in allergies}
    check(sources == {each.system for each in REGIONS}, f"meta.source names each source system, but: {sources}")
    check(units_of(bundle) == sorted(each.unit for each in REGIONS), "a Provenance for each names its unit")
    targets = [each["reference"] for one in resources(bundle, "Provenance") for each in one["target"]]
    matches = [each["fullUrl"] for each in bundle["entry"] if each["search"]["mode"] == "match"]
    check(len(targets) == len(set(targets)) and set(matches) <= set(targets), "each record has one Provenance")
    text = str(allergies).lower()
    check(all(each in text for each in ("penicillin", "latex", "cefuroxim")), "the three substances are there")
    by_source = {each["meta"]["source"].rpartition("#")[2]: each for each in allergies}
    check(by_source["SE0000000011-SYS"]["criticality"] == "high", "norr's criticality is kept")
    check(by_source["SE0000000022-SYS"]["criticality"] == "high", "mitt's criticality is kept")
    certainty = by_source["SE0000000033-SYS"]["verificationStatus"]["coding"][0]["code"]
    check(certainty == "presumed", f"syd's certainty is translated by the loaded map, but is {certainty}")
    losses = dentist.coded(dentist.issues(bundle), "mapping-loss")
    lost: dict[str, list[str]] = {}
    for region in REGIONS:
        lost[region.name] = [each["details"]["text"] for each in losses if region.unit_name in each["details"]["text"]]
        check(lost[region.name] or region.protocol == "fhir-rest", f"what {region.unit_name} lost in mapping is told")
    facts.update(allergies=len(allergies), provenances=len(resources(bundle, "Provenance")), losses=lost)


async def run(world: World, step: Step) -> None:
    """Consent, list, read; another person stays closed."""
    with step.line("consents to the clinic", "Astrid → portal → consent", "JSON") as facts:
        given = await world.patient.give(CONSENT, ANEMONEN.provider)
        check(given["active"], "the consent is in force")
        facts["consent"] = given["id"]
    with step.line("asks who holds what", "Anemonen → index", "FHIR operation") as facts:
        located = answered(await dentist.locate(world, ASTRID), 200, "$locate")
        entries = [parts(each) for each in parameter(located, "entry")]
        check(
            sorted(each["unit"] for each in entries) == sorted(each.unit for each in REGIONS),
            "three holders, once each",
        )
        for each in entries:
            check(each["informationType"] == "alert" and each["mostRecent"], f"type and recency, but: {each}")
            # The engagement index's rows have no count.
            check(each.get("items") == (None if each["unit"] == SYD.unit else 1), f"the count, but: {each}")
        check(value(located, "blockedExist") is False, "nothing is blocked")
        facts.update(holders=[each["unitName"] for each in entries], law=value(located, "law"))
    with step.line("reads", "Anemonen → gateway → FHIR, openEHR, RIV-TA", "FHIR R4") as facts:
        answer, seconds = await dentist.read(world, ASTRID)
        check_merged(answered(answer, 200, "the read"), facts)
        facts["seconds"] = round(seconds, 3)
    with step.line("another person stays closed", "Anemonen → index", "FHIR operation"):
        other = answered(await dentist.locate(world, BERTIL), 200, "$locate")
        check(parameter(other, "entry") == [], "nothing about Bertil")
