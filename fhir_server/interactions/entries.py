# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The entries of a batch or transaction as requests: https://hl7.org/fhir/R4/bundle.html#Bundle.entry.request."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import orjson

from fhir_server import raw
from fhir_server.context import Answer
from fhir_server.interactions.serving import Served
from fhir_server.outcome import FhirError, Malformed, MethodNotAllowed, NotFound, told
from fhir_server.resource import check_depth, instant
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
    resource: Any = None
    """As `raw.loads` gave it."""
    full_url: str | None = None

    @property
    def name(self) -> str:
        """How errors name it."""
        return f"Bundle.entry[{self.index}]"

    def sending(self, resource: Any) -> "Entry":
        """The entry with another resource as its body."""
        return replace(self, resource=resource, request=replace(self.request, body=raw.dumps(resource)))


@dataclass(frozen=True, slots=True)
class _Address:
    pattern: re.Pattern[str]
    route: Route
    served: Served | None


class Router:
    """Finds the route of an entry, as the server finds that of a request."""

    def __init__(self, routes: Iterable[Route], served: Sequence[Served]) -> None:
        """`routes`: operations and capabilities, found before the interactions, as in `app.routes_of`."""
        found: list[tuple[Route, Served | None]] = [(route, None) for route in routes]
        found += [(each.route, each) for each in served]
        self._addresses = [
            _Address(re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route.path))), route, each)
            for route, each in found
            if route.path.startswith("/fhir/")
        ]

    def find(self, method: str, path: str) -> tuple[Route, Served | None, dict[str, str]]:
        """The route of a path below the FHIR base. Raises `NotFound` or `MethodNotAllowed`."""
        wanted = "GET" if method == "HEAD" else method
        known = False
        for each in self._addresses:
            match = each.pattern.fullmatch(f"/fhir/{path}")
            if match is not None:
                known = True
                if wanted in each.route.methods:
                    return each.route, each.served, match.groupdict()
        if known:
            raise MethodNotAllowed("this address does not take the method")
        raise NotFound("nothing is served under this address; see /fhir/metadata of the service")


def entry_of(router: Router, index: int, given: Any, outer: Request) -> Entry:
    """The entry as a request of its own. Raises `Malformed`, `NotFound`, `MethodNotAllowed`."""
    asked = given.get("request") if isinstance(given, dict) else None
    if not isinstance(asked, dict) or not isinstance(asked.get("url"), str) or asked.get("method") not in METHODS:
        raise Malformed(f"the entry needs a request with url and method, one of {', '.join(METHODS)}")
    path, _, query = asked["url"].removeprefix(f"{outer.base}/").lstrip("/").partition("?")
    method = asked["method"]
    route, served, parts = router.find(method, path)
    headers = {name: outer.headers[name] for name in ("prefer", "host") if name in outer.headers}
    if "prefer" in headers:  # the answer of an entry stands in the answer of the whole
        headers["prefer"] = headers["prefer"].replace("respond-async", "")
    for element, header in _CONDITIONS.items():
        if element in asked:
            if not isinstance(asked[element], str):
                raise Malformed(f"request.{element} must be a string")
            headers[header] = asked[element]
    resource = given.get("resource")
    if resource is not None and not isinstance(resource, dict):
        raise Malformed("the resource of an entry must be an object")
    body, kind = _body(method, resource)
    full_url = given.get("fullUrl")
    return Entry(
        index,
        Request(
            method=method,
            path=outer.path + path,
            path_params={name: unquote(value) for name, value in parts.items()},
            query=parse_qsl(query, keep_blank_values=True),
            headers={**headers, "content-type": kind},
            body=body,
            base=outer.base,
        ),
        route,
        served,
        resource,
        full_url if isinstance(full_url, str) else None,
    )


def _body(method: str, resource: dict[str, Any] | None) -> tuple[bytes, str]:
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
    return raw.dumps(resource), "application/fhir+json"


def answered(entry: Entry, answer: Answer) -> dict[str, Any]:
    """The entry of the response Bundle."""
    response: dict[str, Any] = {"status": _status(answer.status)}
    headers: Mapping[str, str] = answer.headers
    for name, element in (("Location", "location"), ("ETag", "etag")):
        if name in headers:
            response[element] = headers[name]
    if "Last-Modified" in headers:
        response["lastModified"] = instant(parsedate_to_datetime(headers["Last-Modified"]))
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


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
