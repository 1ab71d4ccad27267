# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Three small sources on real ports, and stand-ins for the services the gateway asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx2
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from consent.client import Decision, Decisions, Disclosure, DisclosureMode, Entity, Operation, Question
from fhir_server.app import create_app
from fhir_server.context import Context
from fhir_server.outcome import Unavailable
from gateway.app import create_service
from gateway.local import LocalGateway
from gateway.settings import GatewaySettings
from identifiers.person_key import PersonKeys
from identifiers.person_number import PersonIdentifier
from patient_index.client import Changes, Coverage, Entry, Located
from provider_catalog.client import Organisation, Place, ProviderState, ResolvedEndpoint
from terminology.client import Coded, Translation
from tests.gateway.records import ASTRID, MITT, NORR, SYD, alert, allergy, composition, message, searchset
from tests.support.callers import ListAudit, TestAuthenticator
from tests.support.running import serving

Behaviour = Callable[[Request], Awaitable[Response]]
KEYS = PersonKeys({1: bytes(range(32))}, 1)
NAMES = {NORR: "Norr", MITT: "Mitt", SYD: "Syd"}


class Toy:
    """A source that answers as a test says, and remembers what it was asked."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.lines: list[str] = []
        self.bodies: list[bytes] = []
        self.app = Starlette(routes=[Route("/{rest:path}", self._serve, methods=["GET", "POST"])])

    async def _serve(self, request: Request) -> Response:
        self.lines.append(f"{request.method} {request.url} {dict(request.headers)}")
        self.bodies.append(await request.body())
        return await self.behaviour(request)


async def fhir_source(request: Request) -> Response:
    if request.url.path.endswith("_search"):
        (asked,) = parse_qs((await request.body()).decode())["patient.identifier"]
        found = [allergy()] if asked == f"{ASTRID.system}|{ASTRID.value}" else []
        return JSONResponse(searchset(*found))
    stored = orjson.loads(await request.body())
    return JSONResponse({**stored, "id": "stored-1"}, 201, headers={"Location": str(request.url) + "/stored-1"})


async def openehr_source(request: Request) -> Response:
    if request.url.path.endswith("/query/aql"):
        asked = orjson.loads(await request.body())
        subject = asked["query_parameters"]["subject"]
        columns = [{"name": name} for name in ("ehr", "subject", "uid")]
        return JSONResponse({"q": asked["q"], "columns": columns, "rows": [["e1", subject, "c0ffee00-1::mitt::2"]]})
    return JSONResponse(composition())


async def rivta_source(request: Request) -> Response:
    return Response(message(alert()), media_type="text/xml")


async def hang(request: Request) -> Response:
    """Says nothing until the caller goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


async def drip(request: Request) -> Response:
    async def bytes_one_by_one() -> AsyncIterator[bytes]:
        for each in message(alert()):
            yield bytes([each])
            await asyncio.sleep(0.05)

    return StreamingResponse(bytes_one_by_one(), media_type="text/xml")


def says(content: bytes | dict[str, object], status: int = 200) -> Behaviour:
    async def answer(request: Request) -> Response:
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        return Response(body, status)

    return answer


@dataclass
class ToyIndex:
    """Names the entries it was given, as far as consent lets it."""

    entries: list[Entry] = field(default_factory=list)
    blocked: bool | None = False
    refused: str | None = None
    seconds: float = 0

    async def locate(
        self, context: Context, identifier: PersonIdentifier, information_types: Sequence[str] = ()
    ) -> Located:
        await asyncio.sleep(self.seconds)
        entries = [] if self.refused else self.entries
        return Located(
            entries=tuple(
                each for each in entries if not information_types or each.information_type in information_types
            ),
            unblocked_exist=bool(self.entries),
            blocked_exist=self.blocked,
            mode=DisclosureMode.SE if self.blocked is not None else DisclosureMode.EHDS,
            reason=self.refused or "SVOD_3_1",
            explanation_sv="Samtycke saknas." if self.refused else "Samtycke finns.",
            explanation_en="There is no consent." if self.refused else "There is consent.",
            law="SVOD 3 kap. 1 §",
            decision="decision-located",
            coverage=Coverage(3, 0, ()),
        )

    async def holders(self, context: Context) -> Sequence[Entry]:
        raise NotImplementedError

    async def changes(
        self, context: Context, cursor: str | None, information_types: Sequence[str], limit: int
    ) -> Changes:
        raise NotImplementedError


@dataclass
class ToyConsent:
    """Permits what `permits` says; the caller's decision is marked as the real service does."""

    permits: Callable[[Entity], bool] = lambda entity: True
    mode: DisclosureMode = DisclosureMode.SE
    asked: list[Question] = field(default_factory=list)

    async def decide(self, context: Context, question: Question) -> Decisions:
        self.asked.append(question)
        context.decided = True
        items = tuple(self._decision(self.permits(each)) for each in question.entities)
        blocked = any(not each.permitted for each in items)
        return Decisions(
            id=f"decision-{len(self.asked)}",
            policy_version="1",
            mode=self.mode,
            items=items,
            unblocked_exist=any(each.permitted for each in items),
            blocked_exist=blocked if self.mode is DisclosureMode.SE else None,
        )

    def _decision(self, permitted: bool) -> Decision:
        return Decision(
            permitted=permitted,
            disclosure=Disclosure.full if permitted else Disclosure.none,
            reason="SVOD_3_1" if permitted else "REGISTER_OPT_OUT",
            rule="r",
            law="SVOD 3 kap. 1 §" if permitted else "PDL 7 kap. 2 §",
            explanation_sv="sv",
            explanation_en="en",
            ground="consent" if permitted else None,
            blocked=not permitted and Operation.register_transfer is not self.asked[-1].operation,
        )


@dataclass
class ToyCatalog:
    """Knows the endpoints it was given."""

    endpoints: dict[str, ResolvedEndpoint] = field(default_factory=dict)

    async def resolve(
        self, context: Context, unit: str, information_type: str, source_system: str | None = None
    ) -> ResolvedEndpoint | None:
        return self.endpoints.get(unit)

    async def resolve_many(self, context: Context, places: Sequence[Place]) -> list[ResolvedEndpoint | None]:
        return [self.endpoints.get(place.unit) for place in places]

    async def organisations(self, context: Context, hsa_ids: Sequence[str]) -> dict[str, Organisation]:
        return {
            each: Organisation(each, f"Unit {each}", f"{each.partition('-')[0]}-VG", "Region", "care-unit")
            for each in hsa_ids
            if each in self.endpoints
        }

    async def providers(self, context: Context) -> Sequence[ProviderState]:
        return ()


@dataclass
class ToyTerminology:
    """Translates by a table."""

    table: dict[tuple[str, str, str], str] = field(default_factory=dict)
    down: bool = False

    async def lookup(self, context: Context, system: str, code: str) -> Coded | None:
        return None

    async def translate(
        self, context: Context, system: str, code: str, target_system: str, url: str | None = None
    ) -> tuple[Translation, ...]:
        if self.down:
            raise Unavailable("the terminology does not answer")
        found = self.table.get((system, code, target_system))
        return (Translation("equivalent", Coded(target_system, found, None), "map"),) if found else ()


@dataclass
class Stage:
    """The running gateway, its sources and everything around it."""

    http: httpx2.AsyncClient
    base: str
    norr: Toy
    mitt: Toy
    syd: Toy
    index: ToyIndex
    consent: ToyConsent
    catalog: ToyCatalog
    terminology: ToyTerminology
    audit: ListAudit
    local: LocalGateway
    entries: tuple[Entry, ...]

    def reset(self) -> None:
        """As it was before any test changed it; the servers run on."""
        self.norr.behaviour, self.mitt.behaviour, self.syd.behaviour = fhir_source, openehr_source, rivta_source
        for toy in self.toys:
            toy.lines.clear()
            toy.bodies.clear()
        entries = list(self.entries)
        self.index.entries, self.index.blocked, self.index.refused, self.index.seconds = entries, False, None, 0
        self.consent.permits, self.consent.mode = lambda entity: True, DisclosureMode.SE
        self.consent.asked.clear()
        self.catalog.endpoints = {each.unit: each.endpoint for each in entries if each.endpoint}
        self.terminology.table.clear()
        self.terminology.down = False
        self.audit.entries.clear()

    @property
    def toys(self) -> tuple[Toy, Toy, Toy]:
        return self.norr, self.mitt, self.syd


def entry(region: str, address: str, connection_type: str, unit: str | None = None) -> Entry:
    unit = unit or f"{region}-VE1"
    return Entry(
        id=f"entry-{unit}",
        person=KEYS.of(ASTRID),
        custodian=f"{region}-VG",
        unit=unit,
        information_type="alert",
        source_system=f"{region}-SYS",
        business_object=f"b-{unit}",
        most_recent=datetime(2024, 1, 1, tzinfo=UTC),
        endpoint=ResolvedEndpoint(address, connection_type, f"{region}-SYS", unit, (unit, f"{region}-VG")),
        custodian_name=f"Region {NAMES[region]}",
        unit_name=f"Kliniken {NAMES[region]}",
    )


@asynccontextmanager
async def staged(settings: GatewaySettings) -> AsyncIterator[Stage]:
    """Three sources and the gateway, each on its own port."""
    toys = Toy(fhir_source), Toy(openehr_source), Toy(rivta_source)
    async with AsyncExitStack() as stack:
        norr, mitt, syd = [await stack.enter_async_context(serving(each.app)) for each in toys]
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=20, trust_env=False))
        entries = [
            entry(NORR, f"{norr}/fhir", "fhir-rest"),
            entry(MITT, f"{mitt}/openehr/v1", "openehr-rest"),
            entry(SYD, f"{syd}/GetAlertInformation", "rivta-soap"),
        ]
        index, consent, terminology = ToyIndex(entries), ToyConsent(), ToyTerminology()
        catalog = ToyCatalog({each.unit: each.endpoint for each in entries if each.endpoint})
        parts: dict[str, Any] = {
            "engine": None, "keys": KEYS, "index": index, "catalog": catalog, "consent": consent,
            "terminology": terminology, "http": http, "settings": settings,
        }  # fmt: skip
        audit = ListAudit()
        service = create_service(**parts)
        app = create_app(service, engine=None, authenticator=TestAuthenticator(), audit=audit)
        base = await stack.enter_async_context(serving(app))
        local = LocalGateway(**parts)
        yield Stage(
            http, base + "/gateway/fhir", *toys, index, consent, catalog, terminology, audit, local, tuple(entries)
        )
