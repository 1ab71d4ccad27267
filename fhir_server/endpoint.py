# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The way of a request, written once: limits, trace id, authentication, authorization, handler, audit, answer.

A handler cannot skip a step: it sees a request only after them, and an answer with person data leaves only when
an access decision was asked and the audit entries are durable.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
import time
import traceback
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from msgspec import structs
import orjson
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
import structlog

from fhir_server import raw
from fhir_server.bulk.settings import BulkSettings
from fhir_server.compression import compressed
from fhir_server.content import check_acceptable, read_body
from fhir_server.context import Access, Answer, AuditEntry, AuditSink, Authenticator, Caller, Context, Standing
from fhir_server.limits import LIMITS, SearchLimits
from fhir_server.metrics import route_metrics
from fhir_server.outcome import (
    DeadlineExceeded,
    FhirError,
    Forbidden,
    Internal,
    Invalid,
    Unavailable,
    told,
)
from fhir_server.refusals import ANONYMOUS, Refusals
from fhir_server.resource import check_depth
from fhir_server.service import FHIR_JSON, FORM, Handler, Request, Route
from fhir_server.storage.pinned import foreseen
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.trace import trace_id_of

log = structlog.get_logger("ndi.request")
T = TypeVar("T")

_BODILESS = frozenset({"GET", "HEAD"})

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """Limits that deployments set."""

    max_body: int = 1_048_576
    """Bytes a request body may have."""
    max_depth: int = 64
    """Levels to which arrays and objects of a body may nest."""
    compress_from: int = 8_192
    """Bytes from which an answer is compressed for who takes gzip; 0: never."""
    max_entries: int = 1000
    """Entries a batch or transaction may have."""
    search: SearchLimits = LIMITS
    """How much one search may ask for."""
    deadline: float = 30.0
    """Seconds a request may take; a caller may ask for less by X-Deadline-Ms."""
    cursor_secret: bytes = field(default=b"", repr=False)
    """Signs paging cursors; all processes of a service share it."""
    bulk: BulkSettings | None = None
    """Where and how exports and long searches are worked; required where a service offers them."""
    subscriptions: SubscriptionSettings | None = None
    """Where notifications may go; required where a service has topics."""
    standing: Standing | None = None
    """Asked before a subscriber is told something; None: what it was granted when it subscribed stands."""
    packages: Path | None = None
    """Folder of the packages whose profiles resources are held against."""
    audit_function: str | None = None
    """SQL function that keeps audit events in the transaction of a write."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    validate: bool = True
    """False stores resources as they come, for measurements and loads of what was validated elsewhere; a service says
    so in the log when it starts. No setting of `ndi serve` reaches it."""


class Endpoint:
    """One route as an ASGI application."""

    def __init__(
        self, service: str, base: str, route: Route, *, authenticator: Authenticator, audit: AuditSink,
        settings: KernelSettings,
    ) -> None:  # fmt: skip
        if route.access not in (Access.public, Access.each_entry) and route.scope is None:
            raise ValueError(f"route {route.path} of {service} declares no scope")
        self.route = route
        self._service, self._base = service, base
        self._authenticator, self._audit, self._settings = authenticator, audit, settings
        self._refusals = Refusals(route, audit, settings.clock)
        self._metrics = route_metrics(service, route.path)
        self._log: Any = None
        self._max_body = max(settings.max_body, route.max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        started = time.perf_counter()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        trace_id = trace_id_of(headers.get("traceparent"))
        context: Context | None = None
        method = scope["method"]
        try:
            body = b""
            if method not in _BODILESS or "content-length" in headers or "transfer-encoding" in headers:
                body = await read_body(receive, headers, self._max_body)
            context, answer = await self._serve(scope, headers, body, trace_id)
        except ConnectionResetError:
            return
        except Exception as error:
            answer = self._told(failure_of(error, trace_id), trace_id)
        smallest = self._settings.compress_from
        if smallest and not (isinstance(answer.body, bytes) and len(answer.body) < smallest):
            answer = await compressed(answer, headers.get("accept-encoding"), smallest)
        await send_answer(send, answer, trace_id, head=method == "HEAD")
        elapsed = time.perf_counter() - started
        self._metrics.add(method, answer.status, elapsed)
        if self._log is None:  # bound at the first request: by then the process has set up its log
            self._log = log.bind()
        self._log.info(
            "request",
            service=self._service,
            method=method,
            route=self.route.path,
            status=answer.status,
            ms=round(elapsed * 1000, 1),
            trace=trace_id,
            client=context.caller.client_id if context else None,
        )

    async def _serve(
        self, scope: Scope, headers: Mapping[str, str], body: bytes, trace_id: str
    ) -> tuple[Context, Answer]:
        request = _request(scope, headers, body, self._base)
        asked = dict(request.query) if request.query else {}
        if self.route.errors is None:
            check_acceptable(headers.get("accept"), asked.get("_format"), self.route.produces)
            if body and request.media_type != FORM:
                check_depth(body, self._settings.max_depth)
        loop = asyncio.get_running_loop()
        seconds = _seconds(headers.get("x-deadline-ms"), self._settings.deadline)
        context = Context(
            caller=ANONYMOUS,
            token=headers.get("authorization", "").removeprefix("Bearer "),
            now=self._settings.clock(),
            deadline=loop.time() + seconds,
            trace_id=trace_id,
            clock=loop.time,
            base=request.base,
        )
        if self.route.access is not Access.public:
            try:
                context.caller = await self._authenticator.authenticate(headers.get("authorization"))
            except FhirError as refusal:
                await self._refusals.keep(context, refusal)
                raise
        try:
            answer = await within(seconds, perform(self.route, context, request))
        except Exception as error:
            failure = failure_of(error, trace_id)
            record_denial(self.route, context, failure)
            answer = self._told(failure, trace_id)
        if self.route.errors is None and asked.get("_pretty") == "true":
            answer = _pretty(answer)
        if context.entries:
            await self._audit.append(context, context.entries)
        return context, answer

    def _told(self, failure: FhirError, trace_id: str) -> Answer:
        if self.route.errors is not None:
            return self.route.errors(failure, trace_id)
        return Answer(told(failure), status=failure.status, headers=failure.headers)


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The work's result, if it comes in time; as `asyncio.timeout`, at a third of its price. Raises `TimeoutError`."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    late = False

    def end() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        return await work
    except asyncio.CancelledError:
        if late and task.uncancel() <= 0:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


async def perform(route: Route, context: Context, request: Request, handler: Handler | None = None) -> Answer:
    """What a route answers to a request that it permits: the one way to a handler, alone or as an entry of a Bundle.

    `handler`: the route's own, as a transaction has bound it.
    Raises `Forbidden`, whatever the handler raises, and `Internal` if person data would leave without a decision.
    """
    authorize(route, context.caller)
    answer = await (handler or route.handler)(context, request)
    if route.access is Access.person_data and not context.decided:
        raise Internal(f"no access decision was asked; the answer is withheld (trace {context.trace_id})")
    return answer


def record_denial(route: Route, context: Context, failure: FhirError) -> None:
    """Records a refused attempt on person data, unless the handler told more about it."""
    if isinstance(failure, Forbidden) and not context.entries and route.access is Access.person_data:
        context.record(AuditEntry(operation=route.path, outcome="denied", reason=failure.detail_code))


def authorize(route: Route, caller: Caller) -> None:
    """Raises `Forbidden` unless scope, role and access class allow the route to the caller; deny is the default."""
    if route.access in (Access.public, Access.each_entry):
        return
    if route.scope is None or not caller.may(*route.scope):
        wanted = f"{route.scope[0]}.{route.scope[1]}" if route.scope else "a scope"
        raise Forbidden(f"the token lacks the scope {wanted}", code="insufficient-scope")
    roles = route.roles
    if route.access is Access.operator:
        roles = roles | {"operator"}
    elif route.access is Access.source_system and not roles:
        roles = frozenset({"source"})
    if roles and not roles & caller.roles:
        raise Forbidden(f"this needs one of the roles {', '.join(sorted(roles))}", code="insufficient-role")


def _request(scope: Scope, headers: Mapping[str, str], body: bytes, base: str) -> Request:
    query: Sequence[tuple[str, str]] = ()
    sent = ""
    if scope["query_string"]:
        try:
            sent = scope["query_string"].decode("ascii")
            query = parse_qsl(sent, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            raise Invalid("the query is not percent-encoded UTF-8") from None
    host = headers.get("host", "localhost")
    return Request(
        method=scope["method"],
        path=scope["path"],
        path_params=scope.get("path_params", {}),
        query=query,
        headers=headers,
        body=body,
        base=f"{scope.get('scheme', 'http')}://{host}{base}/fhir",
        sent_query=sent,
    )


def _pretty(answer: Answer) -> Answer:
    """The same answer for people to read; numbers keep their text."""
    if answer.body is None or isinstance(answer.body, AsyncIterator) or answer.media_type not in FHIR_JSON:
        return answer
    body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
    return structs.replace(answer, body=raw.dumps(raw.loads(body), pretty=True))


def _seconds(header: str | None, limit: float) -> float:
    if header is None or not (header.isascii() and header.isdigit()):
        return limit
    return min(int(header.lstrip("0")[:12] or 0) / 1000, limit)


def failure_of(error: Exception, trace_id: str) -> FhirError:
    """The error a caller is told of; what was not foreseen is logged by place and told by trace id alone."""
    match error:
        case FhirError():
            return error
        case TimeoutError() if not isinstance(error, PoolTimeout):
            return DeadlineExceeded("the time given for this request has run out")
        case DBAPIError() if not isinstance(error, IntegrityError) and (known := foreseen(error.orig)) is not None:
            return known
        case OperationalError() | InterfaceError() | PoolTimeout() | ConnectionError():
            log.error("unavailable", trace=trace_id, error=type(error).__name__)
            return Unavailable("the store cannot be reached; nothing was done, try again")
        case _:
            # The message may hold personal data (a database names the key it refused): only where it happened is kept.
            where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
            log.error("failure", trace=trace_id, error=type(error).__name__, where=where)
            return Internal(f"something failed that we did not foresee; report the trace id {trace_id}")


async def send_answer(send: Send, answer: Answer, trace_id: str, *, head: bool = False) -> None:
    """Sends an answer; with `head`, all but its body."""
    body = answer.body
    if isinstance(body, AsyncIterator):
        await _send_pieces(send, answer, body, trace_id, head=head)
        return
    content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    headers = [(b"content-length", str(len(content)).encode()), *_headers(answer, trace_id)]
    if content:
        headers.append((b"content-type", answer.media_type.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})


async def _send_pieces(send: Send, answer: Answer, pieces: AsyncIterator[bytes], trace_id: str, *, head: bool) -> None:
    """A body that is not held in memory; its length is unknown unless the handler tells it."""
    headers = [*_headers(answer, trace_id), (b"content-type", answer.media_type.encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async with aclosing(cast(AsyncGenerator[bytes, None], pieces)):
        if not head:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def _headers(answer: Answer, trace_id: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-trace-id", trace_id.encode()), *_ALWAYS]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    return headers
