# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The authorization endpoint (RFC 6749 4.1, RFC 7636): checks what a client asks for, then has the person log in."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson

from fhir_server.context import Answer, Context
from fhir_server.crypto import Cipher, Undecryptable
from fhir_server.outcome import FhirError
from fhir_server.service import Request
from security.errors import (
    AccessDenied,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    UnauthorizedClient,
    UnsupportedResponseType,
    description,
)
from security.model import pkce, scopes
from security.model.registration import AUTHORIZATION_CODE, Client, is_client_id
from security.settings import SecuritySettings
from security.store import SecurityStore

ASKED: Final = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
)  # fmt: skip
"""The parameters of a request (RFC 6749 4.1.1, RFC 7636 4.3)."""
_PURPOSE: Final = b"security.authorization_request"
_MAX_STATE: Final = 1024


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """What a client asked for, carried sealed through the login."""

    client_id: str
    redirect_uri: str
    challenge: str
    state: str | None
    scopes: tuple[str, ...] | None


class AuthorizationEndpoint:
    """GET /oauth2/authorize."""

    def __init__(self, store: SecurityStore, cipher: Cipher, settings: SecuritySettings) -> None:
        self._store, self._cipher, self._settings = store, cipher, settings

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers a redirection: to the login page, or back to the client with an error.

        Raises `InvalidRequest` while it is not certain that the redirect URI belongs to the client: an error is then
        shown here, and nobody is sent anywhere.
        """
        query = dict(request.query)
        client = await self._client(query, context.now)
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in client.redirect_uris:
            raise InvalidRequest("redirect_uri is none of those registered for the client")
        state = query.get("state")
        try:
            if len(query) != len(request.query):
                raise InvalidRequest("a parameter is sent twice")
            wanted = _checked(query, client)
            if not self._settings.test_idp:
                raise AccessDenied("no identity provider is configured")
        except OAuthError as error:
            return redirection(redirect_uri, {**_told(error), "state": state, "iss": self._settings.issuer})
        login = LoginRequest(client.client_id, redirect_uri, query["code_challenge"], state, wanted)
        sealed = seal(self._cipher, login, context.now + timedelta(seconds=self._settings.login_seconds))
        return redirection(self._settings.login_page, {"request": sealed})

    async def _client(self, query: Mapping[str, str], now: datetime) -> Client:
        client_id = query.get("client_id", "")
        client = await self._store.client(client_id) if is_client_id(client_id) else None
        if client is None or not client.active(now):
            raise InvalidRequest("client_id is not registered, or its registration does not hold now")
        return client


def _checked(query: Mapping[str, str], client: Client) -> tuple[str, ...] | None:
    if AUTHORIZATION_CODE not in client.grants:
        raise UnauthorizedClient("the client is not registered to log people in")
    if query.get("response_type") != "code":
        raise UnsupportedResponseType("response_type must be code")
    if query.get("code_challenge_method") != "S256" or not pkce.is_challenge(query.get("code_challenge", "")):
        raise InvalidRequest("send code_challenge with code_challenge_method S256")
    if len(query.get("state", "")) > _MAX_STATE:
        raise InvalidRequest(f"state may have {_MAX_STATE} characters")
    if not query.get("scope"):
        return None
    wanted = scopes.split_scopes(query["scope"])
    if wanted is None:
        raise InvalidScope("scope holds a character that scopes may not have")
    if not scopes.grant(wanted, client.scopes, "user") and not scopes.grant(wanted, client.scopes, "patient"):
        raise InvalidScope("none of the scopes is registered for the client at the level user or patient")
    return tuple(wanted)


def redirection(address: str, parameters: Mapping[str, str | None]) -> Answer:
    """Sends the browser to an address with these query parameters added; None leaves one out."""
    parts = urlsplit(address)
    present = [(name, value) for name, value in parameters.items() if value is not None]
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *present])
    location = urlunsplit(parts._replace(query=query))
    return Answer(status=302, headers={"Location": location, "Referrer-Policy": "no-referrer"})


def seal(cipher: Cipher, login: LoginRequest, expires: datetime) -> str:
    """The request as opaque text, so that nothing is stored before anybody has logged in."""
    value = [login.client_id, login.redirect_uri, login.challenge, login.state, login.scopes, expires.timestamp()]
    return base64.urlsafe_b64encode(cipher.encrypt(orjson.dumps(value), _PURPOSE)).rstrip(b"=").decode()


def unseal(cipher: Cipher, text: str, now: datetime) -> LoginRequest:
    """The request again. Raises `InvalidRequest` if it was not made here or is too old."""
    try:
        sealed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        value: list[Any] = orjson.loads(cipher.decrypt(sealed, _PURPOSE))
    except (ValueError, Undecryptable):
        raise InvalidRequest("this login was not started here; go back and start again") from None
    client_id, redirect_uri, challenge, state, wanted, expires = value
    if expires <= now.timestamp():
        raise InvalidRequest("this login took too long; go back and start again")
    return LoginRequest(client_id, redirect_uri, challenge, state, None if wanted is None else tuple(wanted))


def _told(error: FhirError) -> dict[str, str]:
    return {"error": error.detail_code, "error_description": description(error.message)}
