# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The routes of the access log and what they are built from."""

from audit.access_log import AccessLogSearch
from audit.capability import CAPABILITY
from audit.store import AsyncEngine, AuditStore
from fhir_server.context import Access
from fhir_server.service import Route, Service

__all__ = ["create_service"]


def create_service(*, engine: AsyncEngine) -> Service:
    """The access log under /audit."""
    search = AccessLogSearch(AuditStore(engine))
    scope = ("AuditEvent", "s")
    summary = "The caller's own access log"
    return Service(
        name="audit",
        title="Access log",
        base="/audit",
        routes=(
            Route("/fhir/AuditEvent/_search", search.handle, Access.person_data, scope, ("POST",), summary=summary),
            Route("/fhir/AuditEvent", search.handle, Access.person_data, scope, ("GET",), summary=summary),
        ),
        description="Who accessed what about a person, append-only; read by the person herself.",
        capability=CAPABILITY,
    )
