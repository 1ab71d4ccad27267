# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Value sets and hierarchies of codes in the sandbox: https://hl7.org/fhir/R4/search.html#token."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.support.sandbox import sandbox_serving

KINDS = "http://example.org/kinds"
OTHER = "http://example.org/other"
CONCEPTS = [
    {"code": "care", "concept": [{"code": "hospital", "concept": [{"code": "clinic"}]}, {"code": "dental"}]},
    {"code": "school"},
]
SETS: dict[str, dict[str, Any]] = {
    "listed": {"compose": {"include": [{"system": KINDS, "concept": [{"code": "dental"}, {"code": "school"}]}]}},
    "whole": {"compose": {"include": [{"system": KINDS}]}},
    "below": {
        "compose": {
            "include": [{"system": KINDS, "filter": [{"property": "concept", "op": "is-a", "value": "care"}]}],
            "exclude": [{"system": KINDS, "filter": [{"property": "concept", "op": "is-a", "value": "hospital"}]}],
        }
    },
    "strictly": {
        "compose": {
            "include": [{"system": KINDS, "filter": [{"property": "concept", "op": "descendent-of", "value": "care"}]}]
        }
    },
    "both": {"compose": {"include": [{"valueSet": [f"{KINDS}/listed|1", f"{KINDS}/below"]}]}},
    "expanded": {"expansion": {"timestamp": "2026-01-01", "contains": [{"system": KINDS, "code": "clinic"}]}},
    "circle": {"compose": {"include": [{"valueSet": [f"{KINDS}/circle"]}]}},
    "filtered": {
        "compose": {"include": [{"system": KINDS, "filter": [{"property": "a", "op": "regex", "value": "b"}]}]}
    },
    "foreign": {"compose": {"include": [{"system": OTHER}]}},
}


@pytest.fixture(scope="module")
async def http(server: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A sandbox with an organisation of each kind, one of no kind and one whose code names no system."""
    async with (
        sandbox_serving(server, ["Organization", "CodeSystem", "ValueSet", "Patient"]) as base,
        httpx2.AsyncClient(base_url=base + "/", timeout=20, trust_env=False) as client,
    ):
        system = {"resourceType": "CodeSystem", "url": KINDS, "status": "active", "content": "complete"}
        await put(client, {**system, "id": "kinds", "concept": CONCEPTS})
        for name, more in SETS.items():
            found = {
                "resourceType": "ValueSet",
                "id": name,
                "url": f"{KINDS}/{name}",
                "version": "1",
                "status": "draft",
            }
            await put(client, {"id": name, **found, **more})
        for kind in ("hospital", "clinic", "dental", "school"):
            coding = [{"system": KINDS, "code": kind}]
            await put(client, {"resourceType": "Organization", "id": kind, "name": kind, "type": [{"coding": coding}]})
        await put(client, {"resourceType": "Organization", "id": "none", "name": "none"})
        coding = [{"code": "dental"}]
        await put(client, {"resourceType": "Organization", "id": "bare", "name": "x", "type": [{"coding": coding}]})
        await put(client, {"resourceType": "Patient", "id": "p", "gender": "female"})
        yield client


async def put(client: httpx2.AsyncClient, resource: dict[str, Any]) -> None:
    answer = await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"Organization?type:in={KINDS}/listed", "dental school"),
        (f"Organization?type:in={KINDS}/listed|1", "dental school"),
        (f"Organization?type:not-in={KINDS}/listed", "bare clinic hospital none"),
        (f"Organization?type:in={KINDS}/whole", "clinic dental hospital school"),
        (f"Organization?type:in={KINDS}/below", "dental"),
        (f"Organization?type:in={KINDS}/strictly", "clinic dental hospital"),
        (f"Organization?type:in={KINDS}/both", "dental"),
        (f"Organization?type:in={KINDS}/expanded", "clinic"),
        (f"Organization?type:below={KINDS}|care", "clinic dental hospital"),
        (f"Organization?type:above={KINDS}|clinic", "clinic hospital"),
        ("Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "p"),
        ("Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", ""),
    ],
)
async def test_codes_of_sets_and_hierarchies_are_found(http: httpx2.AsyncClient, query: str, found: str) -> None:
    bundle = (await http.get(query)).json()
    assert sorted(each["resource"]["id"] for each in bundle.get("entry", ())) == found.split()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        (f"in={KINDS}/nowhere", 404, "unknown-value-set"),
        (f"in={KINDS}/listed|2", 404, "unknown-value-set"),
        (f"in={KINDS}/foreign", 404, "unknown-code-system"),
        (f"in={KINDS}/filtered", 400, "not-supported"),
        (f"in={KINDS}/circle", 400, "too-deep"),
        (f"below={KINDS}|nothing", 404, "unknown-code"),
        (f"above={KINDS}|nothing", 404, "unknown-code"),
        (f"below={OTHER}|x", 404, "unknown-code-system"),
    ],
)
async def test_what_is_not_known_here_is_refused(http: httpx2.AsyncClient, query: str, status: int, code: str) -> None:
    answer = await http.get(f"Organization?type:{query}")
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (status, code)


async def test_the_statement_claims_these_modifiers(http: httpx2.AsyncClient) -> None:
    told = (await http.get("metadata")).json()["rest"][0]["documentation"]
    assert "token :above :below :in :missing :not :not-in :of-type :text;" in told
