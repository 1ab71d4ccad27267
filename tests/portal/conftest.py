# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The portal as it runs: all services in one process, an index entry about Astrid, a catalogue with names."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from demo.actors import ANEMONEN, INFORMATION_TYPES, NORR, ORGANISATION_KINDS, Actor
from identifiers import systems
from tests.support.house import HouseUnderTest, running_house

INDEX_ENTRY = "https://ndi.example/fhir/NamingSystem/index-entry"


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[HouseUnderTest]:
    async with running_house(database_url, tmp_path) as house:
        await register_actor(house, NORR)
        await register_actor(house, ANEMONEN)
        await register_entry(house, NORR)
        yield house


def hsa(value: str) -> dict[str, Any]:
    return {"identifier": {"system": systems.HSA_ID, "value": value}}


async def register_actor(house: HouseUnderTest, actor: Actor) -> None:
    """The care provider and its unit in the catalogue."""
    headers = await house.system(actor.client_id)
    for value, name, kind, part in (
        (actor.provider, actor.provider_name, "care-provider", None),
        (actor.unit, actor.unit_name, "care-unit", actor.provider),
    ):
        resource = {
            "resourceType": "Organization",
            "identifier": [{"system": systems.HSA_ID, "value": value}],
            "active": True,
            "type": [{"coding": [{"system": ORGANISATION_KINDS, "code": kind}]}],
            "name": name,
            **({"partOf": hsa(part)} if part else {}),
        }
        url = f"/provider-catalog/fhir/Organization?identifier={systems.HSA_ID}|{value}"
        answer = await house.http.put(url, json=resource, headers=headers)
        assert answer.status_code in (200, 201), answer.text


async def register_entry(house: HouseUnderTest, actor: Actor) -> None:
    """One alert entry about Astrid in the index."""
    resource = {
        "resourceType": "DocumentReference",
        "identifier": [{"system": INDEX_ENTRY, "value": "a1"}],
        "status": "current",
        "type": {"coding": [{"system": INFORMATION_TYPES, "code": "alert"}]},
        "subject": {"identifier": {"system": house.astrid.system, "value": house.astrid.value}},
        "custodian": hsa(actor.provider),
        "author": [hsa(actor.unit)],
        "date": "2026-01-15T12:00:00+01:00",
        "content": [{"attachment": {"contentType": "application/fhir+json"}}],
        "extension": [
            {
                "url": "https://ndi.example/fhir/StructureDefinition/source-system",
                "valueIdentifier": {"system": systems.HSA_ID, "value": actor.system},
            },
            {"url": "https://ndi.example/fhir/StructureDefinition/item-count", "valueUnsignedInt": 1},
        ],
    }
    answer = await house.http.put(
        f"/patient-index/fhir/DocumentReference?identifier={INDEX_ENTRY}|a1",
        json=resource,
        headers=await house.system(actor.client_id),
    )
    assert answer.status_code in (200, 201), answer.text
