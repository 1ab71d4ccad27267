# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A running consent service beside a running catalogue on a fresh database, and the words the tests speak to it in."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from consent.app import create_service
from consent.client import KIND_SYSTEM, DisclosureMode
from fhir_server.app import KernelSettings, create_app
from fhir_server.bulk.settings import BulkSettings
from fhir_server.context import Caller
from fhir_server.storage.database import create_engine
from identifiers import information_type, systems
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import PersonIdentifier
from provider_catalog import app as catalog_app
from provider_catalog.local import LocalCatalog
from tests.support import databases
from tests.support.callers import DENTIST, SOURCE_NORR, ListAudit, TestAuthenticator, bearer, patient, source
from tests.support.running import running

ASTRID = PersonIdentifier(systems.PERSONNUMMER, "195701032863")
BERTIL = PersonIdentifier(systems.PERSONNUMMER, "199001032391")
NORR, NORR_UNIT = "SE0000000011-VG", "SE0000000011-VE1"
MITT, MITT_UNIT = "SE0000000022-VG", "SE0000000022-VE1"
ANEMONEN, ANEMONEN_UNIT = "SE0000000044-VG", "SE0000000044-VE1"
REGISTER = "SE0000000055-REG"
_ORGANISATION_KIND = "https://ndi.example/fhir/CodeSystem/organization-kind"
_ROLES = {"outer-block": "CST", "inner-block": "CST"}


def hsa(value: str) -> dict[str, str]:
    return {"system": systems.HSA_ID, "value": value}


def consent(kind: str, organisation: str, **more: Any) -> dict[str, Any]:
    """A Consent as the portal sends it."""
    provision: dict[str, Any] = {
        "type": "permit" if kind == "shared-record" else "deny",
        "actor": [
            {
                "role": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                            "code": _ROLES.get(kind, "IRCP"),
                        }
                    ]
                },
                "reference": {"identifier": hsa(organisation)},
            }
        ],
        **more.pop("provision", {}),
    }
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": KIND_SYSTEM, "code": kind}]}],
        "provision": provision,
        **more,
    }


def types(*codes: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": information_type.SYSTEM, "code": code}]} for code in codes]


@dataclass
class Service:
    """A running consent service."""

    http: httpx2.AsyncClient
    audit: ListAudit
    person: PersonKey
    base: str = "/consent/fhir"

    @property
    def me(self) -> Caller:
        return patient(self.person)

    async def send(
        self, method: str, path: str, body: Any = None, *, caller: Caller | None = None, expect: int | None = None
    ) -> Any:
        headers = bearer(caller or self.me) | {"Content-Type": "application/fhir+json"}
        answer = await self.http.request(method, f"{self.base}{path}", json=body, headers=headers)
        if expect is None:
            assert answer.status_code < 300, answer.text
        else:
            assert answer.status_code == expect, answer.text
        return answer.json()

    async def give(self, kind: str, organisation: str, **more: Any) -> dict[str, Any]:
        stored: dict[str, Any] = await self.send("POST", "/Consent", consent(kind, organisation, **more))
        return stored

    async def end(self, stored: dict[str, Any]) -> dict[str, Any]:
        ended: dict[str, Any] = await self.send("PUT", f"/Consent/{stored['id']}", {**stored, "status": "inactive"})
        return ended

    async def relate(self, hours: int = 1, **more: Any) -> Any:
        asked = [
            {"name": "identifier", "valueIdentifier": {"system": ASTRID.system, "value": ASTRID.value}},
            {"name": "reason", "valueString": "Inför tandbehandling"},
            {"name": "hours", "valueInteger": hours},
        ]
        body = {"resourceType": "Parameters", "parameter": asked}
        return await self.send("POST", "/Patient/$state-care-relation", body, **{"caller": DENTIST, **more})

    async def decide(
        self, *entities: tuple[str, str], operation: str = "read-content", number: bool = True, **more: Any
    ) -> "Answer":
        asked: list[dict[str, Any]] = [{"name": "operation", "valueCode": operation}]
        if number:
            asked.append({"name": "identifier", "valueIdentifier": {"system": ASTRID.system, "value": ASTRID.value}})
        asked += [
            {
                "name": "entity",
                "part": [
                    {"name": "holder", "valueString": holder},
                    {"name": "unit", "valueString": unit},
                    {"name": "informationType", "valueCode": "alert"},
                ],
            }
            for holder, unit in entities
        ]
        body = {"resourceType": "Parameters", "parameter": [*asked, *more.pop("also", ())]}
        return Answer(await self.send("POST", "/Consent/$decide", body, **{"caller": DENTIST, **more}))


class Answer:
    """Parameters, read by name."""

    def __init__(self, resource: dict[str, Any]) -> None:
        self.resource = resource
        self.parameter: Sequence[dict[str, Any]] = resource.get("parameter", [])

    def value(self, name: str) -> Any:
        for each in self.parameter:
            if each["name"] == name:
                return next(value for key, value in each.items() if key.startswith("value"))
        return None

    @property
    def decisions(self) -> list["Answer"]:
        return [Answer({"parameter": each["part"]}) for each in self.parameter if each["name"] == "decision"]

    @property
    def reasons(self) -> list[str]:
        return [each.value("reason") for each in self.decisions]


@asynccontextmanager
async def consent_service(
    engine: AsyncEngine, keys: PersonKeys, mode: DisclosureMode = DisclosureMode.SE, **settings: Any
) -> AsyncIterator[Service]:
    service = create_service(engine=engine, keys=keys, catalog=LocalCatalog(engine), mode=mode)
    audit = ListAudit()
    app = create_app(
        service, engine=engine, authenticator=TestAuthenticator(), audit=audit, settings=KernelSettings(**settings)
    )
    async with running(app) as http:
        yield Service(http, audit, keys.of(ASTRID))


async def register_organisations(engine: AsyncEngine, folder: Path) -> None:
    """Two regions and a clinic, each with a unit, as they register themselves."""
    app = create_app(
        catalog_app.create_service(engine=engine),
        engine=engine,
        authenticator=TestAuthenticator(),
        audit=ListAudit(),
        settings=KernelSettings(bulk=BulkSettings(folder)),
    )
    async with running(app) as http:
        for provider, unit in ((NORR, NORR_UNIT), (MITT, MITT_UNIT), (ANEMONEN, ANEMONEN_UNIT)):
            caller = SOURCE_NORR if provider == NORR else source(provider)
            for hsa_id, kind, parent in ((provider, "care-provider", None), (unit, "care-unit", provider)):
                resource: dict[str, Any] = {
                    "resourceType": "Organization",
                    "identifier": [hsa(hsa_id)],
                    "active": True,
                    "name": hsa_id,
                    "type": [{"coding": [{"system": _ORGANISATION_KIND, "code": kind}]}],
                }
                if parent is not None:
                    resource["partOf"] = {"identifier": hsa(parent)}
                answer = await http.put(
                    f"/provider-catalog/fhir/Organization?identifier={systems.HSA_ID}|{hsa_id}",
                    json=resource,
                    headers=bearer(caller) | {"Content-Type": "application/fhir+json"},
                )
                assert answer.status_code < 300, answer.text


@pytest.fixture(scope="session")
async def shared_engine(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AsyncEngine]:
    """One database for all tests that look at one person only: each test has person keys of its own."""
    async with databases.fresh_database(server, template) as url:
        made = create_engine(url)
        await register_organisations(made, tmp_path_factory.mktemp("bulk"))
        try:
            yield made
        finally:
            await made.dispose()


@pytest.fixture
def own_keys() -> PersonKeys:
    """Person keys that no other test has: the same number is another person in each test."""
    return PersonKeys({1: os.urandom(32)}, 1)


@pytest.fixture
async def service(shared_engine: AsyncEngine, own_keys: PersonKeys) -> AsyncIterator[Service]:
    async with consent_service(shared_engine, own_keys) as running_service:
        yield running_service


@pytest.fixture
async def ehds(shared_engine: AsyncEngine, own_keys: PersonKeys) -> AsyncIterator[Service]:
    async with consent_service(shared_engine, own_keys, DisclosureMode.EHDS) as running_service:
        yield running_service
