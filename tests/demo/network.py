# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The network as a source needs it: a token endpoint, keys, a catalogue and an index that write down what they get.

A small peer of its own over real HTTP, so that the sources can be tested alone; the whole is tested by the scenario.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from pathlib import Path
import time
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey
from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.actors import BY_NAME
from demo.regions import soap
from demo.regions.engagement import UPDATE
from demo.regions.serve import Arguments
from demo.tokens import create_key
from tests.support.databases import SERVER_URL, fresh_database
from tests.support.running import running, serving

STAFF = {"Authorization": "Staff the-houses-own-secret"}


@dataclass(slots=True)
class Network:
    """What the sources told, and how the index answers."""

    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "as-1"}))
    resources: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    updates: list[bytes] = field(default_factory=list)
    refusals: int = 0
    """How many of the next messages to the index are answered 503."""

    def token(self, **changes: Any) -> str:
        """An access token of a dentist; `changes` replace claims, `typ` the header's type."""
        typ = changes.pop("typ", "at+jwt")
        signer = changes.pop("key", self.key)
        claims = {
            "iss": "http://as", "aud": "ndi", "client_id": "anemonen-ehr", "sub": "disa",
            "iat": int(time.time()), "exp": int(time.time()) + 60,
            "ndi": {"kind": "staff", "organisation": "SE0000000044-VG", "user": "SE0000000044-D1"},
        } | changes  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": "as-1", "typ": typ}, claims, signer)

    def bearer(self, **changes: Any) -> dict[str, str]:
        """The header with such a token."""
        return {"Authorization": f"Bearer {self.token(**changes)}"}

    def _refuse(self) -> bool:
        self.refusals -= 1
        return self.refusals >= 0

    async def _token(self, _request: Request) -> Response:
        return JSONResponse({"access_token": "system", "token_type": "Bearer", "expires_in": 300})

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _resource(self, request: Request) -> Response:
        if self._refuse():
            return Response(status_code=503)
        self.resources.append((request.url.path, request.url.query, json.loads(await request.body())))
        return JSONResponse({}, 201)

    async def _update(self, request: Request) -> Response:
        body = await request.body()
        if self._refuse():
            return Response(soap.fault("EI000: later", client=False), 500, media_type=soap.MEDIA)
        self.updates.append(body)
        answer = etree.Element(f"{{{UPDATE}}}UpdateResponse", nsmap={"u": UPDATE})
        soap.add(answer, UPDATE, "ResultCode", "OK")
        return Response(soap.envelope(answer), media_type=soap.MEDIA)

    def routes(self) -> Sequence[BaseRoute]:
        """The endpoints a source uses."""
        return [
            Route("/oauth2/token", self._token, methods=["POST"]),
            Route("/oauth2/jwks", self._keys),
            Route("/patient-index/soap/Update", self._update, methods=["POST"]),
            Route("/{service}/fhir/{kind}", self._resource, methods=["PUT"]),
        ]

    def entries(self) -> list[dict[str, Any]]:
        """What the index was told by FHIR."""
        return [body for _, _, body in self.resources if body["resourceType"] == "DocumentReference"]


@dataclass(slots=True)
class RunningSource:
    """A source that serves."""

    http: httpx2.AsyncClient
    network: Network

    async def settled(self) -> None:
        """Returns when it is registered and its outbox is empty."""
        import asyncio

        for _ in range(400):
            health = (await self.http.get("/health")).json()
            if health["registered"] and health["outbox"] == 0:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the source does not settle")


@asynccontextmanager
async def source(name: str, app_of: Any, folder: Path, network: Network | None = None) -> AsyncIterator[RunningSource]:
    """A source named `name` on a database of its own; `app_of` makes the app from its arguments."""
    network = network or Network()
    key = folder / "key.json"
    create_key(key, name)
    staff = folder / "staff.json"
    staff.write_text(json.dumps({"staff": "the-houses-own-secret"}))
    async with fresh_database(SERVER_URL, "template0") as url, serving(Starlette(routes=network.routes())) as ndi:
        given = Arguments(BY_NAME[name], 1, url, ndi, key, name, staff)
        async with running(app_of(given)) as http:
            yield RunningSource(http, network)
