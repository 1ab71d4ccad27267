# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How a system of the demo checks bearer tokens itself, against the keys of the network's authorization server.

RFC 9068. It trusts that server and nobody else.
"""

from collections.abc import Mapping
import time
from typing import Any, Final

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

AUDIENCE: Final = "ndi"
_REFRESH: Final = 2.0
"""Seconds between two fetches of the keys, however many tokens fail."""


class Refused(Exception):
    """A caller that is not let in. `status` is 401 (not known), 403 (known, not allowed) or 503 (cannot be checked)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Trust:
    """Verifies bearer tokens; the keys are fetched when one is not known, at most once in two seconds."""

    def __init__(
        self, http: httpx2.AsyncClient, jwks_url: str, *, audience: str = AUDIENCE, issuer: str | None = None
    ) -> None:
        """`issuer` None: whoever signs with these keys."""
        self._http, self._url = http, jwks_url
        issued: ClaimsOption = {} if issuer is None else {"essential": True, "value": issuer}
        self._registry = JWTClaimsRegistry(
            exp={"essential": True}, iss=issued, aud={"essential": True, "value": audience}
        )
        self._keys = KeySet([])
        self._fetched = float("-inf")

    async def claims(self, authorization: str | None) -> Mapping[str, Any]:
        """The claims of the token in the Authorization header. Raises `Refused`."""
        if authorization is None or not authorization.startswith("Bearer "):
            raise Refused(401, "send a bearer token of the network's authorization server")
        token = authorization.removeprefix("Bearer ").strip()
        for known in (time.monotonic() - self._fetched < _REFRESH, True):
            try:
                return self._verified(token)
            except (JoseError, ValueError):
                if known:
                    break
            await self._fetch()
        raise Refused(401, "the token does not hold: signature, issuer, audience or expiry")

    def _verified(self, token: str) -> Mapping[str, Any]:
        if not self._keys.keys:
            raise ValueError("no keys yet")
        read = jwt.decode(token, self._keys, algorithms=["ES256"])
        if str(read.header.get("typ", "")).lower() != "at+jwt":
            raise ValueError("not an access token")
        self._registry.validate(read.claims)
        return read.claims

    async def _fetch(self) -> None:
        try:
            answer = await self._http.get(self._url)
            answer.raise_for_status()
            self._keys = KeySet.import_key_set(answer.json())
        except (httpx2.HTTPError, ValueError, JoseError) as error:
            raise Refused(503, "the authorization server's keys cannot be had now; try again") from error
        self._fetched = time.monotonic()


def of_the_network(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """The network's own claims about a caller; empty if there are none."""
    own = claims.get("ndi")
    return own if isinstance(own, dict) else {}
