# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The whole house in one process: every address asks who calls, and every process knows its health."""

from pathlib import Path

from pydantic import SecretStr

from fhir_server.limits import SearchLimits
from ndi.assembly import _Builder, openapi
from ndi.keys import KeyFolder
from ndi.settings import Settings
from tests.support.house import running_house

SERVICES = (
    "oauth2", "audit", "patient-index", "provider-catalog", "consent", "terminology", "gateway", "transfer",
)  # fmt: skip
PUBLIC = {
    "/oauth2/token",
    "/oauth2/authorize",
    "/oauth2/jwks",
    *(f"/{name}/fhir/metadata" for name in SERVICES),
    *(f"/{name}/fhir/.well-known/smart-configuration" for name in SERVICES),
}


def test_only_these_addresses_are_public() -> None:
    public = {
        path
        for description in openapi().values()
        for path, methods in description["paths"].items()
        for operation in methods.values()
        if operation["x-access"] == "public"
    }
    assert public == PUBLIC


async def test_every_other_address_refuses_who_brings_no_token(database_url: str, tmp_path: Path) -> None:
    async with running_house(database_url, tmp_path) as house:
        asked = 0
        for description in openapi().values():
            for path, methods in description["paths"].items():
                for method in set(methods) if path not in PUBLIC else ():
                    url = path.replace("{id}", "1").replace("{version}", "1")
                    for headers in ({}, {"Authorization": "Bearer nonsense"}):
                        answer = await house.http.request(method.upper(), url, headers=headers)
                        assert answer.status_code == 401, (method, path, answer.status_code)
                        assert "WWW-Authenticate" in answer.headers
                        asked += 1
        assert asked > 60


async def test_tokens_are_found_from_every_fhir_base(database_url: str, tmp_path: Path) -> None:
    async with running_house(database_url, tmp_path) as house:
        root = (await house.http.get("/.well-known/smart-configuration")).json()
        assert root["token_endpoint"] == f"{house.base}/oauth2/token"
        for name in SERVICES:
            answer = await house.http.get(f"/{name}/fhir/.well-known/smart-configuration")
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == root


async def test_health_and_metrics(database_url: str, tmp_path: Path) -> None:
    async with running_house(database_url, tmp_path) as house:
        health = (await house.http.get("/health")).json()
        assert health["status"] == "ok"
        assert "/consent" in health["services"]
        await house.http.get("/consent/fhir/metadata")
        metrics = (await house.http.get("/metrics")).text
        assert 'ndi_requests_total{method="GET",route="/fhir/metadata",service="consent",status="200"}' in metrics


async def test_a_part_of_the_house_is_served_alone(database_url: str, tmp_path: Path) -> None:
    async with running_house(database_url, tmp_path, services=["provider_catalog", "security"]) as house:
        assert (await house.http.get("/provider-catalog/fhir/metadata")).status_code == 200
        assert (await house.http.get("/consent/fhir/metadata")).status_code == 404


async def test_every_limit_of_the_kernel_is_a_setting(tmp_path: Path, database_url: str) -> None:
    settings = Settings(
        data=tmp_path, database_url=SecretStr(database_url), max_body=2000, max_depth=9, max_entries=3, query_seconds=7,
        search_parameters=1, search_values=2, search_ranges=3, search_chain=4, search_includes=5, search_included=6,
    )  # fmt: skip
    KeyFolder(settings.keys_folder).prepare()
    kernel = _Builder(settings, ["terminology"]).kernel
    assert (kernel.max_body, kernel.max_depth, kernel.max_entries) == (2000, 9, 3)
    assert kernel.search == SearchLimits(parameters=1, values=2, ranges=3, chain=4, includes=5, included=6)
