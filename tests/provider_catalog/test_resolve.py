# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$resolve: a unit's own endpoint, else its provider's; and what stops the search."""

from typing import Any

import pytest

from tests.provider_catalog.conftest import (
    PROVIDER,
    SYSTEM,
    UNIT,
    Catalogue,
    answers,
    endpoint,
    hsa,
    organization,
    unit,
)
from tests.support.callers import DENTIST, SOURCE_NORR

OTHER = "SE0000000011-SYS2"


async def test_the_providers_endpoint_answers_for_its_unit(catalogue: Catalogue) -> None:
    await catalogue.put(organization(PROVIDER))
    await catalogue.put(unit(UNIT, PROVIDER))
    await catalogue.put(endpoint(SYSTEM, PROVIDER))
    assert await catalogue.resolve(UNIT, caller=DENTIST) == {
        "address": "https://se0000000011-sys.example/fhir",
        "connectionType": "fhir-rest",
        "logicalAddress": SYSTEM,
        "unit": PROVIDER,
        "path": [UNIT, PROVIDER],
    }


async def test_the_units_own_endpoint_comes_first(catalogue: Catalogue) -> None:
    await catalogue.put(organization(PROVIDER))
    await catalogue.put(unit(UNIT, PROVIDER))
    await catalogue.put(endpoint(SYSTEM, PROVIDER, types=("alert", "diagnosis")))
    await catalogue.put(endpoint(OTHER, UNIT))
    assert (await catalogue.resolve(UNIT))["logicalAddress"] == OTHER
    assert (await catalogue.resolve(UNIT, "diagnosis"))["logicalAddress"] == SYSTEM
    assert await catalogue.resolve(UNIT, "imaging") == "no-route"


async def test_entries_may_arrive_in_any_order(catalogue: Catalogue) -> None:
    ward = "SE0000000011-WARD"
    await catalogue.put(endpoint(SYSTEM, PROVIDER))
    await catalogue.put(unit(ward, UNIT))
    assert await catalogue.resolve(ward) == "no-route"
    await catalogue.put(unit(UNIT, PROVIDER))
    assert (await catalogue.resolve(ward))["path"] == [ward, UNIT, PROVIDER]
    await catalogue.put(organization(PROVIDER))
    assert (await catalogue.resolve(ward))["path"] == [ward, UNIT, PROVIDER]


async def test_a_moved_unit_takes_what_is_below_along(catalogue: Catalogue) -> None:
    ward, clinic = "SE0000000011-WARD", "SE0000000011-VE2"
    await catalogue.put(organization(PROVIDER))
    for each in (unit(UNIT, PROVIDER), unit(clinic, PROVIDER), unit(ward, UNIT)):
        await catalogue.put(each)
    await catalogue.put(endpoint(SYSTEM, clinic))
    assert await catalogue.resolve(ward) == "no-route"
    await catalogue.put(unit(UNIT, clinic))
    assert (await catalogue.resolve(ward))["path"] == [ward, UNIT, clinic]


async def test_the_way_ends_at_the_care_provider(catalogue: Catalogue) -> None:
    group = "SE0000000011-GROUP"
    await catalogue.put(organization(group))
    await catalogue.put(organization(PROVIDER, partOf={"identifier": hsa(group)}))
    await catalogue.put(unit(UNIT, PROVIDER))
    await catalogue.put(endpoint(SYSTEM, group))
    assert await catalogue.resolve(UNIT) == "no-route"


async def test_a_ring_is_refused_and_nothing_stored(catalogue: Catalogue) -> None:
    clinic = "SE0000000011-VE2"
    await catalogue.put(unit(UNIT, clinic))
    outcome = await catalogue.put(unit(clinic, UNIT), status=422)
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "ring"
    assert await catalogue.search("Organization", identifier=clinic) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "suspended"}, "endpoint-suspended"),
        ({"status": "error"}, "endpoint-suspended"),
        ({"status": "off"}, "provider"),
        ({"status": "test"}, "provider"),
        ({"period": {"end": "2020-12"}}, "provider"),
        ({"period": {"start": "2999-01-01T00:00:00+01:00"}}, "provider"),
        ({"period": {"start": "2020", "end": "2998-12-31"}}, "own"),
        ({"period": {"start": "2020-01-01", "end": "2998-12-31T23:59:59Z"}}, "own"),
    ],
)
async def test_status_and_period(catalogue: Catalogue, change: dict[str, Any], expected: str) -> None:
    """A suspended endpoint must not fall through: the request would go to another system."""
    await catalogue.put(unit(UNIT, PROVIDER))
    await catalogue.put(endpoint(SYSTEM, PROVIDER))
    await catalogue.put(endpoint(OTHER, UNIT, **change))
    found = await catalogue.resolve(UNIT)
    assert (
        found if isinstance(found, str) else {SYSTEM: "provider", OTHER: "own"}[found["logicalAddress"]]
    ) == expected


async def test_the_source_system_decides_between_two(catalogue: Catalogue) -> None:
    await catalogue.put(endpoint(SYSTEM, UNIT))
    await catalogue.put(endpoint(OTHER, UNIT))
    assert await catalogue.resolve(UNIT) == "ambiguous"
    assert (await catalogue.resolve(UNIT, sourceSystem=OTHER.lower()))["logicalAddress"] == OTHER
    assert await catalogue.resolve(UNIT, sourceSystem="SE0000000011-SYS3") == "no-route"


async def test_fhir_is_preferred_where_a_unit_offers_several(catalogue: Catalogue) -> None:
    soap = {**endpoint(OTHER, UNIT)["connectionType"], "code": "rivta-soap"}
    await catalogue.put(endpoint(OTHER, UNIT, connectionType=soap))
    assert (await catalogue.resolve(UNIT))["connectionType"] == "rivta-soap"
    await catalogue.put(endpoint(SYSTEM, UNIT))
    assert (await catalogue.resolve(UNIT))["connectionType"] == "fhir-rest"


async def test_an_updated_endpoint_replaces_its_routes(catalogue: Catalogue) -> None:
    await catalogue.put(endpoint(SYSTEM, UNIT, types=("alert", "diagnosis")))
    await catalogue.put(endpoint(SYSTEM, UNIT, types=("diagnosis", "diagnosis"), address="http://10.0.0.1:8080/x"))
    assert await catalogue.resolve(UNIT) == "no-route"
    assert (await catalogue.resolve(UNIT, "diagnosis"))["address"] == "http://10.0.0.1:8080/x"


async def test_an_organisation_that_changes_its_hsa_id(catalogue: Catalogue) -> None:
    ward, new = "SE0000000011-WARD", "SE0000000011-VE9"
    await catalogue.put(organization(PROVIDER))
    stored = await catalogue.put(unit(UNIT, PROVIDER))
    await catalogue.put(unit(ward, UNIT))
    await catalogue.put(endpoint(SYSTEM, PROVIDER))
    await catalogue.request(
        "PUT", f"/Organization/{stored['id']}", SOURCE_NORR, json={**unit(new, PROVIDER), "id": stored["id"]}
    )
    assert (await catalogue.resolve(new))["path"] == [new, PROVIDER]
    assert await catalogue.resolve(ward) == "no-route"


async def test_batch(catalogue: Catalogue) -> None:
    await catalogue.put(endpoint(SYSTEM, UNIT))

    def query(hsa_id: str) -> dict[str, Any]:
        parts = [{"name": "unit", "valueString": hsa_id}, {"name": "informationType", "valueCode": "alert"}]
        return {"name": "query", "part": parts}

    answer = await catalogue.operation("Endpoint/$resolve", [query(UNIT), query(PROVIDER), query(UNIT)])
    first, second, third = answers(answer)
    assert (first["logicalAddress"], second, third) == (SYSTEM, "no-route", first)
    assert [each["part"][0]["valueString"] for each in answer["parameter"]] == [UNIT, PROVIDER, UNIT]
    outcome = await catalogue.operation("Endpoint/$resolve", [query(UNIT)] * 501, status=400)
    assert "500" in outcome["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ([], "informationType is required"),
        ([{"name": "informationType", "valueCode": "alert"}], "unit is required"),
        ([{"name": "informationType", "valueCode": "no-such"}, {"name": "unit", "valueString": UNIT}], "alert"),
        ([{"name": "informationType", "valueCode": "alert"}, {"name": "unit", "valueString": "SE1"}], "HSA-id"),
        ([{"name": "informationType", "valueCode": "alert"}, {"name": "unit", "valueInteger": 1}], "unit must be"),
        ([{"name": "query"}], "parts"),
        ([{"name": "query", "part": [{"name": "unit", "valueString": UNIT}]}], "informationType is required"),
    ],
)
async def test_what_is_refused(catalogue: Catalogue, parameters: list[dict[str, Any]], text: str) -> None:
    outcome = await catalogue.operation("Endpoint/$resolve", parameters, status=400)
    assert outcome["resourceType"] == "OperationOutcome"
    assert text in outcome["issue"][0]["diagnostics"]
