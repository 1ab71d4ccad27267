# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The sandbox: the kernel alone with every resource type of FHIR R4, without login, on a database of its own.

`ndi sandbox` serves it on loopback; tests and the bench build from the same parts. Nothing of the services is in it,
and nothing in here is reached from `ndi serve`.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
import hashlib
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateIndex, CreateTable

from fhir_server.app import Application, KernelSettings, create_app
from fhir_server.bulk.settings import BulkSettings
from fhir_server.commands import CommandError
from fhir_server.context import Access, AuditEntry, Caller, CallerKind, Context
from fhir_server.crypto import Cipher
from fhir_server.search.index import VERSION
from fhir_server.search.parameters import codes_of, parameters_for
from fhir_server.service import Interaction, ResourceOperation, ResourceType, Service, SystemInteraction
from fhir_server.storage.schema import tables
from fhir_server.subscriptions.filters import every_filter
from fhir_server.subscriptions.schema import subscription_tables
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.topics import Topic
from fhir_server.validation.definitions import resource_names
from ndi.migrate import SERVICES
from ndi.sandbox_terminology import SandboxTerminology

__all__ = ["DATABASE", "SCHEMA", "NoAudit", "NoLogin", "sandbox_app", "sandbox_service", "take_possession"]

DATABASE: Final = "ndi_sandbox"
"""The database on the embedded server."""
SCHEMA: Final = "sandbox"

INTERACTIONS: Final[frozenset[Interaction]] = frozenset(
    {"read", "vread", "create", "update", "patch", "delete", "search", "history"}
)
OPERATIONS: Final[frozenset[ResourceOperation]] = frozenset({"$meta", "$validate"})
AT_THE_BASE: Final[frozenset[SystemInteraction]] = frozenset({"batch", "transaction", "history"})

SETTINGS: Final = KernelSettings(max_body=32 * 1024 * 1024, deadline=120.0)
"""Wider than a deployment's: published examples and test bundles come whole."""

TOPICS: Final = "https://ndi.example/fhir/SubscriptionTopic/"
"""Before the name of a type: the topic of its changes."""

_KEY: Final = hashlib.sha256(b"ndi sandbox").digest()
"""Nothing in the sandbox is kept from anybody."""
_ABSTRACT: Final = frozenset({"Resource", "DomainResource", "MetadataResource"})
_TITLE: Final = "ndi sandbox: no login, no access decisions, no access log; for invented data only"


class NoLogin:
    """An `Authenticator` that asks for nothing: whoever reaches the sandbox may do everything in it."""

    async def authenticate(self, authorization: str | None) -> Caller:
        """The same caller for all; a token that is sent is not looked at."""
        return Caller(client_id="sandbox", kind=CallerKind.system, scopes=frozenset({"system/*.cruds"}))


class NoAudit:
    """An `AuditSink` that keeps nothing: there is nobody in the sandbox whose data were read."""

    async def append(self, context: Context, entries: Sequence[AuditEntry]) -> None:
        """Returns at once."""


def sandbox_service(types: Sequence[str] | None = None) -> Service:
    """The service with the resource types named, all of R4 if None, each with all of R4's search parameters for it.

    Raises `ValueError` on a type that R4 does not have.
    """
    chosen = _chosen(types)
    watched = [name for name in chosen if name != "Subscription"]
    return Service(
        SCHEMA,
        _TITLE,
        "",
        resources=tuple(
            ResourceType(
                name, Access.directory, INTERACTIONS, search=codes_of(name), operations=_operations(name, chosen)
            )
            for name in chosen
        ),
        interactions=AT_THE_BASE,
        operations=frozenset({"$export"}),
        topics=tuple(_topic(name) for name in watched),
        capability={"rest": [{"security": {"description": "None: a sandbox takes every request without login."}}]},
    )


def sandbox_app(
    engine: AsyncEngine,
    types: Sequence[str] | None = None,
    *,
    folder: Path,
    packages: Path | None = None,
    validate: bool = True,
) -> Application:
    """The sandbox as an ASGI application with its FHIR base at `/fhir`. Raises `ValueError` as `sandbox_service`.

    `folder`: where exports are kept. They are worked, and subscribers told, by `fhir_server.app.background` of what is
    returned. `packages`: folder of the packages of profiles that `$validate` knows. `validate`: without it everything
    that is JSON is kept.
    """
    settings = replace(
        SETTINGS,
        validate=validate,
        packages=packages,
        bulk=BulkSettings(folder, expiry=3600, jobs_per_client=10),
        subscriptions=SubscriptionSettings(Cipher({1: _KEY}, 1), loopback=True, unsigned=True, per_owner=1000),
    )
    return create_app(
        sandbox_service(types), engine=engine, authenticator=NoLogin(), audit=NoAudit(), settings=settings,
        terminology=SandboxTerminology(engine, tables(SCHEMA)),
    )  # fmt: skip


async def take_possession(engine: AsyncEngine, *, fresh: bool = False) -> None:
    """Makes the sandbox's tables where they are not there yet; with `fresh`, empties the sandbox first.

    Raises `CommandError` on a database that holds a schema of the services, or a sandbox of another version.
    """
    async with engine.begin() as connection:
        found = set((await connection.execute(text("SELECT nspname FROM pg_namespace"))).scalars())
        foreign = [name for name in SERVICES if name in found]
        if foreign:
            raise CommandError(
                f"this database holds the services' data (schema {foreign[0]}): a sandbox without login needs a "
                "database of its own"
            )
        if fresh:
            await connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
        elif SCHEMA in found:
            made_by = text("SELECT obj_description(to_regnamespace(:schema), 'pg_namespace')")
            if await connection.scalar(made_by, {"schema": SCHEMA}) != _fingerprint():
                raise CommandError("the sandbox's data are of another version of ndi: begin anew with --fresh")
            return
        await connection.run_sync(_create)


def _create(connection: Connection) -> None:
    connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    connection.execute(text(f"COMMENT ON SCHEMA {SCHEMA} IS '{_fingerprint()}'"))
    tables(SCHEMA).metadata.create_all(connection)
    subscription_tables(SCHEMA).metadata.create_all(connection)


def _fingerprint() -> str:
    """Changes with the kernel's tables and with what stands in them: a sandbox is not migrated."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not type it
    made: list[Any] = []
    for table in (*tables(SCHEMA).metadata.sorted_tables, *subscription_tables(SCHEMA).metadata.sorted_tables):
        made += [CreateTable(table), *sorted((CreateIndex(index) for index in table.indexes), key=str)]
    told = "".join([f"{VERSION}", *(str(each.compile(dialect=dialect)) for each in made)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _topic(name: str) -> Topic:
    """Every change of the type, filtered by all that it is searched by."""
    filters = every_filter(parameters_for(name, codes_of(name)))
    return Topic(f"{TOPICS}{name}", f"Changes of {name}", name, filters=filters)


def _operations(name: str, served: Sequence[str]) -> frozenset[ResourceOperation]:
    match name:
        case "Patient":
            return OPERATIONS | {"$everything", "$export"}
        case "Group" if "Patient" in served:
            return OPERATIONS | {"$export"}
        case _:
            return OPERATIONS


def _chosen(types: Sequence[str] | None) -> list[str]:
    known = resource_names() - _ABSTRACT
    for name in types or ():
        if name not in known:
            near = get_close_matches(name, known, 1, 0.5)
            raise ValueError(f"{name!r} is no resource type of FHIR R4{f'; {near[0]}?' if near else ''}")
    return sorted(set(types) if types is not None else known)
