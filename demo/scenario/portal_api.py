# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The portal as a browser drives it: cookies, redirects, the form token; answers as JSON.

GET /login → authorization server → identity provider → /callback → session. GET /session gives the form token.
"""

from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx2

from demo.tokens import LoginFailed, choose_person

CONSENT, OUTER_BLOCK, OPT_OUT = "shared-record", "outer-block", "register-opt-out"
_JSON = {"Accept": "application/json"}


class PortalError(Exception):
    """The portal answered otherwise than was asked for."""


class Portal:
    """One browser with one person in it."""

    def __init__(self, http: httpx2.AsyncClient, ndi: str, person: str) -> None:
        """`http`: a client of its own, since it keeps the cookies."""
        self._http, self._ndi, self._person = http, ndi, person
        self._csrf = ""

    async def login(self, kind: str = "patient") -> dict[str, Any]:
        """Logs the person in; answers the session. Raises `LoginFailed`, `PortalError`."""
        start = await self._http.get(f"{self._ndi}/login", params={"as": kind}, follow_redirects=False)
        if start.status_code not in (302, 303, 307):
            raise LoginFailed(f"/login answered {start.status_code}")
        asked = await self._http.get(start.headers["location"], follow_redirects=False)
        back = await choose_person(self._http, self._ndi, asked, self._person)
        done = await self._http.get(back, follow_redirects=False)
        if done.status_code not in (302, 303, 307) or "ndi_session" not in self._http.cookies:
            raise LoginFailed(f"/callback answered {done.status_code}")
        session = await self.get("/session")
        self._csrf = str(session["csrf"])
        return session

    async def get(self, path: str) -> dict[str, Any]:
        """A page as JSON. Raises `PortalError`."""
        return self._read(await self._http.get(self._ndi + path, headers=_JSON), 200)

    async def _post(self, path: str, form: dict[str, str], status: int) -> dict[str, Any]:
        answer = await self._http.post(self._ndi + path, json={**form, "csrf": self._csrf}, headers=_JSON)
        return self._read(answer, status)

    @staticmethod
    def _read(answer: httpx2.Response, status: int) -> dict[str, Any]:
        if answer.status_code != status:
            raise PortalError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
        return dict(answer.json())

    async def give(self, kind: str, hsa_id: str) -> dict[str, Any]:
        """Gives a consent, sets a block or opts out of a register; answers the row with its id."""
        return await self._post("/patient/consents", {"kind": kind, "hsa_id": hsa_id}, 201)

    async def withdraw(self, consent_id: str) -> dict[str, Any]:
        """Withdraws, lifts, takes part again."""
        return await self._post(f"/patient/consents/{consent_id}/withdraw", {}, 200)

    async def active_consents(self) -> list[dict[str, Any]]:
        """What is in force."""
        return [each for each in (await self.get("/patient/consents"))["consents"] if each["active"]]

    async def holders(self) -> list[dict[str, Any]]:
        """Who holds what."""
        return list((await self.get("/patient"))["holders"])

    async def log(self, since: str) -> list[dict[str, Any]]:
        """The access log, newest first, as far back as `since` (ISO 8601), page by page."""
        rows: list[dict[str, Any]] = []
        path = "/patient/log"
        while True:
            page = await self.get(path)
            rows += page["rows"]
            oldest = datetime.fromisoformat(rows[-1]["recorded"]) if rows else None
            if not page["cursor"] or oldest is None or oldest < datetime.fromisoformat(since):
                return rows
            path = f"/patient/log?cursor={quote(page['cursor'], safe='')}"

    async def registers(self) -> list[dict[str, Any]]:
        """What each register holds."""
        return list((await self.get("/patient/registers"))["registers"])
