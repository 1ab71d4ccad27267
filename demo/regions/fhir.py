# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A record system that speaks FHIR R4: Region Norr, and the private dental clinic Anemonen.

https://hl7.org/fhir/R4/http.html: read, vread, create, update, conditional update, search by POST.
"""

from collections.abc import Callable, Mapping, Sequence
import json
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.actors import PERSONNUMMER
from demo.people import ASTRID, BERTIL
from demo.regions import fhir_store
from demo.regions.fhir_check import Fault, check
from demo.regions.serve import Arguments, Region, TooLarge, arguments, body_of, create_app, serve
from demo.regions.store import LocalPerson
from demo.trust import Refused

MEDIA: Final = "application/fhir+json"
TYPES: Final = ("AllergyIntolerance", "Patient")
PEOPLE: Final[dict[str, tuple[LocalPerson, ...]]] = {
    "norr": (
        LocalPerson("N-1001", ASTRID.number, ASTRID.name),
        LocalPerson("N-1002", BERTIL.number, BERTIL.name),
    ),
    "anemonen": (
        LocalPerson("A-17", ASTRID.number, ASTRID.name),
        LocalPerson("A-18", BERTIL.number, BERTIL.name),
    ),
}
_IGNORED_PARAMETERS: Final = frozenset({"_count", "_format", "_pretty"})
Handler = Callable[[Request], Any]


def _outcome(status: int, code: str, text: str, expression: str | None = None) -> JSONResponse:
    issue: dict[str, Any] = {"severity": "error", "code": code, "diagnostics": text}
    if expression:
        issue["expression"] = [expression]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(
        {"resourceType": "OperationOutcome", "issue": [issue]}, status, media_type=MEDIA, headers=headers
    )


_REFUSED_CODES: Final = {401: "login", 403: "forbidden", 503: "transient"}


def guarded(handler: Handler) -> Handler:
    """Tells every refusal and fault as an OperationOutcome."""

    async def run(request: Request) -> Response:
        try:
            answer: Response = await handler(request)
        except Refused as refused:
            return _outcome(refused.status, _REFUSED_CODES[refused.status], refused.text)
        except Fault as fault:
            return _outcome(fault.status, fault.code, fault.text, fault.expression)
        except fhir_store.VersionConflict:
            return _outcome(412, "conflict", "another version is current: read again and send its ETag in If-Match")
        except TooLarge:
            return _outcome(413, "too-long", "the body is larger than 1 MiB")
        return answer

    return run


async def _resource(request: Request, kind: str) -> dict[str, Any]:
    try:
        value = json.loads(await body_of(request))
    except (ValueError, RecursionError):
        raise Fault("the body is not JSON", kind, status=400, code="structure") from None
    return check(value, kind)


def _patient(person: LocalPerson) -> dict[str, Any]:
    given, _, family = person.name.partition(" ")
    number = {"system": PERSONNUMMER, "value": person.number}
    return {"resourceType": "Patient", "id": person.local_id, "identifier": [number],
            "name": [{"family": family, "given": [given]}]}  # fmt: skip


class FhirSource:
    """The handlers; `region` gives what they work with."""

    def __init__(self, region: Callable[[], Region]) -> None:
        self._region = region

    async def _person(self, resource: Mapping[str, Any]) -> LocalPerson:
        """The patient of a resource: by personal number, or by the region's own id. Raises `Fault`."""
        store = self._region().store
        patient = resource if resource["resourceType"] == "Patient" else resource["patient"]
        identifiers = patient.get("identifier") or []
        for each in identifiers if isinstance(identifiers, list) else [identifiers]:
            if isinstance(each, dict) and each.get("system") == PERSONNUMMER:
                person = await store.person_by_number(str(each.get("value", "")).replace("-", ""))
                if person:
                    return person
        local_id = str(patient.get("reference", "")).removeprefix("Patient/")
        person = await store.person(local_id) if local_id else None
        if person is None:
            raise Fault("this patient is not known here", "AllergyIntolerance.patient", code="not-found")
        return person

    def _located(self, stored: fhir_store.Stored, kind: str, *, status: int) -> Response:
        base = self._region().address + self._region().actor.path
        location = f"{base}/{kind}/{stored.id}/_history/{stored.version}"
        return JSONResponse(
            stored.body, status, media_type=MEDIA, headers={"Location": location, "ETag": f'W/"{stored.version}"'}
        )

    async def _store(self, kind: str, resource: dict[str, Any], **how: Any) -> fhir_store.Stored:
        region = self._region()
        person = await self._person(resource)
        if kind == "AllergyIntolerance":
            number = {"system": PERSONNUMMER, "value": person.number}
            resource = {**resource, "patient": {"reference": f"Patient/{person.local_id}", "identifier": number}}
        stored = await fhir_store.save(region.store, person, resource, **how)
        region.sender.wake()
        return stored

    async def _own(self, request: Request) -> None:
        """Writes come from the house's own staff: by its own login, or through the network with a token of the house.

        Raises `Refused`.
        """
        authorization = request.headers.get("authorization")
        if authorization is not None and authorization.startswith("Staff "):
            return self._region().staff.check(authorization)
        asker = await self._region().askers.asker(authorization)
        if asker.organisation != self._region().actor.provider:
            raise Refused(403, "only staff of this care provider document here")

    async def create(self, request: Request) -> Response:
        """create; a body whose business identifier is stored already becomes that record's next version."""
        await self._own(request)
        kind = request.path_params["kind"]
        stored = await self._store(kind, await _resource(request, kind))
        return self._located(stored, kind, status=201)

    async def update(self, request: Request) -> Response:
        """update, with If-Match."""
        await self._own(request)
        kind, id_ = request.path_params["kind"], request.path_params["id"]
        resource = await _resource(request, kind)
        if resource.get("id") != id_:
            raise Fault("the id in the body is the id in the URL", f"{kind}.id", status=400)
        match = request.headers.get("if-match")
        version = int(match.strip('W/"')) if match and match.strip('W/"').isdigit() else None
        stored = await self._store(kind, resource, id_=id_, if_match=version)
        return self._located(stored, kind, status=201 if stored.created else 200)

    async def conditional_update(self, request: Request) -> Response:
        """update by `identifier=system|value`."""
        await self._own(request)
        kind = request.path_params["kind"]
        resource = await _resource(request, kind)
        if request.query_params.get("identifier") != fhir_store.business_identifier(resource):
            raise Fault("the condition is identifier=system|value, as in the body", f"{kind}.identifier", status=400)
        stored = await self._store(kind, resource)
        return self._located(stored, kind, status=201 if stored.created else 200)

    async def document(self, request: Request) -> Response:
        """How the house's own clinicians document: the resource as it is kept."""
        self._region().staff.check(request.headers.get("authorization"))
        stored = await self._store("AllergyIntolerance", await _resource(request, "AllergyIntolerance"))
        return self._located(stored, "AllergyIntolerance", status=201 if stored.created else 200)

    async def read(self, request: Request) -> Response:
        """read and vread."""
        await self._region().askers.asker(request.headers.get("authorization"))
        kind, id_, version = (request.path_params.get(name) for name in ("kind", "id", "version"))
        stored = await fhir_store.read(self._region().store, str(kind), str(id_), version)
        if stored is None and kind == "Patient" and version is None:
            person = await self._region().store.person(str(id_))
            stored = fhir_store.Stored(person.local_id, 1, _patient(person)) if person else None
        if stored is None:
            raise Fault("there is no such resource", f"{kind}.id", status=404, code="not-found")
        headers = {"ETag": f'W/"{stored.version}"'}
        return JSONResponse(stored.body, media_type=MEDIA, headers=headers)

    async def search(self, request: Request) -> Response:
        """search by POST: patient.identifier (AllergyIntolerance) or identifier (Patient)."""
        await self._region().askers.asker(request.headers.get("authorization"))
        kind = request.path_params["kind"]
        wanted = "identifier" if kind == "Patient" else "patient.identifier"
        form = parse_qsl((await body_of(request)).decode("utf-8", "replace"), keep_blank_values=True)
        values = [value for name, value in form if name == wanted]
        unknown = {name for name, _ in form} - {wanted} - _IGNORED_PARAMETERS
        if len(values) != 1 or unknown:
            raise Fault(f"search by exactly one {wanted}=system|value in a form body", kind, status=400,
                        code="not-supported")  # fmt: skip
        system, _, number = values[0].partition("|")
        person = await self._region().store.person_by_number(number) if system == PERSONNUMMER else None
        found = await self._found(kind, person) if person else []
        base = self._region().address + self._region().actor.path
        entries = [
            {"fullUrl": f"{base}/{kind}/{each['id']}", "resource": each, "search": {"mode": "match"}} for each in found
        ]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found),
                                  "link": [{"relation": "self", "url": f"{base}/{kind}"}]}  # fmt: skip
        if entries:
            bundle["entry"] = entries
        return JSONResponse(bundle, media_type=MEDIA)

    async def _found(self, kind: str, person: LocalPerson) -> Sequence[dict[str, Any]]:
        if kind == "Patient":
            return [_patient(person)]
        return await fhir_store.of_person(self._region().store, kind, person.local_id)

    async def metadata(self, _request: Request) -> Response:
        """What this server offers."""
        interactions = [{"code": code} for code in ("read", "vread", "create", "update", "search-type")]
        resources = [
            {"type": kind, "interaction": interactions, "versioning": "versioned-update", "conditionalUpdate": True}
            for kind in TYPES
        ]
        rest = [{"mode": "server", "resource": resources}]
        statement = {"resourceType": "CapabilityStatement", "status": "active", "date": "2026-11-01",
                     "kind": "instance", "fhirVersion": "4.0.1", "format": ["json"],
                     "implementation": {"description": f"Simulator: {self._region().actor.provider_name}"},
                     "rest": rest}  # fmt: skip
        return JSONResponse(statement, media_type=MEDIA)


def routes(region: Callable[[], Region]) -> Sequence[BaseRoute]:
    """The simulator's routes."""
    source = FhirSource(region)
    return [
        Route("/document", guarded(source.document), methods=["POST"]),
        Route("/fhir/metadata", guarded(source.metadata)),
        *(
            route
            for name in TYPES
            for route in (
                Route(f"/fhir/{name}/_search", _typed(source.search, name), methods=["POST"]),
                Route(f"/fhir/{name}/{{id}}/_history/{{version:int}}", _typed(source.read, name)),
                Route(f"/fhir/{name}/{{id}}", _typed(source.read, name), methods=["GET"]),
                Route(f"/fhir/{name}/{{id}}", _typed(source.update, name), methods=["PUT"]),
                Route(f"/fhir/{name}", _typed(source.create, name), methods=["POST"]),
                Route(f"/fhir/{name}", _typed(source.conditional_update, name), methods=["PUT"]),
            )
        ),
    ]


def _typed(handler: Handler, kind: str) -> Handler:
    async def run(request: Request) -> Response:
        request.path_params["kind"] = kind
        answer: Response = await guarded(handler)(request)
        return answer

    return run


def app(given: Arguments) -> Starlette:
    """The simulator as an application."""
    return create_app(given, tables=fhir_store.TABLES, people=PEOPLE[given.actor.name], routes=routes)


def main() -> None:
    """Serves the actor named on the command line."""
    given = arguments()
    serve(given, app(given))


if __name__ == "__main__":
    main()
