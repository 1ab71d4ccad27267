# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The OpenAPI 3.1 description of a service, made from the routes it really serves and its CapabilityStatement.

What an address takes comes from the statement (search parameters, includes), what a resource holds from the tables of
R4, how an error is told from the route's own form of it: nothing is written twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
import inspect
from typing import Any

from fhir_server.context import Access
from fhir_server.interactions.capabilities import capability_statement
from fhir_server.openapi.addresses import Address, address_of
from fhir_server.openapi.components import CONTROLS, HEADERS, OUTCOME, error_form, resource_schema
from fhir_server.openapi.searching import searched
from fhir_server.service import FORM, Handler, Route, Service

__all__ = ["describe"]

_JSON = "application/fhir+json"
_PATCHES = ("application/json-patch+json", "application/merge-patch+json")
_ID = {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}
_VERSION = {"type": "string", "pattern": r"^[0-9]{1,18}$"}


def describe(service: Service, routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The description of `service` with all its routes (`app.routes_of`)."""
    statement = capability_statement(service, service.base + "/fhir", datetime.fromtimestamp(0, UTC))
    stated = {each["type"]: each for each in statement["rest"][0].get("resource", ())}
    made = _Described(service, stated)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in route.methods:
            paths.setdefault(service.base + route.path, {})[method.lower()] = made.operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": service.title,
            "version": version,
            "description": service.description or service.title,
            "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        },
        "paths": dict(sorted(paths.items())),
        "components": made.components(),
    }


class _Described:
    """The operations of one service, and which of the shared parts they name."""

    def __init__(self, service: Service, stated: dict[str, dict[str, Any]]) -> None:
        self._service, self._stated = service, stated
        self._schemas: dict[str, Any] = {"OperationOutcome": OUTCOME}
        self._parameters: set[str] = set()
        self._responses: dict[str, Any] = {}

    def components(self) -> dict[str, Any]:
        """The shared parts that were named."""
        shared = {**CONTROLS, **HEADERS}
        return {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": self._schemas,
            "responses": self._responses,
            "parameters": {name: shared[name] for name in sorted(self._parameters)},
        }

    def operation(self, route: Route, method: str) -> dict[str, Any]:
        """One method of one address."""
        address = address_of(route.path, method)
        made: dict[str, Any] = {
            "operationId": f"{self._service.name}{route.path}:{method}".replace("/", "."),
            "summary": route.summary or f"{method} {route.path}",
            "x-access": route.access.value,
            "parameters": [*_in_path(route.path), *self._in_query(route, method, address), *self._headers(address)],
            "responses": self._answers(route, address),
        }
        if address.operation and (text := _told(route.handler)):
            made["description"] = text
        body = self._body(route, method, address)
        if body is not None:
            made["requestBody"] = body
        if route.access is not Access.public:
            made["security"] = [{"bearer": []}]
        if route.scope is not None:
            made["x-scope"] = f"{route.scope[0]}.{route.scope[1]}"
        if route.roles:
            made["x-roles"] = sorted(route.roles)
        return {name: value for name, value in made.items() if value != []}

    def _in_query(self, route: Route, method: str, address: Address) -> list[dict[str, Any]]:
        if route.takes and method == "GET":
            return [
                {"name": name, "in": "query", "schema": {"type": "string"}, "required": name == route.takes[0]}
                for name in route.takes
            ]
        found = [self._shared(name) for name in address.controls]
        stated = self._stated.get(address.type or "", {})
        if address.criteria:
            found += [
                {"name": name, "in": "query", "schema": {"type": "array", "items": schema}}
                for name, schema in searched(stated, includes=address.form)
            ]
        return found

    def _headers(self, address: Address) -> list[dict[str, Any]]:
        return [self._shared(name) for name in address.headers]

    def _shared(self, name: str) -> dict[str, Any]:
        self._parameters.add(name)
        return {"$ref": f"#/components/parameters/{name}"}

    def _schema(self, name: str) -> dict[str, Any]:
        if name not in self._schemas and (schema := resource_schema(name)) is not None:
            self._schemas[name] = schema
        return {"$ref": f"#/components/schemas/{name}"} if name in self._schemas else {"type": "object"}

    def _body(self, route: Route, method: str, address: Address) -> dict[str, Any] | None:
        if method not in ("POST", "PUT", "PATCH"):
            return None
        if route.takes:
            schema: dict[str, Any] = {
                "type": "object", "properties": {name: {"type": "string"} for name in route.takes},
                "required": [route.takes[0]],
            }  # fmt: skip
            return {"content": {FORM: {"schema": schema}}, "required": True}
        if address.interaction == "search":
            # What the query may hold, the form may; an array is a parameter sent several times.
            stated = self._stated.get(address.type or "", {})
            properties = {name: CONTROLS[name]["schema"] for name in address.controls}
            properties |= {name: {"type": "array", "items": schema} for name, schema in searched(stated, includes=True)}
            return {"content": {FORM: {"schema": {"type": "object", "properties": properties}}}}
        if route.errors is not None:
            return {"content": {error_form(route.errors)[0]: {"schema": {"type": "string"}}}, "required": True}
        if method == "PATCH":
            operation = {"type": "object", "required": ["op", "path"]}
            content = {
                _PATCHES[0]: {"schema": {"type": "array", "items": operation}},
                _PATCHES[1]: {"schema": {"type": "object"}},
                _JSON: {"schema": self._schema("Parameters")},
            }
            return {"content": content, "required": True}
        kind = "Parameters" if address.operation else address.type if address.type is not None else "Bundle"
        return {"content": {_JSON: {"schema": self._schema(kind)}}, "required": not address.operation}

    def _answers(self, route: Route, address: Address) -> dict[str, Any]:
        media, schema = _JSON, {"$ref": "#/components/schemas/OperationOutcome"}
        if route.errors is not None:
            media, schema = error_form(route.errors)
        error = {"content": {media: {"schema": schema}}}
        shape: dict[str, Any] = {"type": "string"} if "xml" in media else {"type": "object"}
        good = {"description": "Done", "content": {media: {"schema": shape}}}
        found: dict[str, Any] = {}
        for status, text in address.good.items():
            bare = status in ("202", "204", "302", "304")
            found[status] = {"description": text} if bare else {**good, "description": text}
        refused = ["400", "413", *(("401", "403") if route.access is not Access.public else ())]
        if route.errors is None:
            refused += [*address.refused, "406"]
        for status in sorted({*refused, "default"}):
            told = {**error, "description": _REFUSED[status]}
            if route.errors is None:
                self._responses[status] = told
                told = {"$ref": f"#/components/responses/{status}"}
            found[status] = told
        return found


_REFUSED = {
    "default": "Refused, or failed; the text tells what to change, or a trace id",
    "400": "The request is malformed or holds a value that cannot be",
    "401": "No token, or one that does not hold",
    "403": "The caller may not do this",
    "404": "Nothing is known under this address, or the caller may not know of it",
    "406": "No form that the caller accepts",
    "409": "Another request changed the same",
    "410": "The resource was deleted",
    "412": "A condition does not hold, or matches several",
    "413": "The body is larger than the limit",
    "415": "The body has a form that is not taken",
    "422": "The resource breaks a rule",
    "429": "The caller sent more than its share",
}


def _in_path(path: str) -> list[dict[str, Any]]:
    schemas = {"id": _ID, "version": _VERSION}
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas.get(name, {"type": "string"})}
        for name in names
    ]


def _told(handler: Handler) -> str:
    """What the handler's docstring says: its parameters and its errors."""
    function: Any = handler
    while hasattr(function, "func"):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    return inspect.cleandoc(function.__doc__ or "")
