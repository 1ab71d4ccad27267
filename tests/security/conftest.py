# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A running authorization server with two registered clients and two people, on a real database."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import json
import secrets
import time
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette

from fhir_server.app import create_app
from fhir_server.context import Access, Answer, AuditEntry, CallerKind, Context
from fhir_server.crypto import Cipher
from fhir_server.service import Request, Route, Service
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKey
from ndi.processes.house import House
from security import jose
from security.app import create_service, root_routes
from security.client import ASSERTION_TYPE
from security.local import TokenAuthenticator, database_keys
from security.model.pkce import challenge_of
from security.model.registration import Client, Person
from security.settings import SecuritySettings
from security.store import SecurityStore
from tests.support.callers import ListAudit
from tests.support.databases import fresh_database
from tests.support.running import running

ISSUER = "http://as.test"
TOKEN_URL = f"{ISSUER}/oauth2/token"
REDIRECT = "http://127.0.0.1:9999/back?app=1"
ASTRID = PersonKey(b"\x01" * 16)
KEYS = {name: jose.new_key() for name in ("region-norr", "ndi-portal", "region-syd")}


def compact(header: Mapping[str, Any], claims: bytes | Mapping[str, Any], signature: bytes = b"x" * 64) -> str:
    """A token of any form, its signature not made by the library that checks it."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (json.dumps(header).encode(), body, signature)
    )


@dataclass
class Server:
    """What tests do with the server; times are those of the machine."""

    http: httpx2.AsyncClient
    engine: AsyncEngine
    store: SecurityStore
    cipher: Cipher
    settings: SecuritySettings
    audit: ListAudit = field(default_factory=ListAudit)

    def claims(self, client: str = "region-norr", **changes: Any) -> dict[str, Any]:
        """The claims of a good assertion, changed; a change to None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": client, "sub": client, "aud": TOKEN_URL, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8),
            **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def assertion(self, client: str = "region-norr", key: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A good assertion, its claims changed."""
        private = jose.private_key(key or KEYS[client])
        algorithm = jose.key_algorithms(private)[-1]
        return jose.sign(self.claims(client, **changes), private, algorithm=algorithm, kind="JWT")

    async def token(self, assertion: str | None = None, **form: str) -> httpx2.Response:
        """Asks for a token; `form` changes the request."""
        sent = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            **form,
        }
        return await self.http.post("/oauth2/token", data=sent)

    async def refused(self, assertion: str | None = None, **form: str) -> str:
        """The `error` of a request that must be refused, in the form of RFC 6749 5.2."""
        answer = await self.token(assertion, **form)
        assert answer.status_code in (400, 401), answer.text
        assert answer.headers["content-type"] == "application/json"
        assert "no-store" in answer.headers["cache-control"]
        return str(answer.json()["error"])

    async def authorize(self, **changes: str) -> httpx2.Response:
        """Asks the authorization endpoint as the portal does."""
        query = {
            "response_type": "code",
            "client_id": "ndi-portal",
            "redirect_uri": REDIRECT,
            "scope": "patient/Consent.cruds patient/AuditEvent.s user/AllergyIntolerance.s openid",
            "state": "a state & more",
            "code_challenge": challenge_of("v" * 43),
            "code_challenge_method": "S256",
            **changes,
        }
        return await self.http.get("/oauth2/authorize", params={n: v for n, v in query.items() if v != ""})

    async def code(self, person: str = "astrid", **changes: str) -> str:
        """A fresh code for a person."""
        sent = await self.authorize(**changes)
        assert sent.status_code == 302, sent.text
        sealed = httpx2.URL(sent.headers["location"]).params["request"]
        answer = await self.http.post("/idp/login", data={"request": sealed, "person": person})
        assert answer.status_code == 302, answer.text
        return str(httpx2.URL(answer.headers["location"]).params["code"])

    async def redeem(self, code: str, **changes: str) -> httpx2.Response:
        """Exchanges a code as the portal does."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": "v" * 43}
        return await self.token(self.assertion("ndi-portal"), **{**form, **changes})

    async def call(self, token: str, path: str = "/probe/fhir/$who") -> httpx2.Response:
        """Calls a protected route with the token."""
        return await self.http.post(path, headers={"Authorization": f"Bearer {token}"})


def new_client(client_id: str, **changes: Any) -> Client:
    """A client as registered for tests."""
    key = jose.public_jwk(KEYS.get(client_id) or jose.new_key())
    values: dict[str, Any] = {
        "client_id": client_id,
        "name": client_id,
        "organisation": "SE0000000011-VG",
        "organisation_name": "Region Norr",
        "scopes": ("system/DocumentReference.cu", "system/Organization.rs"),
        "roles": ("source",),
        "grants": ("client_credentials",),
        "redirect_uris": (),
        "purpose": "HOPERAT",
        "valid_from": datetime.now(UTC) - timedelta(days=1),
        "keys": {key["kid"]: key},
    }
    return Client(**{**values, **changes})


PORTAL = new_client(
    "ndi-portal",
    organisation="SE0000000099-OP",
    organisation_name="ndi",
    scopes=("patient/*.cruds", "user/*.cruds", "system/Organization.rs"),
    roles=(),
    grants=("client_credentials", "authorization_code"),
    redirect_uris=(REDIRECT, "https://portal.example/back"),
)
PEOPLE = (
    Person("astrid", "Astrid Exempel", CallerKind.patient, person_key=ASTRID, roles=("patient",)),
    Person(
        "disa", "Disa Dentström", CallerKind.staff, hsa_id="SE0000000044-D1", organisation="SE0000000044-VG",
        organisation_name="Tandkliniken Anemonen AB", unit="SE0000000044-VE1", unit_name="Tandkliniken Anemonen",
        profession="dentist", roles=("clinician",),
    ),
)  # fmt: skip


async def _who(context: Context, request: Request) -> Answer:
    context.decided = True
    context.record(AuditEntry("probe", person=context.caller.person))
    caller = context.caller
    return Answer(
        {
            "resourceType": "Basic",
            "client": caller.client_id,
            "kind": caller.kind.value,
            "scopes": sorted(caller.scopes),
            "roles": sorted(caller.roles),
            "organisation": caller.organisation,
            "unit": caller.unit,
            "user": caller.user,
            "name": caller.user_name,
            "profession": caller.profession,
            "person": caller.person.hex() if caller.person else None,
            "purpose": caller.purpose,
            "assurance": caller.assurance,
        }
    )


def probe() -> Service:
    """A service with protected routes, as any other of ours."""
    routes = (
        Route("/fhir/$who", _who, Access.person_data, ("Organization", "r")),
        Route("/fhir/$log", _who, Access.person_data, ("AuditEvent", "s")),
    )
    return Service(name="probe", title="Probe", base="/probe", routes=routes)


def application(engine: AsyncEngine, cipher: Cipher, settings: SecuritySettings, audit: ListAudit) -> House:
    """The authorization server beside a protected service, as one process serves them."""
    authenticator = TokenAuthenticator(database_keys(engine), issuer=settings.issuer)
    service = create_service(engine=engine, cipher=cipher, settings=settings)
    app = create_app(service, engine=engine, authenticator=authenticator, audit=audit)
    probed = create_app(probe(), engine=None, authenticator=authenticator, audit=audit)
    root = Starlette(routes=root_routes(engine=engine, cipher=cipher, settings=settings, audit=audit))
    return House(engine, {service.base: app, "/probe": probed}, root, ())


@asynccontextmanager
async def serving_authority(url: str, cipher: Cipher) -> AsyncIterator[Server]:
    """An authorization server on a database, test identity provider on, nothing registered."""
    engine = create_engine(url)
    settings, audit = SecuritySettings(ISSUER, test_idp=True), ListAudit()
    try:
        async with running(application(engine, cipher, settings, audit)) as http:
            yield Server(http, engine, SecurityStore(engine), cipher, settings, audit)
    finally:
        await engine.dispose()


async def register(server: Server) -> None:
    """Registers clients and people as every test expects them."""
    now = datetime.now(UTC)
    for client in (new_client("region-norr"), PORTAL):
        await server.store.put_client(client, now)
    for person in PEOPLE:
        await server.store.put_person(person)


@pytest.fixture(scope="session")
async def shared_authority(server: str, template: str, cipher: Cipher) -> AsyncIterator[Server]:
    """One server for all tests here: they differ in registrations, which each test begins anew."""
    async with fresh_database(server, template) as url, serving_authority(url, cipher) as running_server:
        yield running_server


@pytest.fixture
async def authority(shared_authority: Server) -> Server:
    """The running authorization server with the registrations of `register`."""
    await register(shared_authority)
    shared_authority.audit.entries.clear()
    return shared_authority
