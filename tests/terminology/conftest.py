# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A running terminology service on a fresh database, and small code systems to ask it about."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import KernelSettings, create_app
from fhir_server.bulk.settings import BulkSettings
from fhir_server.context import Caller
from terminology.app import create_service
from tests.support.callers import DENTIST, OPERATOR, ListAudit, TestAuthenticator, bearer
from tests.support.databases import fresh_database
from tests.support.emptied import empty
from tests.support.running import running

FOODS, LOCAL, MAP = "http://example.org/foods", "http://example.org/local", "http://example.org/map"


def code_system(url: str = FOODS, version: str | None = "1.0", **more: Any) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "CodeSystem",
        "url": url,
        "name": "Foods",
        "status": "active",
        "content": "complete",
        "language": "en",
        "concept": [
            {
                "code": "nut",
                "display": "Nut",
                "definition": "A dry fruit",
                "concept": [
                    {
                        "code": "hazel",
                        "display": "Hazelnut",
                        "designation": [
                            {
                                "language": "sv",
                                "use": {"system": "http://example.org/use", "code": "old"},
                                "value": "Hassel",
                            },
                            {"language": "sv", "value": "Hasselnöt"},
                            {"language": "de-AT", "value": "Haselnuss"},
                        ],
                        "property": [
                            {"code": "weight", "valueDecimal": 1.5},
                            {"code": "kind", "valueCoding": {"code": "k", "display": "Kernel"}},
                        ],
                    },
                    {"code": "almond"},
                ],
            }
        ],
    }
    if version is not None:
        resource["version"] = version
    return {**resource, **more}


def concept_map(url: str = MAP, version: str | None = "1.0", **more: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "ConceptMap",
        "url": url,
        "status": "active",
        "sourceUri": "http://example.org/vs/local",
        "targetUri": "http://example.org/vs/foods",
        "group": [
            {
                "source": LOCAL,
                "target": FOODS,
                "targetVersion": "1.0",
                "element": [
                    {
                        "code": "A1",
                        "target": [
                            {"code": "nut", "display": "Nut", "equivalence": "wider"},
                            {"code": "hazel", "display": "Hazelnut", "equivalence": "equivalent"},
                        ],
                    },
                    {"code": "A2", "target": [{"equivalence": "unmatched"}]},
                    {"code": "A3", "target": [{"code": "nut", "equivalence": "inexact", "comment": "in season",
                                               "dependsOn": [
                        {"property": "http://example.org/season", "value": "summer"}]}]},
                    {"code": "A4", "target": [{"code": "nut", "equivalence": "equal", "product": [
                        {"property": "http://example.org/state", "system": "http://example.org/s", "value": "raw"}]}]},
                ],
            }
        ],
    }  # fmt: skip
    if version is not None:
        resource["version"] = version
    return {**resource, **more}


@dataclass
class Terminology:
    """The running service."""

    http: httpx2.AsyncClient
    base: str = "/terminology/fhir"

    async def request(
        self, method: str, path: str, caller: Caller = OPERATOR, status: int | None = None, **options: Any
    ) -> Any:
        answer = await self.http.request(method, self.base + path, headers=bearer(caller), **options)
        expected = (200, 201) if status is None else (status,)
        assert answer.status_code in expected, answer.text
        return answer.json()

    async def create(self, resource: dict[str, Any], status: int = 201, caller: Caller = OPERATOR) -> Any:
        return await self.request("POST", f"/{resource['resourceType']}", caller, status, json=resource)

    async def ask(self, path: str, status: int = 200, **given: Any) -> Any:
        """An operation by POST; each value a string, or a dict or list of them to be sent as it is."""
        parameters = [
            {"name": name, **each} if isinstance(each, dict) else {"name": name, "valueString": each}
            for name, value in given.items()
            for each in (value if isinstance(value, list) else [value])
        ]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return await self.request("POST", f"/{path}", DENTIST, status, json=body)

    async def lookup(self, code: str, system: str = FOODS, status: int = 200, **given: Any) -> Any:
        return await self.ask("CodeSystem/$lookup", status, code=code, system=system, **given)

    async def translate(self, code: str, system: str = LOCAL, status: int = 200, **given: Any) -> Any:
        return await self.ask("ConceptMap/$translate", status, code=code, system=system, **given)


def value(resource: dict[str, Any], name: str) -> Any:
    """The value of the one parameter of this name."""
    (found,) = [each for each in resource["parameter"] if each["name"] == name]
    return next(content for key, content in found.items() if key.startswith("value"))


def parts(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The parts of each parameter of this name, as name → value."""
    return [
        {part["name"]: next((v for k, v in part.items() if k != "name"), None) for part in each["part"]}
        for each in resource["parameter"]
        if each["name"] == name
    ]


@pytest.fixture(scope="package")
async def kept_database(server: str, template: str) -> AsyncIterator[str]:
    """One migrated database for the tests of this folder."""
    async with fresh_database(server, template) as url:
        yield url


@pytest.fixture
async def database_url(kept_database: str) -> str:
    """That database with nothing in our schema."""
    await empty(kept_database, "terminology")
    return kept_database


@pytest.fixture
async def terminology(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Terminology]:
    app = create_app(
        create_service(engine=engine),
        engine=engine,
        authenticator=TestAuthenticator(),
        audit=ListAudit(),
        settings=KernelSettings(bulk=BulkSettings(tmp_path)),
    )
    async with running(app) as http:
        yield Terminology(http)
