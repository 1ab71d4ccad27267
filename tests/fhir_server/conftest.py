# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A toy service on the kernel: directory data, person data and operations, in a schema of its own."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.app import KernelSettings, create_app
from fhir_server.context import Access, Answer, AuditEntry, Context
from fhir_server.outcome import Forbidden
from fhir_server.parameters import Parameters
from fhir_server.policy import Policy
from fhir_server.service import Interaction, Request, ResourceOperation, ResourceType, Route, Service
from fhir_server.storage.database import create_engine
from fhir_server.storage.schema import tables
from identifiers.person_key import PersonKey
from tests.support import databases
from tests.support.callers import ListAudit, TestAuthenticator
from tests.support.running import running

SCHEMA = "toy"
ALL: frozenset[Interaction] = frozenset({"read", "vread", "create", "update", "patch", "delete", "search", "history"})

OPERATIONS: frozenset[ResourceOperation] = frozenset({"$meta", "$validate"})


class OwnOnly:
    """A person reaches her own resources and nobody else's."""

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        context.decided = True
        if resource is not None and person_of(resource) != context.caller.person:
            raise Forbidden("this is another person's", code="not-yours")

    async def policy(self, context: Context) -> Policy:
        if context.caller.person is None:
            raise Forbidden("only the person may search", code="not-yours")
        return Policy.of(context.caller.person)


def person_of(resource: Mapping[str, Any]) -> PersonKey:
    return PersonKey.from_hex(resource["patient"]["reference"].removeprefix("Patient/"))


async def echo(context: Context, request: Request) -> Answer:
    body = request.parameters()
    context.decided = True
    context.record(AuditEntry(operation="echo"))
    return Answer(Parameters().add("said", valueString=body.required("say", str)).resource())


async def forgetful(context: Context, request: Request) -> Answer:
    """Answers person data without having asked for a decision: a mistake the kernel must catch."""
    return Answer(Parameters().add("secret", valueString="should never leave").resource())


async def failing(context: Context, request: Request) -> Answer:
    raise RuntimeError("19121212-1212 is in this message and must not be told or logged")


async def slow(context: Context, request: Request) -> Answer:
    import asyncio

    await asyncio.sleep(30)
    return Answer(None)


def toy_service() -> Service:
    return Service(
        SCHEMA,
        "Toy",
        "/toy",
        interactions=frozenset({"batch", "transaction", "history"}),
        routes=(
            Route("/fhir/Patient/$echo", echo, Access.person_data, ("Patient", "r")),
            Route("/fhir/Patient/$forgetful", forgetful, Access.person_data, ("Patient", "r")),
            Route("/fhir/Patient/$failing", failing, Access.person_data, ("Patient", "r")),
            Route("/fhir/Patient/$slow", slow, Access.directory, ("Patient", "r")),
            Route("/fhir/$administer", echo, Access.operator, ("Patient", "u")),
            Route("/fhir/$tell", echo, Access.source_system, ("DocumentReference", "u")),
        ),
        resources=(
            ResourceType(
                "Organization",
                Access.directory,
                ALL,
                search=("identifier", "name", "active", "type", "partof"),
                operations=OPERATIONS,
            ),
            ResourceType(
                "Consent",
                Access.person_data,
                ALL,
                search=("status", "date"),
                guard=OwnOnly(),
                person=person_of,
                operations=OPERATIONS,
            ),
        ),
    )


@dataclass
class Toy:
    http: httpx2.AsyncClient
    audit: ListAudit
    engine: AsyncEngine

    def url(self, path: str) -> str:
        return f"/toy/fhir/{path}"


@pytest.fixture
async def toy(engine: AsyncEngine) -> AsyncIterator[Toy]:
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        await connection.run_sync(tables(SCHEMA).metadata.create_all)
    audit = ListAudit()
    settings = KernelSettings(audit_function=APPEND_FUNCTION, max_body=100_000)
    app = create_app(toy_service(), engine=engine, authenticator=TestAuthenticator(), audit=audit, settings=settings)
    async with running(app) as http:
        yield Toy(http, audit, engine)


@pytest.fixture(scope="module")
async def lasting_url(server: str, template: str) -> AsyncIterator[str]:
    """A fresh migrated database for all tests of a module."""
    async with databases.fresh_database(server, template) as url:
        yield url


@pytest.fixture(scope="module")
async def lasting_engine(lasting_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on it."""
    engine = create_engine(lasting_url)
    try:
        yield engine
    finally:
        await engine.dispose()
