# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The token endpoint (RFC 6749 3.2): a client proves who it is by a signed assertion, and gets an access token.

Grants: client_credentials (SMART Backend Services) and authorization_code with PKCE. Clients authenticate by
private_key_jwt (RFC 7523) in both; there are no client secrets.
"""

from collections.abc import Mapping
from datetime import datetime
import secrets
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from fhir_server.context import Answer, AuditEntry, Caller, Context
from fhir_server.outcome import FhirError
from fhir_server.service import FORM, Request
from security import jose
from security.errors import (
    NO_STORE,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from security.keys import SigningKeys
from security.model import access, assertion, pkce, scopes
from security.model.registration import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, Client
from security.settings import SecuritySettings
from security.store import SecurityStore

PARAMETERS: Final = (
    "grant_type", "client_assertion_type", "client_assertion", "client_id", "scope", "code", "code_verifier",
    "redirect_uri",
)  # fmt: skip
"""The parameters of a request, of both grants."""
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class TokenEndpoint:
    """POST /oauth2/token."""

    def __init__(self, store: SecurityStore, keys: SigningKeys, settings: SecuritySettings) -> None:
        self._store, self._keys, self._settings = store, keys, settings

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers an access token; every grant and every refusal of a registered client is logged.

        Raises an `OAuthError` that says what is wrong.
        """
        form = read_form(request)
        if request.headers.get("authorization") is not None:
            raise InvalidClient("authenticate by client_assertion; client secrets are not used")
        grant = _required(form, "grant_type")
        if grant not in (CLIENT_CREDENTIALS, AUTHORIZATION_CODE):
            raise UnsupportedGrantType(f"grants are {CLIENT_CREDENTIALS} and {AUTHORIZATION_CODE}")
        client = await self._authenticate(context, form)
        context.caller = client.caller(())
        try:
            if grant not in client.grants:
                raise UnauthorizedClient(f"the client is not registered for {grant}")
            if grant == CLIENT_CREDENTIALS:
                subject, caller = client.client_id, client.caller(_granted(form.get("scope"), client))
            else:
                subject, caller = await self._of_code(context, form, client)
        except FhirError as error:
            _record(context, "denied", grant, client.client_id, reason=error.detail_code)
            raise
        answer = await self._issue(caller, subject, context.now)
        _record(context, "success", grant, client.client_id)
        return Answer(orjson.dumps(answer), headers=NO_STORE, media_type="application/json")

    async def _authenticate(self, context: Context, form: Mapping[str, str]) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClient(f"client_assertion_type must be {ASSERTION_TYPE}")
        try:
            token = jose.read(_required(form, "client_assertion"))
        except jose.BadToken as error:
            raise InvalidClient(f"the assertion is no token: {error}") from None
        assertion.check_header(token.header)
        client_id = assertion.claimed_client(token.claims, form.get("client_id"))
        client = await self._store.client(client_id)
        if client is None or not client.active(context.now):
            raise InvalidClient("the client is not registered, or its registration does not hold now")
        try:
            _verify(token, client)
            endpoint, issuer = self._settings.token_endpoint, self._settings.issuer
            checked = assertion.check_claims(token.claims, client_id, (endpoint, issuer, f"{issuer}/"), context.now)
            # Last of all, so that only the client itself can use up an id.
            if not await self._store.use_jti(client_id, checked.jti, checked.expires, context.now):
                raise InvalidClient("the assertion was used before; sign a new one with another jti")
        except OAuthError:
            _record(context, "denied", "client-authentication", client_id, reason="invalid_client")
            raise
        return client

    async def _of_code(self, context: Context, form: Mapping[str, str], client: Client) -> tuple[str, Caller]:
        code, verifier = _required(form, "code"), _required(form, "code_verifier")
        redirect_uri = _required(form, "redirect_uri")
        given = await self._store.use_code(code, context.now)
        if given is None or given.client_id != client.client_id or given.redirect_uri != redirect_uri:
            raise InvalidGrant("the code is unknown, used, expired, or was given to another client or address")
        if not pkce.matches(verifier, given.challenge):
            raise InvalidGrant("code_verifier does not belong to the code_challenge")
        person = await self._store.person(given.person_id)
        if person is None:
            raise InvalidGrant("the person is no longer registered")
        granted = scopes.grant(given.scopes, client.scopes, person.level)
        if not granted:
            raise InvalidScope(f"none of the scopes is registered for the client at the level {person.level}")
        return person.id, person.caller(client, granted)

    async def _issue(self, caller: Caller, subject: str, now: datetime) -> dict[str, Any]:
        settings = self._settings
        claims = access.token_claims(
            issuer=settings.issuer,
            audience=settings.audience,
            caller=caller,
            subject=subject,
            jti=secrets.token_urlsafe(16),
            now=now,
            seconds=settings.token_seconds,
        )
        key = await self._keys.current()
        return {
            "access_token": jose.sign(claims, key, algorithm=access.ALGORITHM, kind=access.TOKEN_TYPE),
            "token_type": "Bearer",
            "expires_in": settings.token_seconds,
            "scope": claims["scope"],
        }


def read_form(request: Request) -> dict[str, str]:
    """The parameters of a form, each once (RFC 6749 3.2). Raises `InvalidRequest`."""
    if request.media_type != FORM:
        raise InvalidRequest(f"send the parameters as {FORM}")
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=50
        )
    except ValueError:
        raise InvalidRequest("the form is not well formed") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidRequest("a parameter is sent twice")
    # A parameter without a value counts as left out (RFC 6749 3.1).
    return {name: value for name, value in form.items() if value}


def _verify(token: jose.Unverified, client: Client) -> None:
    if "kid" in token.header:
        jwk = client.keys.get(token.header["kid"])
    else:
        jwk = next(iter(client.keys.values())) if len(client.keys) == 1 else None
    if jwk is None:
        raise InvalidClient("kid of the assertion is none of the client's registered keys")
    key = jose.public_key(jwk)
    try:
        jose.verify(token, key, jose.key_algorithms(key))
    except jose.BadToken:
        raise InvalidClient("the signature of the assertion does not hold under the registered key") from None


def _granted(requested: str | None, client: Client) -> tuple[str, ...]:
    named = None if requested is None else scopes.split_scopes(requested)
    if requested is not None and named is None:
        raise InvalidScope("scope holds a character that scopes may not have")
    granted = scopes.grant(named, client.scopes, "system")
    if not granted:
        raise InvalidScope("none of the scopes is registered for the client at the level system")
    return granted


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if value is None:
        raise InvalidRequest(f"{name} is required")
    return value


def _record(context: Context, outcome: str, grant: str, client_id: str, *, reason: str | None = None) -> None:
    entry = AuditEntry("token", "E", outcome, reason=reason, detail={"grant": grant, "client": client_id})
    context.record(entry)
