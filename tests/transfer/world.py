# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The partners of the worker in small: feeds, a source and an authorization server behind one HTTP address.

Over HTTP, so that a worker may be a process of its own and be killed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
import json
import time
from typing import Any
import uuid

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from consent.client import ConsentChange, ConsentChanges
from fhir_server.context import AuditEntry, Caller, CallerKind, Context
from fhir_server.outcome import BadGateway, Forbidden, Unavailable
from gateway.client import Fetched, SourceStatus
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import PersonIdentifier, parse_swedish
from patient_index.client import Change, Changes, Entry

REGISTER = "SE0000000055-REG"
OPERATOR = "SE0000000099-OP"
NORR = "SE0000000011-VE1"
MITT = "SE0000000022-VE1"
ASTRID = "195701032863"
BERTIL = "199001032391"
ISSUER = "https://ndi.example/oauth2"


def allergy(identity: str, **changes: Any) -> dict[str, Any]:
    """A source's record; `changes` replace elements, None takes them away."""
    resource = {
        "resourceType": "AllergyIntolerance",
        "id": identity,
        "identifier": [{"system": "urn:oid:1.2.752.129.2.1.2.1", "value": identity}],
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                                       "code": "active", "display": "Active"}]},
        "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
                                           "code": "confirmed"}]},
        "category": ["medication"],
        "criticality": "high",
        "code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "J01CE02"}], "text": "fenoximetylpenicillin"},
        "patient": {"identifier": {"system": "http://electronichealth.se/identifier/personnummer", "value": ASTRID},
                    "display": "Astrid Exempel"},
        "recordedDate": "2025-12-03",
        "recorder": {"display": "Dr Testsson"},
        "note": [{"text": "ringde Astrid Exempel"}],
        "reaction": [{"manifestation": [{"coding": [{"system": "urn:oid:1.2.752.116.1.1.1", "code": "L270"}]}],
                      "severity": "severe"}],
        **changes,
    }  # fmt: skip
    return {name: value for name, value in resource.items() if value is not None}


@dataclass
class World:
    """What sources, index and consent service hold, and how they behave."""

    keys: PersonKeys
    index: list[dict[str, Any]] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    records: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    """By number and unit, then by record id."""
    silent: set[str] = field(default_factory=set)
    """Units that do not answer."""
    forbidden: str | None = None
    consents_down: bool = False
    fetches: int = 0
    tokens: int = 0
    """How often the worker asked for one."""
    fetch_delay: float = 0.0
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "world", "alg": "ES256"}))

    def person(self, number: str) -> PersonKey:
        """The person key of a number."""
        return self.keys.of(parse_swedish(number))

    def document(self, number: str, unit: str, resource: dict[str, Any]) -> None:
        """A unit documents or changes a record, and the index says so."""
        self.records.setdefault((number, unit), {})[resource["id"]] = resource
        self._announce(number, unit, resource["id"], deleted=False)

    def delete(self, number: str, unit: str, identity: str) -> None:
        """A unit deletes a record, and the index says so."""
        self.records.get((number, unit), {}).pop(identity, None)
        self._announce(number, unit, identity, deleted=True)

    def oppose(self, number: str, consent_id: str = "c1", *, register: str | None = REGISTER) -> None:
        """The person opposes (PDL 7:2)."""
        self._consent(number, consent_id, register, active=True)

    def return_(self, number: str, consent_id: str = "c1", *, register: str | None = REGISTER) -> None:
        """The person withdraws the opposition."""
        self._consent(number, consent_id, register, active=False)

    def _consent(self, number: str, consent_id: str, register: str | None, *, active: bool) -> None:
        self.consents.append({"person": self.person(number).hex(), "kind": "register-opt-out", "consent_id": consent_id,
                              "active": active, "register": register})  # fmt: skip

    def _announce(self, number: str, unit: str, identity: str, *, deleted: bool) -> None:
        self.index.append({"id": f"{unit}/{number[-4:]}/{identity}", "number": number, "unit": unit, "deleted": deleted,
                           "business_object": identity})  # fmt: skip

    def token(self, *, roles: Sequence[str] = ("transfer",), seconds: int = 300, **claims: Any) -> str:
        """An access token as the authorization server would give."""
        now = int(time.time())
        body = {"iss": ISSUER, "aud": "ndi", "iat": now, "exp": now + seconds, "jti": str(uuid.uuid4()),
                "client_id": "ndi-transfer", "sub": "ndi-transfer", "scope": "system/*.cruds",
                "ndi": {"kind": "system", "roles": list(roles), "organisation": OPERATOR}, **claims}  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, "typ": "at+jwt"}, body, self.key)

    def app(self) -> Starlette:
        """The world as an ASGI app."""
        routes = [
            Route("/jwks", self._jwks),
            Route("/token", self._token, methods=["POST"]),
            Route("/feed/{name}", self._feed, methods=["POST"]),
            Route("/fetch", self._fetch, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _jwks(self, request: Request) -> JSONResponse:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _token(self, request: Request) -> JSONResponse:
        self.tokens += 1
        return JSONResponse({"access_token": self.token()})

    async def _feed(self, request: Request) -> JSONResponse:
        asked = await request.json()
        name = request.path_params["name"]
        if name == "consents" and self.consents_down:
            return JSONResponse({}, 503)
        feed = self.index if name == "index" else self.consents
        start = int(asked["cursor"] or 0)
        items = feed[start : start + asked["limit"]]
        return JSONResponse({"items": items, "cursor": str(start + len(items))})

    async def _fetch(self, request: Request) -> JSONResponse:
        asked = await request.json()
        self.fetches += 1
        await asyncio.sleep(self.fetch_delay)
        if self.forbidden is not None:
            return JSONResponse({"forbidden": self.forbidden})
        silent = asked["unit"] in self.silent
        held = [] if silent else list(self.records.get((asked["number"], asked["unit"]), {}).values())
        return JSONResponse({"silent": silent, "resources": held})


class Partners:
    """Index, gateway, consent and tokens of a world at an address, as the worker's clients."""

    def __init__(self, http: httpx2.AsyncClient, keys: PersonKeys, *, in_process: bool = False) -> None:
        """`in_process`: like a local client, it leaves what must be logged in the context."""
        self._http, self._keys, self._in_process = http, keys, in_process

    async def context(self, *, seconds: float, scopes: Sequence[str] = ()) -> Context:
        token = (await self._post("/token", {}))["access_token"]
        caller = Caller("ndi-transfer", CallerKind.system, frozenset({"system/*.cruds"}), frozenset({"transfer"}),
                        organisation=OPERATOR, organisation_name="ndi", purpose="HQUALIMP")  # fmt: skip
        deadline = asyncio.get_running_loop().time() + seconds
        return Context(caller, token, datetime.now(UTC), deadline, uuid.uuid4().hex)

    async def fetch_from(
        self, context: Context, identifier: PersonIdentifier, resource_type: str, unit: str, register: str
    ) -> Fetched:
        if self._in_process:
            context.record(AuditEntry("register-transfer", person=self._keys.of(identifier)))
        answer = await self._post("/fetch", {"number": identifier.value, "unit": unit})
        if "forbidden" in answer:
            raise Forbidden("the person opposes", code=answer["forbidden"])
        status = SourceStatus(unit, unit, unit, "silent" if answer["silent"] else "answered", "", 1)
        entries = [{"resource": each, "search": {"mode": "match"}} for each in answer["resources"]]
        entries.append({"resource": {"resourceType": "Provenance"}, "search": {"mode": "include"}})
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        return Fetched(bundle, (status,), complete=not answer["silent"])

    async def index_changes(
        self, context: Context, cursor: str | None, information_types: Sequence[str], limit: int
    ) -> Changes:
        page = await self._post("/feed/index", {"cursor": cursor, "limit": limit})
        return Changes(tuple(self._change(each) for each in page["items"]), page["cursor"])

    async def consent_changes(self, context: Context, cursor: str | None, limit: int) -> ConsentChanges:
        page = await self._post("/feed/consents", {"cursor": cursor, "limit": limit})
        items = tuple(
            ConsentChange(PersonKey.from_hex(each["person"]), each["kind"], each["consent_id"], each["active"],
                          each["register"])
            for each in page["items"]
        )  # fmt: skip
        return ConsentChanges(items, page["cursor"])

    def _change(self, each: dict[str, Any]) -> Change:
        identifier = parse_swedish(each["number"])
        entry = Entry(each["id"], self._keys.of(identifier), each["unit"][:-1], each["unit"], "alert",
                      each["unit"] + "SYS", each["business_object"], datetime.now(UTC))  # fmt: skip
        return Change(entry, identifier, each["deleted"])

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            answer = await self._http.post(path, content=json.dumps(body))
        except httpx2.HTTPError as error:
            raise BadGateway(type(error).__name__) from error
        if answer.status_code != 200:
            raise Unavailable(f"answered {answer.status_code}")
        return answer.json()


class Index:
    """The part of `IndexClient` the worker uses."""

    def __init__(self, partners: Partners) -> None:
        self.changes = partners.index_changes


class Consents:
    """The part of `ConsentClient` the worker uses."""

    def __init__(self, partners: Partners) -> None:
        self.changes = partners.consent_changes
