# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The portal's addresses."""

from datetime import timedelta
from importlib import resources
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.context import AuditSink, Authenticator, CallerKind
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys
from portal.clinician import ClinicianPages
from portal.desk import HEADERS, Desk, Services
from portal.login import Logins, LoginSettings, session_page, welcome
from portal.patient import PatientPages
from portal.store import AsyncEngine, SessionStore

_STYLE_AGE = timedelta(hours=1)


def create_app(
    *,
    engine: AsyncEngine,
    cipher: Cipher,
    keys: PersonKeys,
    services: Services,
    authenticator: Authenticator,
    audit: AuditSink,
    login: LoginSettings,
    http: httpx2.AsyncClient,
    secure_cookies: bool = True,
) -> Starlette:
    """The portal as an ASGI application; `secure_cookies` False only where there is no TLS (demo on this machine)."""
    desk = Desk(SessionStore(engine, cipher), authenticator, audit, secure_cookies=secure_cookies)
    logins = Logins(desk, login, http)
    patient, clinician = PatientPages(services), ClinicianPages(services, keys)
    person, staff = CallerKind.patient, CallerKind.staff
    return Starlette(
        routes=[
            Route("/", desk.open(welcome(desk))),
            Route("/static/ndi.css", _style),
            Route("/login", desk.open(logins.start)),
            Route("/callback", desk.open(logins.finish)),
            Route("/logout", desk.page(None, logins.end, changes=True), methods=["POST"]),
            Route("/session", desk.page(None, session_page)),
            Route("/patient", desk.page(person, patient.overview)),
            Route("/patient/log", desk.page(person, patient.log)),
            Route("/patient/consents", desk.page(person, patient.consents)),
            Route("/patient/consents", desk.page(person, patient.give, changes=True), methods=["POST"]),
            Route(
                "/patient/consents/{id}/withdraw", desk.page(person, patient.withdraw, changes=True), methods=["POST"]
            ),
            Route("/patient/registers", desk.page(person, patient.registers)),
            Route("/clinician", desk.page(staff, clinician.start)),
            Route("/clinician/locate", desk.page(staff, clinician.locate, changes=True), methods=["POST"]),
            Route("/clinician/read", desk.page(staff, clinician.read, changes=True), methods=["POST"]),
        ],
        exception_handlers={HTTPException: desk.unknown},
    )


async def _style(request: Request) -> Response:
    content: Any = resources.files("portal").joinpath("static", "ndi.css").read_bytes()
    age = f"max-age={int(_STYLE_AGE.total_seconds())}"
    return Response(content, media_type="text/css", headers={**HEADERS, "Cache-Control": age})
