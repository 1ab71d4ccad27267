# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The OpenAPI 3.1 description of a service, made from the routes it really serves."""

from collections.abc import Sequence
from typing import Any

from fhir_server.context import Access
from fhir_server.service import Route, Service


def describe(service: Service, routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The description of `service` with all its routes (`app.routes_of`)."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in route.methods:
            paths.setdefault(service.base + route.path, {})[method.lower()] = _operation(service, route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": service.title,
            "version": version,
            "description": service.description or service.title,
            "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
    }


def _operation(service: Service, route: Route, method: str) -> dict[str, Any]:
    kind = "text/xml" if route.path.startswith("/soap/") else "application/fhir+json"
    media = {kind: {"schema": {"type": "string" if kind == "text/xml" else "object"}}}
    operation: dict[str, Any] = {
        "operationId": f"{service.name}{route.path}:{method}".replace("/", "."),
        "summary": route.summary or f"{method} {route.path}",
        "x-access": route.access.value,
        "responses": {
            "200": {"description": "Done", "content": media},
            "default": {"description": "An error, in the protocol's own form", "content": media},
        },
    }
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if method in ("POST", "PUT"):
        if route.path.endswith("/_search"):
            media = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
        operation["requestBody"] = {"content": media}
    if route.access is not Access.public:
        operation["security"] = [{"bearer": []}]
    if route.scope is not None:
        operation["x-scope"] = f"{route.scope[0]}.{route.scope[1]}"
    if route.roles:
        operation["x-roles"] = sorted(route.roles)
    return operation
