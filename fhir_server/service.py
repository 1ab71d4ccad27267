# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a service is made of: routes and resource types, each with its access class. `app.create_app` serves it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from msgspec import Struct
import orjson

from fhir_server.context import Access, Answer, Context, ErrorFormat, Guard
from fhir_server.outcome import Malformed, NotFound, UnsupportedMediaType
from fhir_server.parameters import Parameters
from fhir_server.search.parameters import Definition
from fhir_server.subscriptions.topics import Topic

SystemInteraction = Literal["batch", "transaction", "history"]
Interaction = Literal["read", "vread", "create", "update", "patch", "delete", "search", "history"]

ResourceOperation = Literal["$meta", "$validate", "$everything", "$export"]
ServiceOperation = Literal["$export"]

FHIR_JSON = frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json"})
FORM = "application/x-www-form-urlencoded"


class Request(Struct, frozen=True):
    """What arrived, as far as a handler needs it."""

    method: str
    path: str
    path_params: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    base: str
    """Address of the service's FHIR base, e.g. http://127.0.0.1:8700/consent/fhir."""
    sent_query: str = ""
    """The query as it was sent."""
    parsed: Any = None
    """The body parsed, where that was done already."""

    def __post_init__(self) -> None:
        """Raises `NotFound` for an address with U+0000, which no text of the database holds."""
        if any("\x00" in each for each in self.path_params.values()):
            raise NotFound("an id holds a character that is no text")

    @property
    def media_type(self) -> str:
        """The media type of the body, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def resource(self, expected: str | None = None) -> dict[str, Any]:
        """The body as a FHIR resource.

        Raises `UnsupportedMediaType` unless it is sent as JSON, `Malformed` if it is no resource of the expected type.
        """
        if self.media_type not in FHIR_JSON:
            raise UnsupportedMediaType("send the body as application/fhir+json")
        value = self.parsed
        if value is None:
            try:
                value = orjson.loads(self.body)
            except orjson.JSONDecodeError as error:
                raise Malformed(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
        if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
            raise Malformed("the body must be one FHIR resource: an object with resourceType")
        if expected is not None and value["resourceType"] != expected:
            raise Malformed(f"the body must be a {expected}", expression="resourceType")
        return value

    def parameters(self) -> Parameters:
        """The body as Parameters; an empty body gives none."""
        return Parameters.of(self.resource("Parameters")) if self.body else Parameters()

    def search_parameters(self) -> list[tuple[str, str]]:
        """Query and form parameters together, in order (https://hl7.org/fhir/R4/http.html#search)."""
        if not self.body:
            return list(self.query)
        if self.media_type != FORM:
            raise UnsupportedMediaType(f"send search parameters as {FORM}")
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            raise Malformed("the form is not UTF-8") from None
        return [*self.query, *parse_qsl(text, keep_blank_values=True)]


Handler = Callable[[Context, Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address, its handler and what it gives access to."""

    path: str
    """Below the service's base, e.g. `/fhir/Patient/$locate` or `/soap/Update`; `{id}` names a part."""
    handler: Handler
    access: Access
    scope: tuple[str, str] | None = None
    """Resource type and permission the token must grant, e.g. ("Patient", "r"); None only for `Access.public` and
    `Access.each_entry`."""
    methods: tuple[str, ...] = ("POST",)
    roles: frozenset[str] = frozenset()
    """If not empty, the caller must have one of these roles."""
    summary: str = ""
    max_body: int = 0
    """Bytes a body may have where the protocol's own largest message is larger than what the deployment allows."""
    errors: ErrorFormat | None = None
    """How errors are told; None: OperationOutcome."""
    produces: tuple[str, ...] = ()
    """Media types that may be asked for beside FHIR's JSON."""
    takes: tuple[str, ...] = ()
    """Names of what an address outside FHIR takes, for its description: in the query by GET, else as a form.
    The first must be given."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A FHIR resource type that the kernel serves from its own storage."""

    name: str
    access: Access
    interactions: frozenset[Interaction]
    search: tuple[str | Definition, ...] = ()
    """The search parameters offered: codes of R4's own (`search/definitions.csv`), definitions of the service's own."""
    guard: Guard | None = None
    """Required for `Access.person_data`."""
    prepare: Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any]]] | None = None
    """Checks a resource before it is stored and may complete it; raises `Invalid` or `Unprocessable`."""
    within: Callable[[Any, Context, Mapping[str, Any]], Awaitable[None]] | None = None
    """Called with the open connection inside the transaction of every write; lives in the service's `store.py`."""
    removed: Callable[[Any, Context, Mapping[str, Any]], Awaitable[None]] | None = None
    """As `within`, when a resource is deleted: takes away what `within` derived from it. Required beside `within`
    where delete is offered."""
    person: Callable[[Mapping[str, Any]], Any] | None = None
    """The `PersonKey` a resource is about, for the access log."""
    custodian: Callable[[Mapping[str, Any]], str | None] | None = None
    """Who holds a resource, in the form in which a `Policy` names custodians: an HSA-id or a reference."""
    write_roles: frozenset[str] = frozenset()
    """If not empty, every writing interaction needs one of these roles."""
    information_type: str | None = None
    profiles: tuple[str, ...] = ()
    """Canonical URLs of profiles that what is written must keep, where the operator has loaded their packages."""
    operations: frozenset[ResourceOperation] = frozenset()
    """Operations of the kernel that are offered for the type."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its name, base path, routes and resource types."""

    name: str
    title: str
    base: str
    """Path of the service, e.g. /consent; its FHIR base is /consent/fhir."""
    routes: tuple[Route, ...] = ()
    resources: tuple[ResourceType, ...] = ()
    interactions: frozenset[SystemInteraction] = frozenset()
    """What is offered at the base itself: batch and transaction of its resource types, history of all of them."""
    operations: frozenset[ServiceOperation] = frozenset()
    """Operations of the kernel that are offered at the base itself."""
    asynchronous: bool = False
    """Whether searches may be ordered by `Prefer: respond-async`; where `$export` is offered they may."""
    topics: tuple[Topic, ...] = ()
    """What clients may subscribe to; a service with topics serves `Subscription`."""
    description: str = ""
    capability: Mapping[str, Any] = field(default_factory=dict)
    """Added to the generated CapabilityStatement."""
