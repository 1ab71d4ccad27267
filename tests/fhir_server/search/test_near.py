# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Location?near: https://hl7.org/fhir/R4/location.html#search, R4's one special parameter."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.fhir_server.search.library import Library, opened

PLACES = {  # degrees; the great circle from Stockholm to Uppsala is 64 km, to Gothenburg 397 km
    "stockholm": (59.3293, 18.0686),
    "uppsala": (59.8586, 17.6389),
    "gothenburg": (57.7089, 11.9746),
    "fiji-west": (-16.8, 179.9),
    "fiji-east": (-16.8, -179.9),
}


@pytest.fixture(scope="module")
async def places(lasting_engine: AsyncEngine) -> AsyncIterator[Library]:
    async with opened(lasting_engine, ["Location"]) as library:
        for name, (latitude, longitude) in PLACES.items():
            position = {"latitude": latitude, "longitude": longitude}
            await library.put({"resourceType": "Location", "id": name, "name": name, "position": position})
        await library.put({"resourceType": "Location", "id": "nowhere", "name": "Nowhere"})
        yield library


@pytest.mark.parametrize(
    ("near", "found"),
    [
        ("59.3293|18.0686|60|km", "stockholm"),
        ("59.3293|18.0686|65|km", "stockholm uppsala"),
        ("59.3293|18.0686|65000|m", "stockholm uppsala"),
        ("59.3293|18.0686|65", "stockholm uppsala"),
        ("59.3293|18.0686|39|[mi_i]", "stockholm"),
        ("59.3293|18.0686|398|km", "gothenburg stockholm uppsala"),
        ("59.3293|18.0686", "stockholm"),
        ("59.3293|18.0686|0|km", "stockholm"),
        ("-16.8|180|20|km", "fiji-east fiji-west"),
        ("59.86|17.64|1|km,57.71|11.97|1|km", "gothenburg uppsala"),
        ("0|0|1|km", ""),
    ],
)
async def test_places_within_a_distance(places: Library, near: str, found: str) -> None:
    assert sorted(await places.ids(f"Location?near={near}")) == found.split()


async def test_a_place_without_position_is_missing(places: Library) -> None:
    assert await places.ids("Location?near:missing=true") == ["nowhere"]
    assert sorted(await places.ids("Location?near:missing=false")) == sorted(PLACES)


@pytest.mark.parametrize("near", ["59", "59|x", "91|0", "0|181", "0|0|-1|km", "0|0|1|ell", "0|0|1|km|1", "0|0|1e9"])
async def test_what_is_no_place(places: Library, near: str) -> None:
    assert await places.refused(f"Location?near={near}") == "invalid-value"
