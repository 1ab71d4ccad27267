# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Keys and tokens: how the demo's systems prove who they are, and how a person logs in.

RFC 7523 (private_key_jwt), RFC 6749 4.1 and 4.4, RFC 7636 (PKCE S256). Keys are ES256.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
import re
import secrets
import time
from urllib.parse import parse_qs, urlsplit
import uuid

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address, no secret
AUTHORIZE_PATH = "/oauth2/authorize"
JWKS_PATH = "/oauth2/jwks"


class LoginFailed(Exception):
    """The authorization server did not give what was asked for; the text says what it said."""


def create_key(path: Path, key_id: str) -> None:
    """Writes a new private key (JWK, readable by the owner alone) and its public set beside it; keeps an old one."""
    if not path.exists():
        key = ECKey.generate_key("P-256", parameters={"kid": key_id, "alg": "ES256", "use": "sig"})
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(key.as_dict(private=True), file)
    public = ECKey.import_key(json.loads(path.read_text())).as_dict(private=False)
    jwks_path(path).write_text(json.dumps({"keys": [public]}))


def jwks_path(path: Path) -> Path:
    """Where the public set of the key at `path` is."""
    return path.with_suffix(".jwks.json")


def assertion(client_id: str, key: ECKey, audience: str, *, lifetime: int = 120) -> str:
    """A client assertion for the token endpoint; `lifetime` in seconds, at most 300 are accepted."""
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + lifetime,
              "jti": str(uuid.uuid4())}  # fmt: skip
    return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "JWT"}, claims, key)


def _token(answer: httpx2.Response) -> tuple[str, int]:
    if answer.status_code != 200:
        raise LoginFailed(f"the token endpoint answered {answer.status_code}: {answer.text[:300]}")
    body = answer.json()
    return str(body["access_token"]), int(body.get("expires_in", 60))


class SystemLogin:
    """A system's own token (client_credentials), fetched again shortly before it expires."""

    def __init__(self, http: httpx2.AsyncClient, ndi: str, client_id: str, key_path: Path, scope: str) -> None:
        self._http, self._ndi, self._client_id, self._scope = http, ndi, client_id, scope
        self._key = ECKey.import_key(json.loads(key_path.read_text()))
        self._token = ""
        self._until = 0.0

    async def token(self) -> str:
        """A token that holds for some seconds more. Raises `LoginFailed`."""
        if time.monotonic() >= self._until:
            endpoint = self._ndi + TOKEN_PATH
            answer = await self._http.post(
                endpoint,
                data={
                    "grant_type": "client_credentials",
                    "scope": self._scope,
                    "client_assertion_type": ASSERTION,
                    "client_assertion": assertion(self._client_id, self._key, endpoint),
                },
            )
            self._token, seconds = _token(answer)
            self._until = time.monotonic() + max(5, seconds - 30)
        return self._token

    async def headers(self) -> dict[str, str]:
        """The Authorization header. Raises `LoginFailed`."""
        return {"Authorization": f"Bearer {await self.token()}"}

    def forget(self) -> None:
        """The token was refused: fetch another at the next call."""
        self._until = 0.0


class BrowserLogin:
    """A person logs in at the test identity provider as a browser would: every redirect is followed by hand."""

    def __init__(self, http: httpx2.AsyncClient, ndi: str, client_id: str, key_path: Path, redirect_uri: str) -> None:
        self._http, self._ndi, self._client_id, self._redirect_uri = http, ndi, client_id, redirect_uri
        self._key = ECKey.import_key(json.loads(key_path.read_text()))

    async def token(self, person: str, scope: str) -> str:
        """The access token of `person` at this client. Raises `LoginFailed`."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        state = secrets.token_urlsafe(16)
        asked = await self._http.get(
            self._ndi + AUTHORIZE_PATH,
            params={
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": self._redirect_uri,
                "scope": scope,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            follow_redirects=False,
        )
        back = await choose_person(self._http, self._ndi, asked, person)
        answer = parse_qs(urlsplit(back).query)
        if answer.get("state") != [state] or "code" not in answer:
            raise LoginFailed("the login came back without a code or with another state")
        endpoint = self._ndi + TOKEN_PATH
        token, _ = _token(
            await self._http.post(
                endpoint,
                data={
                    "grant_type": "authorization_code",
                    "code": answer["code"][0],
                    "redirect_uri": self._redirect_uri,
                    "code_verifier": verifier,
                    "client_id": self._client_id,
                    "client_assertion_type": ASSERTION,
                    "client_assertion": assertion(self._client_id, self._key, endpoint),
                },
            )
        )
        return token


async def choose_person(http: httpx2.AsyncClient, ndi: str, asked: httpx2.Response, person: str) -> str:
    """From the answer of /oauth2/authorize over the identity provider's page to the address the browser is sent to."""
    location = _redirect(asked, "the authorization endpoint")
    refused = parse_qs(urlsplit(location).query)
    if "error" in refused:
        raise LoginFailed(f"the authorization server refuses: {refused.get('error_description', refused['error'])[0]}")
    page = await http.get(_absolute(ndi, location), follow_redirects=False)
    if page.status_code != 200 or "text/html" not in page.headers.get("content-type", ""):
        raise LoginFailed(f"the identity provider's page answered {page.status_code}")
    request = parse_qs(urlsplit(location).query).get("request", [""])[0]
    chosen = await http.post(
        _absolute(ndi, urlsplit(location).path), data={"request": request, "person": person}, follow_redirects=False
    )
    return _redirect(chosen, "the identity provider")


def _redirect(answer: httpx2.Response, who: str) -> str:
    if answer.status_code not in (302, 303, 307) or "location" not in answer.headers:
        said = " ".join(re.sub(r"<(style|title).*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL).split())
        raise LoginFailed(f"{who} answered {answer.status_code} instead of a redirect: {said[:300]}")
    return str(answer.headers["location"])


def _absolute(ndi: str, location: str) -> str:
    return location if urlsplit(location).scheme else ndi + location
