# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A running catalogue on a fresh database, and the words the tests speak to it in."""

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
from identifiers import information_type, systems
from provider_catalog.app import create_service
from provider_catalog.client import CONNECTION_SYSTEM
from provider_catalog.model import KIND_SYSTEM
from tests.support.callers import OPERATOR, SOURCE_NORR, ListAudit, TestAuthenticator, bearer
from tests.support.databases import fresh_database
from tests.support.emptied import empty
from tests.support.running import running

PROVIDER, UNIT, SYSTEM = "SE0000000011-VG", "SE0000000011-VE1", "SE0000000011-SYS"


def hsa(value: str) -> dict[str, str]:
    return {"system": systems.HSA_ID, "value": value}


def organization(hsa_id: str, kind: str | None = "care-provider", **more: Any) -> dict[str, Any]:
    resource = {"resourceType": "Organization", "identifier": [hsa(hsa_id)], "active": True, "name": hsa_id.title()}
    if kind is not None:
        resource["type"] = [{"coding": [{"system": KIND_SYSTEM, "code": kind}]}]
    return {**resource, **more}


def unit(hsa_id: str, parent: str, **more: Any) -> dict[str, Any]:
    return organization(hsa_id, "care-unit", **{"partOf": {"identifier": hsa(parent)}, **more})


def endpoint(system: str, serves: str, *, types: tuple[str, ...] = ("alert",), **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Endpoint",
        "identifier": [hsa(system)],
        "status": "active",
        "connectionType": {"system": CONNECTION_SYSTEM, "code": "fhir-rest"},
        "managingOrganization": {"identifier": hsa(serves)},
        "payloadType": [{"coding": [{"system": information_type.SYSTEM, "code": code}]} for code in types],
        "address": f"https://{system.lower()}.example/fhir",
        **more,
    }


@dataclass
class Catalogue:
    """The running service."""

    http: httpx2.AsyncClient
    base: str = "/provider-catalog/fhir"

    async def put(self, resource: dict[str, Any], caller: Caller = SOURCE_NORR, status: int | None = None) -> Any:
        """Conditional update by the first identifier; `status` is what must be answered, else 200 or 201."""
        identifier = resource["identifier"][0]
        return await self.request(
            "PUT",
            f"/{resource['resourceType']}",
            caller,
            status,
            params={"identifier": f"{identifier['system']}|{identifier['value']}"},
            json=resource,
        )

    async def request(
        self, method: str, path: str, caller: Caller = OPERATOR, status: int | None = None, **options: Any
    ) -> Any:
        answer = await self.http.request(method, self.base + path, headers=bearer(caller), **options)
        expected = (200, 201) if status is None else (status,)
        assert answer.status_code in expected, answer.text
        return answer.json()

    async def search(self, resource_type: str, caller: Caller = OPERATOR, **params: str) -> list[Any]:
        names = {name.replace("_type", "-type"): value for name, value in params.items()}
        bundle = await self.request("GET", f"/{resource_type}", caller, params=names)
        return [entry["resource"] for entry in bundle.get("entry", [])]

    async def resolve(self, hsa_id: str, kind: str = "alert", caller: Caller = OPERATOR, **more: Any) -> Any:
        """The endpoint's parts as a dict with the path as list, or the reason there is none."""
        parameters = [{"name": "unit", "valueString": hsa_id}, {"name": "informationType", "valueCode": kind}]
        parameters += [{"name": name, "valueString": value} for name, value in more.items()]
        answer = await self.operation("Endpoint/$resolve", parameters, caller)
        return answers(answer)[0]

    async def operation(
        self, path: str, parameters: list[dict[str, Any]], caller: Caller = OPERATOR, status: int = 200
    ) -> Any:
        body = {"resourceType": "Parameters", "parameter": parameters}
        return await self.request("POST", f"/{path}", caller, status, json=body)


def answers(resource: dict[str, Any]) -> list[Any]:
    """Each endpoint's parts as a dict, or the reason, from a single answer or the `answer` parts of a batch."""
    found: list[Any] = []
    for each in resource.get("parameter", []):
        if each["name"] == "answer":
            found += answers({"parameter": each["part"]})
        elif each["name"] == "reason":
            found.append(each["valueCode"])
        elif each["name"] == "endpoint":
            parts = each["part"]
            values = {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in parts}
            values["path"] = [part["valueString"] for part in parts if part["name"] == "path"]
            found.append(values)
    return found


@pytest.fixture(scope="package")
async def kept_database(server: str, template: str) -> AsyncIterator[str]:
    """One migrated database for the tests of this folder."""
    async with fresh_database(server, template) as url:
        yield url


@pytest.fixture
async def database_url(kept_database: str) -> str:
    """That database with nothing in our schema."""
    await empty(kept_database, "provider_catalog")
    return kept_database


@pytest.fixture
async def catalogue(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Catalogue]:
    app = create_app(
        create_service(engine=engine),
        engine=engine,
        authenticator=TestAuthenticator(),
        audit=ListAudit(),
        settings=KernelSettings(bulk=BulkSettings(tmp_path)),
    )
    async with running(app) as http:
        yield Catalogue(http)
