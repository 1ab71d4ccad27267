# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `audit`: the access log as the person sees it, and the function a write's statement calls."""

from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx2

from audit.model import row_of
from audit.values import AccessLog, AccessLogRow
from fhir_server.context import Context
from fhir_server.outcome import BadGateway
from fhir_server.remote import call

__all__ = ["APPEND_FUNCTION", "AccessLog", "AccessLogRow", "AuditClient", "HttpAudit"]

APPEND_FUNCTION: Final = "audit.append_events"
"""SQL function `audit.append_events(events jsonb) returns void`: a store's write calls it in its own statement.

Each element has the keys of `fhir_server.audit_row.audit_row`.
"""


class AuditClient(Protocol):
    """How the portal asks for the log."""

    async def access_log(self, context: Context, cursor: str | None = None, limit: int = 50) -> AccessLog:
        """Who accessed what about the calling patient."""
        ...


class HttpAudit:
    """The access log of a service elsewhere."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: FHIR base of the audit service, e.g. https://ndi.example/audit/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def access_log(self, context: Context, cursor: str | None = None, limit: int = 50) -> AccessLog:
        """Who accessed what about the calling patient.

        Raises as `fhir_server.remote.call` does.
        """
        form = {"_count": str(limit)} | ({} if cursor is None else {"_cursor": cursor})
        body = await call(self._http, context, "POST", f"{self._base}/AuditEvent/_search", form=form)
        return _page(body)


def _page(bundle: Mapping[str, Any]) -> AccessLog:
    try:
        rows = tuple(row_of(entry["resource"]) for entry in bundle.get("entry", ()))
        links = {link["relation"]: link["url"] for link in bundle.get("link", ())}
    except (KeyError, TypeError, ValueError) as error:
        raise BadGateway("the access log answered with something that is no page of it") from error
    following = links.get("next")
    cursor = None if following is None else dict(parse_qsl(urlsplit(following).query)).get("_cursor")
    return AccessLog(rows, cursor)
