# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Searches of one service that need the codes of another."""

from pathlib import Path
from typing import Any

from tests.support.house import running_house

KINDS = "http://example.org/kinds"
SYSTEM: dict[str, Any] = {
    "resourceType": "CodeSystem", "url": KINDS, "name": "Kinds", "status": "active", "content": "complete",
    "concept": [
        {"code": "care", "concept": [{"code": "hospital", "concept": [{"code": "clinic"}]}, {"code": "dental"}]},
        {"code": "school"},
    ],
}  # fmt: skip


async def test_codes_above_and_below_come_from_the_terminology_service(database_url: str, tmp_path: Path) -> None:
    async with running_house(database_url, tmp_path) as house:
        headers = await house.system("operator")
        made = await house.http.post("/terminology/fhir/CodeSystem", json=SYSTEM, headers=headers)
        assert made.status_code == 201, made.text
        for number, kind in enumerate(("hospital", "clinic", "dental", "school")):
            organization = {
                "resourceType": "Organization", "name": kind, "active": True,
                "identifier": [{"system": "urn:oid:1.2.752.29.4.19", "value": f"SE0000000011-VE{number}"}],
                "type": [{"coding": [{"system": KINDS, "code": kind}]}],
            }  # fmt: skip
            made = await house.http.post("/provider-catalog/fhir/Organization", json=organization, headers=headers)
            assert made.status_code == 201, made.text

        async def asked(query: str) -> Any:
            return await house.http.get(f"/provider-catalog/fhir/Organization?{query}", headers=headers)

        async def found(query: str) -> list[str]:
            bundle = (await asked(query)).json()
            return sorted(each["resource"]["name"] for each in bundle.get("entry", ()))

        assert await found(f"type:below={KINDS}|hospital") == ["clinic", "hospital"]
        assert await found(f"type:below={KINDS}|care") == ["clinic", "dental", "hospital"]
        assert await found(f"type:above={KINDS}|clinic") == ["clinic", "hospital"]
        assert await found(f"partof:missing=true&type:below={KINDS}|school") == ["school"]
        for query, status, code in (
            (f"type:below={KINDS}|unknown", 404, "unknown-code"),
            ("type:in=http://example.org/vs", 400, "unknown-modifier"),
            ("type:not-in=http://example.org/vs", 400, "unknown-modifier"),
        ):
            refused = await asked(query)
            issue = refused.json()["issue"][0]
            assert (refused.status_code, issue["details"]["coding"][0]["code"]) == (status, code)
            assert issue["diagnostics"]
