# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The Swedish base and IHE mCSD examples go in as they are and are found again."""

import json
from pathlib import Path
from typing import Any

from tests.provider_catalog.conftest import Catalogue
from tests.support.callers import OPERATOR

SERVED = ("Organization", "Endpoint", "Location", "HealthcareService")

REFUSED: dict[str, str] = {}
"""Examples the catalogue does not take, by id, and why; none at present."""


def _examples(shared: Path) -> list[dict[str, Any]]:
    files = sorted([*shared.glob("directory/se-base/*.json"), *shared.glob("directory/mcsd/examples/*.json")])
    resources = [json.loads(file.read_text("utf-8")) for file in files]
    return [each for each in resources if each["resourceType"] in SERVED]


async def test_examples(catalogue: Catalogue, shared: Path) -> None:
    examples = _examples(shared)
    assert len(examples) == 15
    for example in examples:
        kind, resource_id = example["resourceType"], example["id"]
        status = 422 if resource_id in REFUSED else 201
        await catalogue.request("PUT", f"/{kind}/{resource_id}", OPERATOR, status, json=example)
    for example in examples:
        kind, resource_id = example["resourceType"], example["id"]
        if resource_id in REFUSED:
            continue
        stored = await catalogue.request("GET", f"/{kind}/{resource_id}")
        assert {**stored, "meta": None} == {**example, "meta": None}
        assert stored["meta"]["profile"] == example["meta"]["profile"]
        for identifier in example.get("identifier", []):
            query = "|".join([*([identifier["system"]] if "system" in identifier else []), identifier["value"]])
            assert resource_id in [each["id"] for each in await catalogue.search(kind, identifier=query)]
        if "name" in example:
            assert resource_id in [each["id"] for each in await catalogue.search(kind, name=example["name"])]
