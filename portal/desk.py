# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What every page needs: who is logged in, a context to ask the services with, and the answer as page or JSON."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
import hmac
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
import structlog

from audit.client import AuditClient
from consent.client import ConsentClient
from fhir_server.context import AuditSink, Authenticator, Caller, CallerKind, Context
from fhir_server.outcome import DeadlineExceeded, FhirError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from fhir_server.trace import trace_id_of
from gateway.client import GatewayClient
from identifiers.person_number import InvalidPersonNumber
from patient_index.client import IndexClient
from portal.store import Session, SessionStore
from portal.texts import LANGUAGES, text
from provider_catalog.client import CatalogClient
from transfer.client import TransferClient

COOKIE = "ndi_session"
LANGUAGE = "ndi_language"
SECONDS = 10.0
STOCKHOLM = ZoneInfo("Europe/Stockholm")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

log = structlog.get_logger("ndi.portal")


@dataclass(frozen=True, slots=True)
class Services:
    """The services the pages ask."""

    index: IndexClient
    catalog: CatalogClient
    consent: ConsentClient
    audit: AuditClient
    transfer: TransferClient
    gateway: GatewayClient


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a person who is logged in."""

    context: Context
    session: Session
    form: Mapping[str, str]
    language: str

    @property
    def caller(self) -> Caller:
        """Who is logged in."""
        return self.context.caller


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its template, and the same facts as JSON."""

    template: str
    data: Mapping[str, Any]
    status: int = 200


Handler = Callable[[Visit, Request], Awaitable[Page | Response]]


class Desk:
    """Builds visits and answers."""

    def __init__(
        self, sessions: SessionStore, authenticator: Authenticator, sink: AuditSink, *, secure_cookies: bool
    ) -> None:
        self.sessions, self.secure = sessions, secure_cookies
        self._authenticator, self._sink = authenticator, sink
        self._environment = Environment(
            loader=FunctionLoader(_template), autoescape=select_autoescape(default=True), undefined=StrictUndefined
        )

    def page(self, kind: CallerKind | None, handler: Handler, *, changes: bool = False) -> Any:
        """The handler as a Starlette endpoint, for callers of `kind`; `changes`: the form must carry our token."""

        async def endpoint(request: Request) -> Response:
            language = language_of(request)
            try:
                visit = await self._visit(request, kind, changes=changes)
                async with asyncio.timeout(SECONDS):
                    answer = await handler(visit, request)
                if visit.context.entries:
                    await self._sink.append(visit.context, visit.context.entries)
            except (FhirError, InvalidPersonNumber, TimeoutError) as error:
                return self._error(request, error, language)
            except Exception as error:
                log.error("failure", error=type(error).__name__)
                return self._error(request, Unavailable("unforeseen"), language)
            if isinstance(answer, Response):
                return answer
            return self.render(request, answer, language, visit)

        return endpoint

    def open(self, handler: Callable[[Request], Awaitable[Response]]) -> Any:
        """A handler for people who are not logged in, its errors told in plain words."""

        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except FhirError as error:
                return self._error(request, error, language_of(request))

        return endpoint

    async def unknown(self, request: Request, error: Exception) -> Response:
        """The answer for an address or method that is not there."""
        return self._error(request, NotFound("no such page"), language_of(request))

    def render(self, request: Request, page: Page, language: str, visit: Visit | None = None) -> Response:
        """The page as HTML, or as JSON where that is what is accepted."""
        if wants_json(request):
            return JSONResponse(page.data, page.status, HEADERS)
        template = self._environment.get_template(page.template)
        html = template.render(
            page.data,
            t=lambda key: text(key, language),
            moment=lambda value: moment(value, language),
            day=lambda value: day(value, language),
            language=language,
            visit=visit,
            path=request.url.path,
        )
        return Response(html, page.status, HEADERS, media_type="text/html")

    async def _visit(self, request: Request, kind: CallerKind | None, *, changes: bool) -> Visit:
        now = datetime.now(UTC)
        session = await self.sessions.find(request.cookies.get(COOKIE, ""), now)
        if session is None:
            raise Unauthenticated("session over")
        caller = await self._authenticator.authenticate(f"Bearer {session.token}")
        if kind is not None and caller.kind is not kind:
            raise Forbidden("not for you")
        form = await _form(request) if request.method == "POST" else {}
        if changes and not hmac.compare_digest(form.get("csrf", ""), session.csrf):
            raise Forbidden("form too old", code="csrf")
        loop = asyncio.get_running_loop()
        context = Context(
            caller=caller,
            token=session.token,
            now=now,
            deadline=loop.time() + SECONDS,
            trace_id=trace_id_of(request.headers.get("traceparent")),
            clock=loop.time,
        )
        return Visit(context, session, form, language_of(request))

    def _error(self, request: Request, error: Exception, language: str) -> Response:
        status, key, detail = _told(error)
        if isinstance(error, Unauthenticated) and not wants_json(request) and request.method == "GET":
            return RedirectResponse("/?over=1", 303, HEADERS)
        data = {"error": text(key, language), "detail": detail}
        return self.render(request, Page("error.html", data, status), language)


def _told(error: Exception) -> tuple[int, str, str]:
    """Status, text and detail of an error, in words for a person."""
    match error:
        case Unauthenticated():
            return 401, "session_over", ""
        case Forbidden(detail_code="csrf"):
            return 403, "form_old", ""
        case Forbidden():
            return 403, "not_for_you", "" if error.message == "not for you" else error.message
        case NotFound():
            return 404, "not_found", ""
        case Unavailable() | DeadlineExceeded() | TimeoutError():
            return 503, "unavailable", ""
        case Invalid() | InvalidPersonNumber():
            return 400, "bad_input", str(error)
        case FhirError():
            return error.status, "error", error.message
        case _:
            return 500, "unavailable", ""


def language_of(request: Request) -> str:
    """The language chosen, else the browser's, else Swedish."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE)
    if chosen in LANGUAGES:
        return chosen
    accepted = request.headers.get("accept-language", "sv").lower()
    return "en" if accepted.startswith("en") else "sv"


def wants_json(request: Request) -> bool:
    """Whether the caller asks for JSON."""
    return "application/json" in request.headers.get("accept", "")


def moment(value: str | datetime | None, language: str) -> str:
    """A moment in Swedish time as people write it."""
    if value is None:
        return "–"
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    return str(format_datetime(when, "d MMM y HH:mm", tzinfo=STOCKHOLM, locale=language))


def day(value: str, language: str) -> str:
    """A FHIR date of any precision as people write it: a whole date as a day, less as it stands."""
    try:
        return str(format_date(date.fromisoformat(value[:10]), "d MMM y", locale=language))
    except ValueError:
        return value


async def _form(request: Request) -> dict[str, str]:
    if "json" in request.headers.get("content-type", ""):
        try:
            body = await request.json()
        except ValueError:
            raise Invalid("JSON") from None
        if not isinstance(body, dict):
            raise Invalid("JSON")
        return {str(name): str(value) for name, value in body.items()}
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _template(name: str) -> str | None:
    file = resources.files("portal").joinpath("templates", name)
    return file.read_text("utf-8") if file.is_file() else None
