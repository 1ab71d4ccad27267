# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A service with patients and what is documented about them: staff see all of it, a patient her own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.app import Application, KernelSettings, background, create_app
from fhir_server.bulk.settings import BulkSettings
from fhir_server.context import Access, AuditSink, CallerKind, Context
from fhir_server.outcome import Forbidden
from fhir_server.policy import EVERYTHING, Policy
from fhir_server.search.parameters import codes_of
from fhir_server.service import Interaction, ResourceOperation, ResourceType, Service
from fhir_server.storage.schema import tables
from identifiers.person_key import PersonKey
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer, patient
from tests.support.running import running

SCHEMA = "clinic"
INTERACTIONS: frozenset[Interaction] = frozenset({"read", "create", "update", "delete", "search"})
DIRECTORY = ("Organization", "Practitioner", "Medication", "Group")
ABOUT = ("Observation", "Condition", "Encounter", "MedicationRequest")
JSON = {"Content-Type": "application/fhir+json"}
ASTRID, BERTIL = PersonKey(b"a" * 16), PersonKey(b"b" * 16)
NURSE = replace(OPERATOR, client_id="ward", roles=frozenset({"clinician"}), purpose="TREAT")
OTHER = replace(NURSE, client_id="other-ward")
OWN = patient(ASTRID)


class Ward:
    """Staff see everything, a patient what is about her."""

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        context.decided = True
        own = context.caller.kind is CallerKind.patient
        if own and resource is not None and person_of(resource) != context.caller.person:
            raise Forbidden("this is another person's", code="not-yours")

    async def policy(self, context: Context) -> Policy:
        return Policy.of(context.caller.person) if context.caller.person is not None else EVERYTHING


class Closed(Ward):
    """Only the person herself finds anything."""

    async def policy(self, context: Context) -> Policy:
        if context.caller.person is None:
            raise Forbidden("only the person may search", code="not-yours")
        return Policy.of(context.caller.person)


def person_of(resource: Mapping[str, Any]) -> PersonKey | None:
    if resource["resourceType"] == "Patient":
        return PersonKey.from_hex(resource["id"])
    about = resource.get("subject") or resource.get("patient")
    return PersonKey.from_hex(about["reference"].removeprefix("Patient/")) if about else None


def clinic_service() -> Service:
    def directory(name: str) -> ResourceType:
        operations: frozenset[ResourceOperation] = frozenset({"$export"}) if name == "Group" else frozenset()
        return ResourceType(name, Access.directory, INTERACTIONS, codes_of(name), operations=operations)

    def about(name: str, guard: Ward) -> ResourceType:
        return ResourceType(
            name, Access.person_data, INTERACTIONS, codes_of(name), guard=guard, person=person_of,
            operations=frozenset({"$everything", "$export"}) if name == "Patient" else frozenset(),
        )  # fmt: skip

    return Service(
        SCHEMA,
        "Clinic",
        "/clinic",
        resources=(
            *(about(name, Ward()) for name in ("Patient", *ABOUT)),
            about("Consent", Closed()),
            *(directory(name) for name in DIRECTORY),
        ),
        interactions=frozenset({"batch"}),
        operations=frozenset({"$export"}),
    )


@dataclass
class Clinic:
    http: httpx2.AsyncClient
    engine: AsyncEngine
    audit: ListAudit
    folder: Path

    def url(self, path: str) -> str:
        return f"/clinic/fhir/{path}"

    async def empty(self) -> None:
        async with self.engine.begin() as connection:
            names = ", ".join(f"{SCHEMA}.{table.name}" for table in tables(SCHEMA).metadata.sorted_tables)
            await connection.execute(text(f"TRUNCATE {names}"))
        self.audit.entries.clear()

    async def put(self, resource: dict[str, Any], caller: Any = NURSE) -> None:
        answer = await self.http.put(
            self.url(f"{resource['resourceType']}/{resource['id']}"),
            content=orjson.dumps(resource),
            headers={**bearer(caller), **JSON},
        )
        assert answer.status_code in (200, 201), answer.text

    async def get(self, path: str, caller: Any = NURSE, *, status: int = 200, **headers: str) -> httpx2.Response:
        url = path if path.startswith("http") else self.url(path)
        answer = await self.http.get(url, headers={**bearer(caller), **headers})
        assert answer.status_code == status, answer.text
        return answer


def clinic_app(engine: AsyncEngine, audit: AuditSink, folder: Path, **settings: Any) -> Application:
    bulk = BulkSettings(folder, **{"poll": 0.05, **settings})
    kernel = KernelSettings(audit_function=APPEND_FUNCTION, cursor_secret=b"c" * 32, bulk=bulk)
    return create_app(clinic_service(), engine=engine, authenticator=TestAuthenticator(), audit=audit, settings=kernel)


@asynccontextmanager
async def opened(engine: AsyncEngine, folder: Path, *, working: bool = True, **settings: Any) -> AsyncIterator[Clinic]:
    """The clinic on a database; its tables are made, its worker is at work."""
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        await connection.run_sync(tables(SCHEMA).metadata.create_all)
    audit = ListAudit()
    app = clinic_app(engine, audit, folder, **settings)
    work = background(app)
    assert work is not None
    task = asyncio.create_task(work()) if working else None
    try:
        async with running(app) as http:
            yield Clinic(http, engine, audit, folder)
    finally:
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


def observation(identity: str, person: PersonKey, when: str | None = None, **more: Any) -> dict[str, Any]:
    dated = {} if when is None else {"effectiveDateTime": when}
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    return {
        "resourceType": "Observation", "id": identity, "status": "final", "code": code,
        "subject": {"reference": f"Patient/{person.hex()}"}, **dated, **more,
    }  # fmt: skip


def person(key: PersonKey, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": key.hex(), **more}
