# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The entries of a batch or transaction as requests: https://hl7.org/fhir/R4/bundle.html#Bundle.entry.request."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import structs
import orjson

from fhir_server import raw
from fhir_server.context import Answer
from fhir_server.interactions.serving import Served
from fhir_server.outcome import FhirError, Malformed, told
from fhir_server.resource import check_depth, instant
from fhir_server.router import Routes
from fhir_server.service import Request, Route

METHODS: Final = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
_CONDITIONS: Final = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifNoneExist": "if-none-exist",
    "ifModifiedSince": "if-modified-since",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the request it stands for and the route that serves it."""

    index: int
    request: Request
    route: Route
    served: Served | None
    """None for operations and capabilities."""
    full_url: str | None = None

    @property
    def name(self) -> str:
        """How errors name it."""
        return f"Bundle.entry[{self.index}]"

    @property
    def resource(self) -> Any:
        """The body as `raw.loads` gives it; None if there is none."""
        return raw.loads(self.request.body) if self.request.body else None

    def sending(self, resource: Any) -> "Entry":
        """The entry with another resource as its body."""
        return replace(self, request=structs.replace(self.request, body=raw.dumps(resource), parsed=None))


Addresses = Routes[tuple[Route, Served | None]]
"""The routes of a service as entries name them: below its FHIR base."""


def addresses(routes: Iterable[Route], served: Sequence[Served]) -> Addresses:
    """`routes`: operations and capabilities, which go before the interactions, as in `app.routes_of`."""
    made: Addresses = Routes()
    for route in routes:
        made.add(route.path, route.methods, (route, None))
    for each in served:
        made.add(each.route.path, each.route.methods, (each.route, each))
    return made


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []


_BUNDLE: Final = msgspec.json.Decoder(_Bundle)
_ENTRY: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Given:
    """An entry as it was sent."""

    value: Any
    resource: bytes
    """Its resource as the bytes that arrived; empty if there is none."""


def given_in(body: bytes, bundle: Mapping[str, Any]) -> list[Given]:
    """The entries of a Bundle. `bundle`: the body parsed. Raises `Malformed` unless there is a list of them."""
    values = bundle.get("entry", [])
    if not isinstance(values, list):
        raise Malformed("Bundle.entry must be a list", expression="Bundle.entry")
    parts = _BUNDLE.decode(body).entry if values else []
    return [
        Given(value, bytes(_ENTRY.decode(part)["resource"]) if isinstance(value, dict) and "resource" in value else b"")
        for value, part in zip(values, parts, strict=True)
    ]


def entry_of(known: Addresses, index: int, given: Given, outer: Request) -> Entry:
    """The entry as a request of its own. Raises `Malformed`, `NotFound`, `MethodNotAllowed`."""
    value = given.value
    asked = value.get("request") if isinstance(value, dict) else None
    if not isinstance(asked, dict) or not isinstance(asked.get("url"), str) or asked.get("method") not in METHODS:
        raise Malformed(f"the entry needs a request with url and method, one of {', '.join(METHODS)}")
    path, _, query = asked["url"].removeprefix(f"{outer.base}/").lstrip("/").partition("?")
    method = asked["method"]
    (route, served), parts = known.find(method, f"/fhir/{path}")
    headers = {name: outer.headers[name] for name in ("prefer", "host") if name in outer.headers}
    if "prefer" in headers:  # the answer of an entry stands in the answer of the whole
        headers["prefer"] = headers["prefer"].replace("respond-async", "")
    for element, header in _CONDITIONS.items():
        if element in asked:
            if not isinstance(asked[element], str):
                raise Malformed(f"request.{element} must be a string")
            headers[header] = asked[element]
    resource = value.get("resource")
    if resource is not None and not isinstance(resource, dict):
        raise Malformed("the resource of an entry must be an object")
    body, headers["content-type"] = _body(method, resource, given.resource)
    full_url = value.get("fullUrl")
    return Entry(
        index,
        Request(
            method=method,
            path=outer.path + path,
            path_params={name: unquote(text) for name, text in parts.items()} if parts else {},
            query=parse_qsl(query, keep_blank_values=True) if query else (),
            headers=headers,
            body=body,
            base=outer.base,
            parsed=resource if method in ("POST", "PUT") else None,
        ),
        route,
        served,
        full_url if isinstance(full_url, str) else None,
    )


def _body(method: str, resource: dict[str, Any] | None, sent: bytes) -> tuple[bytes, str]:
    """The body and its media type; a JSON Patch is sent as a Binary (https://hl7.org/fhir/R4/http.html#patch)."""
    if resource is None or method in ("GET", "HEAD", "DELETE"):
        return b"", "application/fhir+json"
    if method == "PATCH" and resource.get("resourceType") == "Binary":
        try:
            patch = base64.b64decode(str(resource.get("data", "")), validate=True)
        except binascii.Error:
            raise Malformed("the data of the Binary is not base64") from None
        check_depth(patch)
        return patch, str(resource.get("contentType", ""))
    return sent, "application/fhir+json"


def answered(entry: Entry, answer: Answer) -> dict[str, Any]:
    """The entry of the response Bundle."""
    response: dict[str, Any] = {"status": _status(answer.status)}
    headers: Mapping[str, str] = answer.headers
    for name, element in (("Location", "location"), ("ETag", "etag")):
        if name in headers:
            response[element] = headers[name]
    if answer.updated is not None:
        response["lastModified"] = instant(answer.updated)
    made: dict[str, Any] = {}
    reading = entry.request.method == "GET" or entry.served is None or not _writes(entry)
    wanted = "return=representation" in entry.request.headers.get("prefer", "")
    if answer.body is not None and entry.request.method != "HEAD" and (reading or wanted):
        made["resource"] = orjson.Fragment(answer.body) if isinstance(answer.body, bytes) else answer.body
    return {**made, "response": response}


def failed(failure: FhirError) -> dict[str, Any]:
    """The entry of a batch's response for a request that was refused."""
    return {"response": {"status": _status(failure.status), "outcome": told(failure)}}


def _writes(entry: Entry) -> bool:
    return entry.request.method != "POST" or not entry.request.path.endswith("/_search")


@cache
def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
