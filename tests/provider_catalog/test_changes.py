# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Entries that are patched, removed or sent together: each only by its own provider, and history stays."""

from typing import Any

import pytest

from identifiers import systems
from tests.provider_catalog.conftest import PROVIDER, SYSTEM, UNIT, Catalogue, endpoint, organization, unit
from tests.support.callers import DENTIST, OPERATOR, SOURCE_MITT, SOURCE_NORR, bearer

FOREIGN = "SE0000000022-VG"
PATCH = {"Content-Type": "application/json-patch+json"}
RENAMED = [{"op": "replace", "path": "/name", "value": "Taken"}]


async def send(catalogue: Catalogue, method: str, path: str, caller: Any, **options: Any) -> int:
    headers = {**bearer(caller), **options.pop("headers", {})}
    answer = await catalogue.http.request(method, catalogue.base + path, headers=headers, **options)
    return answer.status_code


def bundle(kind: str, *entries: tuple[str, str, dict[str, Any] | None]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"request": {"method": method, "url": url}, **({} if body is None else {"resource": body})}
            for method, url, body in entries
        ],
    }


@pytest.mark.parametrize("caller", [SOURCE_MITT, DENTIST])
async def test_nobody_patches_or_removes_another_s_entry(catalogue: Catalogue, caller: Any) -> None:
    stored = await catalogue.put(organization(PROVIDER))
    await catalogue.put(endpoint(SYSTEM, PROVIDER))
    path, query = f"/Organization/{stored['id']}", {"identifier": f"{systems.HSA_ID}|{PROVIDER}"}
    assert await send(catalogue, "DELETE", path, caller) == 403
    assert await send(catalogue, "DELETE", "/Organization", caller, params=query) == 403
    assert await send(catalogue, "PATCH", path, caller, json=RENAMED, headers=PATCH) == 403
    assert await send(catalogue, "PATCH", "/Organization", caller, params=query, json=RENAMED, headers=PATCH) == 403
    batch = bundle("batch", ("DELETE", path[1:], None))
    (entry,) = (await catalogue.request("POST", "", caller, json=batch))["entry"]
    assert entry["response"]["status"].startswith("403")
    assert (await catalogue.request("GET", path))["meta"]["versionId"] == "1"
    assert (await catalogue.resolve(PROVIDER))["logicalAddress"] == SYSTEM


async def test_a_patch_that_gives_an_entry_away_is_refused(catalogue: Catalogue) -> None:
    stored = await catalogue.put(organization(PROVIDER))
    away = [{"op": "replace", "path": "/identifier/0/value", "value": FOREIGN}]
    assert await send(catalogue, "PATCH", f"/Organization/{stored['id']}", SOURCE_NORR, json=away, headers=PATCH) == 403


async def test_a_patch_is_addressed_by_at_once(catalogue: Catalogue) -> None:
    await catalogue.put(organization(PROVIDER))
    stored = await catalogue.put(endpoint(SYSTEM, PROVIDER))
    suspended = [{"op": "replace", "path": "/status", "value": "suspended"}]
    assert (
        await send(catalogue, "PATCH", f"/Endpoint/{stored['id']}", SOURCE_NORR, json=suspended, headers=PATCH) == 200
    )
    assert await catalogue.resolve(PROVIDER) == "endpoint-suspended"


async def test_what_is_removed_is_not_addressed_and_its_history_stays(catalogue: Catalogue) -> None:
    above = await catalogue.put(organization(PROVIDER))
    await catalogue.put(unit(UNIT, PROVIDER))
    stored = await catalogue.put(endpoint(SYSTEM, PROVIDER))
    assert (await catalogue.resolve(UNIT))["path"] == [UNIT, PROVIDER]

    assert await send(catalogue, "DELETE", f"/Endpoint/{stored['id']}", SOURCE_NORR) == 204
    assert await catalogue.resolve(UNIT) == "no-route"
    assert await send(catalogue, "GET", f"/Endpoint/{stored['id']}", DENTIST) == 410
    assert await catalogue.search("Endpoint") == []
    history = await catalogue.request("GET", f"/Endpoint/{stored['id']}/_history")
    assert [each["request"]["method"] for each in history["entry"]] == ["DELETE", "PUT"]
    assert (await catalogue.request("GET", f"/Endpoint/{stored['id']}/_history/1"))["address"] == stored["address"]

    await catalogue.put(endpoint(SYSTEM, PROVIDER))
    assert await send(catalogue, "DELETE", f"/Organization/{above['id']}", SOURCE_NORR) == 204
    providers = await catalogue.operation("Organization/$providers", [])
    assert providers.get("parameter", []) == []
    told = await catalogue.request("GET", "/_history", OPERATOR)
    assert [each["request"]["method"] for each in told["entry"]].count("DELETE") == 2
    assert await send(catalogue, "DELETE", f"/Organization/{above['id']}", SOURCE_MITT) == 403

    await catalogue.put(organization(PROVIDER))
    assert (await catalogue.resolve(UNIT))["path"] == [UNIT, PROVIDER]


async def test_removing_what_is_not_there_changes_nothing(catalogue: Catalogue) -> None:
    assert await send(catalogue, "DELETE", "/Organization/unknown", SOURCE_NORR) == 204
    query = {"identifier": f"{systems.HSA_ID}|{PROVIDER}"}
    assert await send(catalogue, "DELETE", "/Organization", SOURCE_NORR, params=query) == 204
    assert await send(catalogue, "PATCH", "/Organization/unknown", SOURCE_NORR, json=RENAMED, headers=PATCH) == 404


async def test_a_transaction_registers_all_or_nothing(catalogue: Catalogue) -> None:
    own = [("POST", "Organization", organization(PROVIDER)), ("POST", "Endpoint", endpoint(SYSTEM, PROVIDER))]
    foreign = ("POST", "Organization", organization(FOREIGN))
    outcome = await catalogue.request("POST", "", SOURCE_NORR, 403, json=bundle("transaction", *own, foreign))
    assert outcome["issue"][0]["diagnostics"].startswith("Bundle.entry[2]")
    assert await catalogue.search("Organization") == []
    await catalogue.request("POST", "", SOURCE_NORR, json=bundle("transaction", *own))
    assert (await catalogue.resolve(PROVIDER))["logicalAddress"] == SYSTEM
