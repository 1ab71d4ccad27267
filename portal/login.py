# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Login by authorization code with PKCE (RFC 6749 4.1, RFC 7636), the portal's own key as client authentication."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import hashlib
import secrets
from typing import Any
from urllib.parse import urlencode

import httpx2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fhir_server.context import CallerKind
from fhir_server.outcome import Invalid, Unavailable
from portal.desk import COOKIE, HEADERS, Desk, Page, Visit, language_of
from portal.store import Session
from security.client import ASSERTION_TYPE, client_assertion

SCOPES = {
    CallerKind.patient.value: "patient/*.cruds",
    CallerKind.staff.value: "user/*.cruds",
}
_LOGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """How the portal reaches the authorization server."""

    authorize_url: str
    token_url: str
    redirect_uri: str
    client_id: str
    key: Mapping[str, Any]
    """The portal's private key as JWK."""


class Logins:
    """Takes people to the authorization server and back."""

    def __init__(self, desk: Desk, settings: LoginSettings, http: httpx2.AsyncClient) -> None:
        self._desk, self._settings, self._http = desk, settings, http

    async def start(self, request: Request) -> Response:
        """`GET /login?as=patient|staff`: to the authorization server."""
        kind = request.query_params.get("as", CallerKind.patient.value)
        if kind not in SCOPES:
            raise Invalid("as")
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        now = datetime.now(UTC)
        await self._desk.sessions.begin(state, verifier, kind, now, now + _LOGIN)
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "scope": SCOPES[kind],
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        answer = RedirectResponse(f"{self._settings.authorize_url}?{urlencode(query)}", 303, HEADERS)
        answer.set_cookie("ndi_state", state, max_age=600, httponly=True, secure=self._desk.secure, samesite="lax")
        return answer

    async def finish(self, request: Request) -> Response:
        """`GET /callback`: the code becomes a session; the state must be this browser's, once."""
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        bound = secrets.compare_digest(state.encode(), request.cookies.get("ndi_state", "").encode())
        now = datetime.now(UTC)
        login = await self._desk.sessions.finish(state, now) if state and bound else None
        if login is None or not code:
            return RedirectResponse("/?over=1", 303, HEADERS)
        granted = await self._token(code, login.verifier)
        session_id = secrets.token_urlsafe(32)
        ends = now + timedelta(seconds=int(granted.get("expires_in", 300)))
        await self._desk.sessions.open(
            session_id, Session(granted["access_token"], secrets.token_urlsafe(24), ends), now
        )
        target = "/patient" if login.kind == CallerKind.patient.value else "/clinician"
        answer = RedirectResponse(target, 303, HEADERS)
        answer.set_cookie(COOKIE, session_id, httponly=True, secure=self._desk.secure, samesite="lax")
        answer.delete_cookie("ndi_state")
        return answer

    async def end(self, visit: Visit, request: Request) -> Response:
        """`POST /logout`: the session is gone."""
        await self._desk.sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/", 303, HEADERS)
        answer.delete_cookie(COOKIE)
        return answer

    async def _token(self, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": verifier,
            "client_id": self._settings.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client_assertion(
                self._settings.client_id, self._settings.key, self._settings.token_url
            ),
        }
        try:
            answer = await self._http.post(self._settings.token_url, data=form, timeout=5)
            granted = answer.json()
        except (httpx2.HTTPError, ValueError):
            raise Unavailable("the authorization server does not answer") from None
        if answer.status_code != 200 or "access_token" not in granted:
            raise Invalid("the login was not accepted; start again")
        return dict(granted)


async def session_page(visit: Visit, request: Request) -> Page:
    """`GET /session`: who is logged in, and the token forms must carry."""
    caller = visit.caller
    data = {
        "csrf": visit.session.csrf,
        "kind": caller.kind.value,
        "name": caller.user_name,
        "organisation": caller.organisation_name,
        "expires": visit.session.expires.isoformat(),
    }
    return Page("session.html", data)


def welcome(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """`GET /`: the way in."""

    async def endpoint(request: Request) -> Response:
        language = language_of(request)
        answer = desk.render(request, Page("welcome.html", {"over": "over" in request.query_params}), language)
        if request.query_params.get("lang") == language:
            answer.set_cookie("ndi_language", language, httponly=True, secure=desk.secure, samesite="lax")
        return answer

    return endpoint


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
