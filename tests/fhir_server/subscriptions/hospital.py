# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A service with topics, whose staff may see what is not hidden from their organisation, a patient her own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.client import APPEND_FUNCTION
from fhir_server.app import Application, KernelSettings, background, create_app
from fhir_server.context import Access, AuditSink, Caller, CallerKind, Context
from fhir_server.crypto import Cipher
from fhir_server.outcome import Forbidden
from fhir_server.policy import EVERYTHING, Policy
from fhir_server.retry import Backoff
from fhir_server.search.parameters import codes_of
from fhir_server.service import Interaction, ResourceType, Service
from fhir_server.storage.schema import tables
from fhir_server.subscriptions.schema import subscription_tables
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.topics import COMPARATORS, Criteria, FilterBy, Topic
from fhir_server.subscriptions.wanted import GUIDE, KEY
from identifiers.person_key import PersonKey
from tests.fhir_server.clinic import person_of
from tests.fhir_server.subscriptions.receiving import until
from tests.support.callers import OPERATOR, ListAudit, TestAuthenticator, bearer, patient
from tests.support.running import running

SCHEMA = "hospital"
ALL: frozenset[Interaction] = frozenset({"read", "vread", "create", "update", "patch", "delete", "search", "history"})
TOPIC = "https://hospital.example/SubscriptionTopic/"
ASTRID, BERTIL = PersonKey(b"a" * 16), PersonKey(b"b" * 16)
WARD = replace(OPERATOR, client_id="ward", roles=frozenset({"clinician"}), organisation="SE-A", purpose="TREAT")
OTHER = replace(WARD, client_id="other", organisation="SE-B")
OWN = patient(ASTRID)
SECRET = "a secret of the receiver alone, 2026".replace(" ", "-")


@dataclass
class Sight:
    """The `Guard` of person data: whom it hides, from whom, can change while a test runs."""

    hidden: set[tuple[str, PersonKey]] = field(default_factory=set)
    """Organisation and person."""
    failing: Exception | None = None
    asked: int = 0
    """Times it failed."""

    def _hides(self, context: Context, resource: Mapping[str, Any]) -> bool:
        if context.caller.kind is CallerKind.patient:
            return person_of(resource) != context.caller.person
        return (context.caller.organisation, person_of(resource)) in self.hidden

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        if self.failing is not None and interaction == "read":
            self.asked += 1
            raise self.failing
        context.decided = True
        if resource is not None and interaction == "read" and self._hides(context, resource):
            raise Forbidden("hidden", code="hidden")

    async def policy(self, context: Context) -> Policy:
        return Policy.of(context.caller.person) if context.caller.person is not None else EVERYTHING


SIGHT = Sight()


def hospital_service() -> Service:
    def directory(name: str) -> ResourceType:
        return ResourceType(name, Access.directory, ALL, codes_of(name))

    def about(name: str) -> ResourceType:
        return ResourceType(name, Access.person_data, ALL, codes_of(name), guard=SIGHT, person=person_of)

    filters = (
        FilterBy("status", frozenset({"not"})), FilterBy("subject"), FilterBy("code"),
        FilterBy("date", comparators=COMPARATORS), FilterBy("_id"), FilterBy("value-quantity", comparators=COMPARATORS),
    )  # fmt: skip
    finished = Criteria(previous="status:not=final", current="status=final", delete_passes=False)
    return Service(
        SCHEMA,
        "Hospital",
        "/hospital",
        resources=(about("Patient"), about("Observation"), directory("Organization"), directory("Encounter")),
        interactions=frozenset({"batch", "transaction", "history"}),
        topics=(
            Topic(f"{TOPIC}observation", "Changes of observations", "Observation", filters=filters),
            Topic(f"{TOPIC}final", "An observation became final", "Observation", criteria=finished),
            Topic(
                f"{TOPIC}organization", "Changes of organisations", "Organization",
                filters=(FilterBy("name", frozenset({"contains", "exact"})), FilterBy("active"), FilterBy("partof")),
            ),
            Topic(f"{TOPIC}new", "New organisations", "Organization", frozenset({"create"})),
            Topic(f"{TOPIC}encounter", "Changes of encounters", "Encounter"),
        ),
    )  # fmt: skip


@dataclass
class Registry:
    """The `Standing` of clients."""

    revoked: set[str] = field(default_factory=set)
    without: dict[str, frozenset[str]] = field(default_factory=dict)
    """Scopes that a client has lost."""

    async def __call__(self, caller: Caller) -> Caller | None:
        if caller.client_id in self.revoked:
            return None
        return replace(caller, scopes=caller.scopes - self.without.get(caller.client_id, frozenset()))


REGISTRY = Registry()


def hospital_app(engine: AsyncEngine, audit: AuditSink, **settings: Any) -> Application:
    given: dict[str, Any] = {
        "loopback": True, "poll": 0.02, "backoff": Backoff(0.02, 0.1), "attempts": 1000, "give_up": 3600.0,
        "timeout": 5.0,
    }  # fmt: skip
    subscriptions = SubscriptionSettings(Cipher({1: b"k" * 32}, 1), **{**given, **settings})
    kernel = KernelSettings(
        audit_function=APPEND_FUNCTION, cursor_secret=b"c" * 32, subscriptions=subscriptions, standing=REGISTRY
    )
    return create_app(
        hospital_service(), engine=engine, authenticator=TestAuthenticator(), audit=audit, settings=kernel
    )


@dataclass
class Hospital:
    http: httpx2.AsyncClient
    engine: AsyncEngine
    audit: ListAudit

    async def empty(self) -> None:
        kept = [*tables(SCHEMA).metadata.sorted_tables, *subscription_tables(SCHEMA).metadata.sorted_tables]
        async with self.engine.begin() as connection:
            await connection.execute(text(f"TRUNCATE {', '.join(f'{SCHEMA}.{each.name}' for each in kept)}"))
        self.audit.entries.clear()
        SIGHT.hidden.clear()
        REGISTRY.revoked.clear()
        REGISTRY.without.clear()
        SIGHT.failing, SIGHT.asked = None, 0

    async def call(
        self, method: str, path: str, body: Any = None, caller: Any = WARD, status: int | None = None,
        kind: str = "application/fhir+json",
    ) -> httpx2.Response:  # fmt: skip
        answer = await self.http.request(
            method,
            f"/hospital/fhir/{path}" if not path.startswith("/") else path,
            content=None if body is None else body if isinstance(body, bytes) else orjson.dumps(body),
            headers={**bearer(caller), "Content-Type": kind},
        )
        assert answer.status_code == status or (status is None and answer.is_success), answer.text
        return answer

    async def put(self, resource: dict[str, Any], caller: Any = WARD) -> None:
        await self.call("PUT", f"{resource['resourceType']}/{resource['id']}", resource, caller)

    async def subscribe(self, resource: dict[str, Any], caller: Any = WARD) -> str:
        """Makes the Subscription and waits until it is active; gives its id."""
        identity = str((await self.call("POST", "Subscription", resource, caller)).json()["id"])
        await self.becomes(identity, "active", caller)
        return identity

    async def becomes(self, identity: str, status: str, caller: Any = WARD) -> None:
        async def is_so() -> bool:
            return bool((await self.read(identity, caller))["status"] == status)

        await until(is_so, f"{identity} {status}")

    async def read(self, identity: str, caller: Any = WARD) -> dict[str, Any]:
        return dict((await self.call("GET", f"Subscription/{identity}", caller=caller)).json())

    async def column(self, identity: str, name: str) -> Any:
        async with self.engine.connect() as connection:
            found = text(f"SELECT {name} FROM {SCHEMA}.subscription WHERE id = :id")
            return (await connection.execute(found, {"id": identity})).scalar_one()


@asynccontextmanager
async def opened(engine: AsyncEngine, *, working: bool = True, **settings: Any) -> AsyncIterator[Hospital]:
    """The hospital on a database; its tables are made, its worker is at work."""
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        await connection.run_sync(tables(SCHEMA).metadata.create_all)
        await connection.run_sync(subscription_tables(SCHEMA).metadata.create_all)
    audit = ListAudit()
    app = hospital_app(engine, audit, **settings)
    work = background(app)
    assert work is not None
    task = asyncio.create_task(work()) if working else None
    try:
        async with running(app) as http:
            yield Hospital(http, engine, audit)
    finally:
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


def subscription(
    endpoint: str, topic: str = "observation", content: str = "id-only", *filters: str, secret: str | None = SECRET,
    **channel: Any,
) -> dict[str, Any]:  # fmt: skip
    """A Subscription; `channel` may hold heartbeat, timeout and max_count beside elements of the channel."""
    extensions: list[dict[str, Any]] = []
    for name, kind in (("heartbeat_period", "UnsignedInt"), ("timeout", "UnsignedInt"), ("max_count", "PositiveInt")):
        if name in channel:
            url = f"{GUIDE}StructureDefinition/backport-{name.replace('_', '-')}"
            extensions.append({"url": url, f"value{kind}": channel.pop(name)})
    if secret is not None:
        extensions.append({"url": KEY, "valueString": secret})
    made: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a test",
        "criteria": f"{TOPIC}{topic}",
        "channel": {
            **({"extension": extensions} if extensions else {}),
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {
                "extension": [{"url": f"{GUIDE}StructureDefinition/backport-payload-content", "valueCode": content}]
            },
            **channel,
        },
    }
    if filters:
        url = f"{GUIDE}StructureDefinition/backport-filter-criteria"
        made["_criteria"] = {"extension": [{"url": url, "valueString": each} for each in filters]}
    return made


def organization(identity: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": identity, "name": identity, **more}
