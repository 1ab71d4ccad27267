# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Verifies access tokens for the kernel; imported by `ndi/assembly.py` alone.

Works in the process that holds the authorization server (keys from the database) and in any other (keys over HTTP).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
import hashlib
import time
from typing import Any, Final

import httpx2

from fhir_server.context import Caller, CallerKind
from fhir_server.outcome import Malformed, Unauthenticated, Unavailable
from security import jose
from security.keys import VerificationKeys, public_jwks
from security.model import access
from security.model.access import Verified, refused
from security.model.scopes import Level, grant
from security.store import AsyncEngine, SecurityStore

__all__ = ["ClientStanding", "TokenAuthenticator", "database_keys", "http_keys"]

_LEVELS: Final[dict[CallerKind, Level]] = {
    CallerKind.system: "system",
    CallerKind.staff: "user",
    CallerKind.patient: "patient",
}
_CACHED: Final = 10_000
_JWKS_SECONDS: Final = 3.0
_MAX_JWKS: Final = 262_144


class TokenAuthenticator:
    """The kernel's `Authenticator`: the caller of a bearer token, from verified claims only.

    A token that was verified once is remembered, by its hash, until it expires.
    """

    def __init__(
        self,
        keys: VerificationKeys,
        *,
        issuer: str,
        audience: str = "ndi",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys, self._issuer, self._audience, self._clock = keys, issuer, audience, clock
        self._known: OrderedDict[bytes, Verified] = OrderedDict()

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of the token in an Authorization header.

        Raises `Unauthenticated` if there is none or it does not hold, `Malformed` if it is longer than any token of
        ours, `Unavailable` if no keys could be had.
        """
        if authorization is None:
            raise Unauthenticated(
                "send an access token: Authorization: Bearer …",
                code="missing-token",
                headers={"WWW-Authenticate": "Bearer"},
            )
        digest = hashlib.sha256(authorization.encode("latin-1", "replace")).digest()
        known = self._known.get(digest)
        if known is not None and self._clock() < known.expires:
            self._known.move_to_end(digest)
            return known.caller
        fresh = await self._verified(authorization)
        self._known[digest] = fresh
        if len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return fresh.caller

    async def _verified(self, authorization: str) -> Verified:
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise refused("send the access token with the scheme Bearer")
        if len(text) > jose.MAX_TOKEN:
            raise Malformed(f"an access token has at most {jose.MAX_TOKEN} characters", code="token-too-long")
        try:
            token = jose.read(text)
        except jose.BadToken:
            raise refused("the access token is not well formed") from None
        # The header only names a key of ours; keys it brings along or points to (jwk, jku, x5u) are never looked at.
        key = None if token.kid is None else await self._keys.key(token.kid)
        if key is None:
            raise refused("the access token is signed with an unknown key")
        try:
            jose.verify(token, key, (access.ALGORITHM,))
        except jose.BadToken:
            raise refused("the signature of the access token does not hold") from None
        return access.verified(
            token.header, token.claims, issuer=self._issuer, audience=self._audience, now=self._clock()
        )


class ClientStanding:
    """The kernel's `Standing`, where the registry of clients is in this process."""

    def __init__(self, engine: AsyncEngine, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store, self._clock = SecurityStore(engine), clock

    async def __call__(self, caller: Caller) -> Caller | None:
        """None if the client is revoked, outside its period or another organisation's by now.

        Roles of a person are not the client's to give or take.
        """
        client = await self._store.client(caller.client_id)
        if client is None or not client.active(self._clock()):
            return None
        level: Level = _LEVELS[caller.kind]
        scopes = frozenset(grant(caller.scopes, client.scopes, level))
        if caller.kind is not CallerKind.system:
            return replace(caller, scopes=scopes)
        if client.organisation != caller.organisation:
            return None
        return replace(caller, scopes=scopes, roles=caller.roles & frozenset(client.roles))


def database_keys(engine: AsyncEngine) -> VerificationKeys:
    """The keys of the authorization server in this process."""
    store = SecurityStore(engine)
    return VerificationKeys(lambda: public_jwks(store))


def http_keys(jwks_uri: str, http: httpx2.AsyncClient) -> VerificationKeys:
    """The keys of an authorization server elsewhere. Its address comes from settings, never from a token."""
    return VerificationKeys(_loader(jwks_uri, http))


def _loader(jwks_uri: str, http: httpx2.AsyncClient) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    async def load() -> Mapping[str, Any]:
        try:
            answer = await http.get(jwks_uri, timeout=_JWKS_SECONDS, follow_redirects=False)
            jwks = answer.json() if answer.status_code == 200 and len(answer.content) <= _MAX_JWKS else None
        except (httpx2.HTTPError, ValueError):
            jwks = None
        if not isinstance(jwks, dict):
            raise Unavailable("the keys of the authorization server cannot be had; try again")
        return jwks

    return load
