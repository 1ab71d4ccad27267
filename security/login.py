# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The test identity provider: a page on which anybody picks one of the registered test people.

For demonstrations only. Where the setting is off, nothing is served here.
"""

from datetime import timedelta
from html import escape
import secrets
from urllib.parse import urlsplit

from fhir_server.context import Answer, AuditEntry, Context
from fhir_server.crypto import Cipher
from fhir_server.outcome import FhirError, NotFound
from fhir_server.service import Request
from security.authorize import LoginRequest, redirection, unseal
from security.errors import InvalidRequest
from security.model.registration import Client, Person, is_person_id
from security.model.scopes import grant
from security.settings import SecuritySettings
from security.store import Code, SecurityStore
from security.token import read_form

HTML = "text/html; charset=utf-8"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem; color: #222 }}
ul {{ list-style: none; padding: 0 }}
button {{ font: inherit; width: 100%; text-align: start; padding: .7rem 1rem; margin: .25rem 0; cursor: pointer;
  border: 1px solid #767676; border-radius: .4rem; background: #fff; color: inherit }}
button:hover, button:focus-visible {{ border-color: #1b5e9e; outline: 2px solid #1b5e9e }}
small {{ display: block; color: #555 }}
</style></head><body><main><h1>{title}</h1>{content}</main></body></html>
"""


class LoginPages:
    """GET and POST /idp/login."""

    def __init__(self, store: SecurityStore, cipher: Cipher, settings: SecuritySettings) -> None:
        self._store, self._cipher, self._settings = store, cipher, settings

    async def show(self, context: Context, request: Request) -> Answer:
        """The page with the people who can use what the client asks for."""
        self._check_offered()
        sealed = dict(request.query).get("request", "")
        login = unseal(self._cipher, sealed, context.now)
        client = await self._client(login, context)
        people = [each for each in await self._store.people() if grant(login.scopes, client.scopes, each.level)]
        content = _people(sealed, client, people)
        return Answer(_page("Who are you?", content), headers=_headers(login.redirect_uri), media_type=HTML)

    async def submit(self, context: Context, request: Request) -> Answer:
        """Gives a code for the person that was picked, and sends the browser back to the client."""
        self._check_offered()
        form = read_form(request)
        login = unseal(self._cipher, form.get("request", ""), context.now)
        client = await self._client(login, context)
        person_id = form.get("person", "")
        person = await self._store.person(person_id) if is_person_id(person_id) else None
        if person is None:
            raise InvalidRequest("this person is not registered; go back and pick another")
        context.caller = person.caller(client, ())
        context.record(AuditEntry("login", "E", person=person.person_key, ground="self", detail={"idp": "test"}))
        code = secrets.token_urlsafe(32)
        expires = context.now + timedelta(seconds=self._settings.code_seconds)
        given = Code(client.client_id, person.id, login.redirect_uri, login.challenge, login.scopes, expires)
        await self._store.put_code(code, given)
        # `iss` lets a client that knows several servers see which one answers (RFC 9207).
        answer = {"code": code, "state": login.state, "iss": self._settings.issuer}
        return redirection(login.redirect_uri, answer)

    async def _client(self, login: LoginRequest, context: Context) -> Client:
        client = await self._store.client(login.client_id)
        if client is None or not client.active(context.now) or login.redirect_uri not in client.redirect_uris:
            raise InvalidRequest("the registration of the client does not hold now")
        return client

    def _check_offered(self) -> None:
        if not self._settings.test_idp:
            raise NotFound("nothing is served under this address")


def error_page(error: FhirError, trace_id: str) -> Answer:
    """The error for a person at a browser."""
    content = f"<p>{escape(error.message)}</p><p><small>{escape(trace_id)}</small></p>"
    return Answer(_page("That did not work", content), error.status, {**_headers(None), **error.headers}, HTML)


def _people(sealed: str, client: Client, people: list[Person]) -> str:
    if not people:
        return "<p>No test person is registered who can use this.</p>"
    rows = "".join(
        f'<li><button name="person" value="{escape(each.id)}">{escape(each.name)}'
        f"<small>{escape(each.description)}</small></button></li>"
        for each in people
    )
    return (
        f"<p>{escape(client.name)} asks you to log in. These are invented people: pick one.</p>"
        f'<form method="post" action="/idp/login"><input type="hidden" name="request" value="{escape(sealed)}">'
        f"<ul>{rows}</ul></form>"
    )


def _page(title: str, content: str) -> bytes:
    return _PAGE.format(title=escape(title), content=content).encode()


def _headers(redirect_uri: str | None) -> dict[str, str]:
    """Nothing is loaded, nobody frames the page, and the form ends here or at the client it redirects to."""
    target = ""
    if redirect_uri is not None:
        parts = urlsplit(redirect_uri)
        target = f" {parts.scheme}://{parts.netloc}"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'{target}; frame-ancestors 'none'"
    return {"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}
