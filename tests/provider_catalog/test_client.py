# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The catalogue as other services see it: over HTTP and in process it must be the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Caller, Context
from fhir_server.outcome import DeadlineExceeded, Forbidden, Invalid, Unavailable
from provider_catalog.client import CatalogClient, HttpCatalog, Organisation, Place, ProviderState, ResolvedEndpoint
from provider_catalog.local import LocalCatalog
from tests.provider_catalog.conftest import PROVIDER, SYSTEM, UNIT, Catalogue, endpoint, organization, unit
from tests.support.callers import DENTIST, OPERATOR, token_of

WEST = "SE0000000066-VG"


def context_of(caller: Caller = DENTIST, seconds: float = 10) -> Context:
    return Context(
        caller=caller,
        token=token_of(caller),
        now=datetime.now(UTC),
        deadline=asyncio.get_running_loop().time() + seconds,
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )


@pytest.fixture(params=["http", "local"])
async def client(request: Any, catalogue: Catalogue, engine: AsyncEngine) -> AsyncIterator[CatalogClient]:
    await catalogue.put(organization(PROVIDER, name="Region Norr"))
    await catalogue.put(unit(UNIT, PROVIDER, name="Medicinkliniken Norr"))
    await catalogue.put(endpoint(SYSTEM, UNIT, types=("diagnosis", "alert")))
    await catalogue.put(organization(WEST, name="Hälsocentralen Väst AB"), OPERATOR)
    await catalogue.put(organization("SE0000000055-REG", kind="register", name="Allergiregistret"), OPERATOR)
    await catalogue.put(organization("SE0000000077-VG", active=False), OPERATOR)
    await catalogue.put(unit("SE0000000088-VE1", "SE0000000088-VG"), OPERATOR)
    if request.param == "http":
        yield HttpCatalog(catalogue.http, "/provider-catalog/fhir")
    else:
        yield LocalCatalog(engine)


async def test_resolve(client: CatalogClient) -> None:
    found = await client.resolve(context_of(), UNIT, "alert")
    assert found == ResolvedEndpoint(
        "https://se0000000011-sys.example/fhir", "fhir-rest", SYSTEM, unit=UNIT, path=(UNIT,)
    )
    assert await client.resolve(context_of(), UNIT, "alert", SYSTEM) == found
    assert await client.resolve(context_of(), UNIT, "alert", "SE0000000011-SYS9") is None
    assert await client.resolve(context_of(), PROVIDER, "alert") is None


async def test_many_places_in_one_call(client: CatalogClient) -> None:
    here, system = Place(UNIT, "alert"), Place(UNIT, "diagnosis", SYSTEM)
    nowhere, unknown = Place(PROVIDER, "alert"), Place("SE0000000011-NONE", "alert")
    found = await client.resolve_many(context_of(), [here, nowhere, system, here, unknown])
    assert [each and each.logical_address for each in found] == [SYSTEM, None, SYSTEM, SYSTEM, None]
    assert found[0] == await client.resolve(context_of(), *here)
    assert await client.resolve_many(context_of(), []) == []
    many = await client.resolve_many(context_of(), [*[nowhere] * 1200, here])
    assert (many[:-1], many[-1]) == ([None] * 1200, found[0])
    with pytest.raises(Invalid, match="HSA-id"):
        await client.resolve_many(context_of(), [here, Place("unit", "alert")])


async def test_wrong_questions(client: CatalogClient) -> None:
    with pytest.raises(Invalid, match="HSA-id"):
        await client.resolve(context_of(), "unit", "alert")
    with pytest.raises(Invalid, match="information types"):
        await client.resolve(context_of(), UNIT, "moods")
    with pytest.raises(Invalid, match="HSA-id"):
        await client.organisations(context_of(), [UNIT, "unit"])


async def test_organisations(client: CatalogClient) -> None:
    found = await client.organisations(context_of(), [UNIT, PROVIDER, "SE0000000011-NONE", "SE0000000088-VE1"])
    assert found[UNIT] == Organisation(UNIT, "Medicinkliniken Norr", PROVIDER, "Region Norr", "care-unit")
    assert found[PROVIDER] == Organisation(PROVIDER, "Region Norr", PROVIDER, "Region Norr", "care-provider")
    assert found["SE0000000088-VE1"].provider_name == ""
    assert len(found) == 3
    assert await client.organisations(context_of(), []) == {}
    assert len(await client.organisations(context_of(), [UNIT, *(f"SE0000000011-{n}" for n in range(1500))])) == 1


async def test_coverage(client: CatalogClient) -> None:
    assert list(await client.providers(context_of())) == [
        ProviderState(PROVIDER, "Region Norr", connected=True, information_types=("alert", "diagnosis")),
        ProviderState(WEST, "Hälsocentralen Väst AB", connected=False),
    ]


async def test_a_suspended_endpoint_connects_nobody(catalogue: Catalogue, engine: AsyncEngine) -> None:
    await catalogue.put(organization(PROVIDER))
    await catalogue.put(endpoint(SYSTEM, PROVIDER, status="suspended"))
    (state,) = await LocalCatalog(engine).providers(context_of())
    assert (state.connected, state.information_types) == (False, ())


async def test_errors_come_back_as_themselves(catalogue: Catalogue) -> None:
    client = HttpCatalog(catalogue.http, "/provider-catalog/fhir/")
    with pytest.raises(Forbidden):
        await client.providers(context_of(Caller("x", DENTIST.kind, frozenset())))
    with pytest.raises(DeadlineExceeded):
        await client.providers(context_of(seconds=-1))


async def test_a_catalogue_that_does_not_answer() -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(Unavailable):
            await HttpCatalog(http, "http://127.0.0.1:9/provider-catalog/fhir").providers(context_of())
