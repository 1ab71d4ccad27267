# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `security`: how a service gets a token of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import os
import secrets
import time
from typing import Any, Final, Protocol

import httpx2

from fhir_server.context import Caller, Context
from fhir_server.outcome import BadGateway, FhirError, Unauthenticated, Unavailable
from security import jose
from security.model.access import caller_of

__all__ = ["ASSERTION_TYPE", "HttpTokenSource", "TokenSource", "client_assertion"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_ASSERTION_SECONDS: Final = 120
_RENEW_BEFORE: Final = 60.0
"""Seconds before a token expires from which a new one is fetched: longer than any call that is made with it."""


class TokenSource(Protocol):
    """Gives a service that acts on its own behalf (transfer, portal) a context with a valid token."""

    async def context(self, *, seconds: float, scopes: Sequence[str] = ()) -> Context:
        """A context with the service's own caller and token, `seconds` until its deadline."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    caller: Caller
    token: str
    until: float


class HttpTokenSource:
    """Gets its token from a token endpoint by client assertion (RFC 7523), and a new one in time."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        key: Mapping[str, Any],
        http: httpx2.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`key`: the client's private JWK, as `ndi security key create` writes it. Raises `ValueError` on another."""
        self._token_url, self._client_id, self._http, self._clock = token_url, client_id, http, clock
        self._key = dict(key)
        jose.private_key(self._key)
        self._held: dict[tuple[str, ...], _Held] = {}
        self._lock = asyncio.Lock()

    async def context(self, *, seconds: float, scopes: Sequence[str] = ()) -> Context:
        """A context with the service's own caller and token, `seconds` until its deadline.

        Raises `Unauthenticated` if the authorization server refuses the client, `Unavailable` if it does not answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        wanted = tuple(sorted(scopes))
        held = self._held.get(wanted)
        if held is None or self._clock() >= held.until:
            async with self._lock:
                held = self._held.get(wanted)
                if held is None or self._clock() >= held.until:
                    held = self._held[wanted] = await self._fetch(wanted, seconds)
        return Context(
            caller=held.caller,
            token=held.token,
            now=datetime.now(UTC),
            deadline=deadline,
            trace_id=os.urandom(16).hex(),
            clock=loop.time,
        )

    async def _fetch(self, scopes: tuple[str, ...], seconds: float) -> _Held:
        asked = self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client_assertion(self._client_id, self._key, self._token_url, now=asked),
        }
        if scopes:
            form["scope"] = " ".join(scopes)
        try:
            answer = await self._http.post(self._token_url, data=form, timeout=seconds, follow_redirects=False)
            body = answer.json()
        except httpx2.HTTPError as error:
            raise Unavailable("the authorization server does not answer; try again") from error
        except ValueError as error:
            raise BadGateway("the authorization server answered with something that is no JSON") from error
        if not isinstance(body, dict):
            raise BadGateway("the authorization server answered with something that is no token")
        if answer.status_code != 200:
            raise _refusal(answer.status_code, body)
        token, lives = body.get("access_token"), body.get("expires_in")
        if not isinstance(token, str) or not isinstance(lives, int):
            raise BadGateway("the authorization server answered with something that is no token")
        try:
            caller = caller_of(jose.read(token).claims)
        except jose.BadToken as error:
            raise BadGateway("the authorization server answered with something that is no token") from error
        # A token that lives shorter than our margin is used for half its life.
        return _Held(caller, token, asked + max(lives - _RENEW_BEFORE, lives / 2))


def client_assertion(client_id: str, key: Mapping[str, Any], audience: str, *, now: float | None = None) -> str:
    """A signed client assertion for the token endpoint `audience`, good once and for two minutes.

    `key`: the client's private JWK; `now`: seconds since 1970. Raises `ValueError` if it cannot sign.
    """
    private = jose.private_key(key)
    at = int(time.time() if now is None else now)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": at,
        "exp": at + _ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(16),
    }
    return jose.sign(claims, private, algorithm=jose.key_algorithms(private)[-1], kind="JWT")


def _refusal(status: int, body: Mapping[str, Any]) -> FhirError:
    text = f"the authorization server refuses: {body.get('error_description') or body.get('error') or status}"
    if status >= 500:
        return Unavailable(text)
    return Unauthenticated(text, code=str(body.get("error") or "invalid-token"))
