# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A service that offers many types to search, and ways to fill it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
import orjson
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.app import KernelSettings, create_app
from fhir_server.context import Access
from fhir_server.limits import LIMITS, SearchLimits
from fhir_server.search.index import extract_values
from fhir_server.search.parameters import Definition, codes_of, parameters_for
from fhir_server.search.terminology import Terminology
from fhir_server.service import Interaction, ResourceType, Service
from fhir_server.storage.schema import tables
from tests.fhir_server.conftest import OwnOnly, person_of
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer
from tests.support.running import running

SCHEMA = "library"
INTERACTIONS: frozenset[Interaction] = frozenset({"read", "create", "update", "search"})
OWN = Definition("room", "number", "Location.extension.where(url='http://x/room').value")
TYPES = (
    "Patient", "Observation", "Organization", "Location", "Encounter", "Practitioner", "List", "Provenance",
    "DocumentReference", "ValueSet", "RiskAssessment", "Condition", "CodeSystem", "MolecularSequence",
)  # fmt: skip
JSON = {"Content-Type": "application/fhir+json"}


def directory(name: str) -> ResourceType:
    added = (OWN,) if name == "Location" else ()
    return ResourceType(name, Access.directory, INTERACTIONS, search=(*codes_of(name), *added))


def consent() -> ResourceType:
    return ResourceType(
        "Consent", Access.person_data, INTERACTIONS, codes_of("Consent"), guard=OwnOnly(), person=person_of
    )


@dataclass
class Library:
    http: httpx2.AsyncClient
    engine: AsyncEngine
    audit: ListAudit
    content: str = ""
    """What a test left in the tables for others that want the same."""

    async def put(self, resource: dict[str, Any], caller: Any = OPERATOR) -> None:
        url = f"/library/fhir/{resource['resourceType']}/{resource['id']}"
        answer = await self.http.put(url, content=orjson.dumps(resource), headers={**bearer(caller), **JSON})
        assert answer.status_code in (200, 201), answer.text

    async def search(self, query: str, caller: Any = OPERATOR, **headers: str) -> dict[str, Any]:
        answer = await self.http.get(f"/library/fhir/{query}", headers={**bearer(caller), **headers})
        assert answer.status_code == 200, (query, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    async def ids(self, query: str, caller: Any = OPERATOR, mode: str = "match") -> list[str]:
        """Ids of all pages, in their order."""
        bundle = await self.search(query, caller)
        found = [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
        while (following := link(bundle, "next")) is not None:
            bundle = (await self.http.get(following, headers=bearer(caller))).json()
            found += [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
        return [entry["resource"]["id"] for entry in found]

    async def refused(self, query: str, caller: Any = OPERATOR) -> str:
        """The detail code of a 400."""
        answer = await self.http.get(f"/library/fhir/{query}", headers=bearer(caller))
        assert answer.status_code == 400, answer.text
        return str(answer.json()["issue"][0]["details"]["coding"][0]["code"])

    async def post(self, kind: str, parameters: Sequence[tuple[str, str]], caller: Any = OPERATOR) -> dict[str, Any]:
        answer = await self.http.post(
            f"/library/fhir/{kind}/_search",
            content=urlencode(parameters),
            headers={**bearer(caller), "Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def load(self, resources: Iterable[dict[str, Any]]) -> None:
        """Many at once, straight into the tables."""
        kept = tables(SCHEMA)
        rows: dict[str, list[dict[str, Any]]] = {}
        for each in resources:
            kind, identity = each["resourceType"], each["id"]
            parameters = parameters_for(kind, codes_of(kind)).values()
            base = {"type": kind, "id": identity}
            rows.setdefault("resource", []).append(
                {**base, "version": 1, "last_updated": datetime.now(UTC), "deleted": False, "body": orjson.dumps(each)}
            )
            for name, values in extract_values(each, parameters).by_table():
                rows.setdefault(name, []).extend({**base, **value._asdict()} for value in values)
        async with self.engine.begin() as connection:
            for name, some in rows.items():
                await connection.execute(insert(getattr(kept, name)), some)

    async def empty(self) -> None:
        async with self.engine.begin() as connection:
            names = ", ".join(f"{SCHEMA}.{table.name}" for table in tables(SCHEMA).metadata.sorted_tables)
            await connection.execute(text(f"TRUNCATE {names}"))


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((each["url"] for each in bundle["link"] if each["relation"] == relation), None)


@asynccontextmanager
async def opened(
    engine: AsyncEngine,
    types: Iterable[str] = TYPES,
    terminology: Terminology | None = None,
    limits: SearchLimits = LIMITS,
) -> AsyncIterator[Library]:
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        await connection.run_sync(tables(SCHEMA).metadata.create_all)
    service = Service(SCHEMA, "Library", "/library", resources=(*map(directory, types), consent()))
    audit = ListAudit()
    settings = KernelSettings(audit_function=APPEND_FUNCTION, search=limits)
    app = create_app(
        service, engine=engine, authenticator=TestAuthenticator(), audit=audit, settings=settings,
        terminology=terminology,
    )  # fmt: skip
    async with running(app) as http:
        yield Library(http, engine, audit)
