# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The register's addresses: `$process-message` for the network, `/health`, and `/test/…` for the demo."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
from typing import Any

import asyncpg
import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from demo.register.faults import Faults, LostAnswer, wait
from demo.register.message import Rejected, outcome, read
from demo.register.store import Store
from demo.trust import Refused, Trust, of_the_network

FHIR = "application/fhir+json"
LARGEST_BODY = 1024 * 1024
ISSUES = {
    400: "structure",
    401: "login",
    403: "forbidden",
    413: "too-long",
    422: "business-rule",
    503: "transient",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the register is started."""

    database_url: str
    issuer: str
    jwks_url: str
    audience: str = "ndi"
    hsa_id: str = "SE0000000055-REG"
    delay: float = 0.0
    """Seconds a message takes to be handled."""


class Register:
    """The handlers and what they need."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._faults = Faults()
        self._store: Store
        self._trust: Trust

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Opens the database and the way to the authorization server."""
        settings = self._settings
        async with (
            asyncpg.create_pool(settings.database_url, min_size=1, max_size=8) as pool,
            httpx2.AsyncClient(timeout=5, trust_env=False) as http,
        ):
            self._store = Store(pool, settings.hsa_id)
            self._trust = Trust(http, settings.jwks_url, audience=settings.audience, issuer=settings.issuer)
            await self._store.create()
            yield

    async def process_message(self, request: Request) -> ASGIApp:
        """Takes one message (https://hl7.org/fhir/R4/messageheader-operation-process-message.html)."""
        try:
            claims = await self._trust.claims(request.headers.get("authorization"))
            if "transfer" not in (of_the_network(claims).get("roles") or ()):
                raise Refused(403, "only the network's transfer service may submit")
            key = request.headers.get("idempotency-key", "")
            if not 0 < len(key) <= 500:
                raise Rejected(400, "send an Idempotency-Key of at most 500 characters")
            body = await _body(request)
            message = read(body)
            await self._store.attempted(message)
            fault = self._faults.meet()
            if fault.get("kind") == "unavailable":
                return _error(503, "the register is closed just now", retry_after=fault.get("retry_after"))
            if fault.get("kind") == "reject":
                raise Rejected(422, "the register does not take this record")
            if fault.get("kind") == "timeout":
                await wait(fault)
            await asyncio.sleep(self._settings.delay)
            kept = await self._store.take(key, body, message)
            if fault.get("kind") == "lost-answer":
                return LostAnswer(kept.answer)
            return Response(kept.answer, media_type=FHIR, headers={"X-Replayed": "false" if kept.new else "true"})
        except (Refused, Rejected) as error:
            return _error(error.status, error.text)

    async def records(self, request: Request) -> Response:
        """All records, for tests and the demo."""
        return JSONResponse(await self._store.records())

    async def fault(self, request: Request) -> Response:
        """Lets the next messages fail; kind `none` ends it."""
        try:
            wanted: Any = json.loads(await _body(request))
            if not isinstance(wanted, dict):
                raise ValueError("send an object")
            if wanted.get("kind") == "none":
                self._faults.clear()
            else:
                self._faults.plan(wanted)
        except ValueError as error:
            return _error(400, str(error))
        return Response(status_code=204)

    async def health(self, request: Request) -> Response:
        """Answers when the register can take messages."""
        return JSONResponse({"status": "ok"})


def create_app(settings: Settings) -> Starlette:
    """The register as an ASGI app."""
    register = Register(settings)
    routes = [
        Route("/$process-message", register.process_message, methods=["POST"]),
        Route("/health", register.health, methods=["GET"]),
        Route("/test/records", register.records, methods=["POST"]),
        Route("/test/fault", register.fault, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=register.lifespan)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Rejected(413, "a message has at most 1 MiB")
    return bytes(body)


def _error(status: int, text: str, *, retry_after: Any = None) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after is not None:
        headers["Retry-After"] = str(int(retry_after))
    body = outcome("error", ISSUES.get(status, "invalid"), text)
    return JSONResponse(body, status_code=status, media_type=FHIR, headers=headers)
