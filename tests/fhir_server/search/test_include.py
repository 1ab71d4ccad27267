# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""_include and _revinclude: https://hl7.org/fhir/R4/search.html#include."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.limits import SearchLimits
from tests.fhir_server.search.holdings import observation
from tests.fhir_server.search.library import Library, opened
from tests.support.callers import bearer, source

pytestmark = pytest.mark.servers


async def test_include_brings_what_is_referred_to_once(filled: Library) -> None:
    query = "Observation?_include=Observation:patient&_include:iterate=Patient:organization"
    assert sorted(await filled.ids(query, mode="include")) == ["o2", "p1", "p2"]
    once = "Observation?_include=Observation:patient&_include=Patient:organization"
    assert sorted(await filled.ids(once, mode="include")) == ["p1", "p2"]
    assert await filled.ids("Observation?_include=Observation:subject:Group", mode="include") == []


async def test_include_iterates_through_a_hierarchy(filled: Library) -> None:
    assert await filled.ids("Organization?_id=o3&_include=Organization:partof", mode="include") == ["o2"]
    query = "Organization?_id=o3&_include:iterate=Organization:partof"
    assert sorted(await filled.ids(query, mode="include")) == ["o1", "o2"]


async def test_revinclude_brings_what_refers_here(filled: Library) -> None:
    query = "Patient?_id=p1&_revinclude=Observation:patient&_revinclude=RiskAssessment:patient"
    assert sorted(await filled.ids(query, mode="include")) == ["b1", "r1", "r2"]


async def test_an_include_that_is_cut_short_says_so(engine: AsyncEngine) -> None:
    async with opened(engine, limits=SearchLimits(included=3, rounds=2)) as library:
        await _check_cut_short(library)


async def _check_cut_short(library: Library) -> None:
    await library.load([{"resourceType": "Patient", "id": "p1"}])
    await library.load(observation(f"o{number}", subject={"reference": "Patient/p1"}) for number in range(5))
    bundle = await library.search("Patient?_revinclude=Observation:patient")
    assert [each["search"]["mode"] for each in bundle["entry"]] == ["match", *["include"] * 3, "outcome"]
    assert bundle["entry"][-1]["resource"]["issue"][0]["code"] == "incomplete"
    ring = [
        {"resourceType": "Organization", "id": f"r{number}", "partOf": {"reference": f"Organization/r{number + 1}"}}
        for number in range(6)
    ]
    await library.load(ring)
    bundle = await library.search("Organization?_id=r0&_include:iterate=Organization:partof")
    assert bundle["entry"][-1]["search"]["mode"] == "outcome"


async def test_a_type_that_the_caller_may_not_search_is_no_way(filled: Library) -> None:
    caller = source("SE0000000011-VG")  # holds Organization and Location, not Patient
    answer = await filled.http.get(
        "/library/fhir/Organization?_has:Patient:organization:gender=female", headers=bearer(caller)
    )
    assert answer.status_code == 400
    assert await filled.ids("Organization?_id=o3&_include=Organization:partof", caller, mode="include") == ["o2"]
