# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A record system that speaks openEHR REST: Region Mitt.

https://specifications.openehr.org/releases/ITS-REST/Release-1.0.3/: definitions, EHR, compositions, AQL.
"""

from collections.abc import Callable, Mapping, Sequence
import json
from typing import Any, Final
import uuid

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.actors import PERSONNUMMER
from demo.people import ASTRID, BERTIL
from demo.regions import aql, aql_rows, openehr_store
from demo.regions.openehr_store import SYSTEM_ID, Stale, Version
from demo.regions.serve import Arguments, Region, TooLarge, arguments, body_of, create_app, serve
from demo.regions.store import LocalPerson, Store
from demo.regions.template import Template, TemplateFault, bundled
from demo.trust import Refused

BASE: Final = "/openehr/v1"
PEOPLE: Final = (
    LocalPerson("M-2001", ASTRID.number, ASTRID.name),
    LocalPerson("M-2002", BERTIL.number, BERTIL.name),
)
Handler = Callable[[Request], Any]


class Problem(Exception):
    """An error as openEHR REST tells it: status, message, and what broke the template."""

    def __init__(self, status: int, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, list(errors)


def _problem(status: int, message: str, errors: Sequence[str] = ()) -> JSONResponse:
    body: dict[str, Any] = {"message": message, "code": status}
    if errors:
        body["validationErrors"] = list(errors)
    return JSONResponse(body, status, headers={"WWW-Authenticate": "Bearer"} if status == 401 else None)


def guarded(handler: Handler) -> Handler:
    """Tells every refusal in openEHR REST's own form."""

    async def run(request: Request) -> Response:
        try:
            answer: Response = await handler(request)
        except Refused as refused:
            return _problem(refused.status, refused.text)
        except Problem as problem:
            return _problem(problem.status, problem.message, problem.errors)
        except TemplateFault as fault:
            return _problem(422, "the composition breaks its template", fault.errors)
        except Stale as stale:
            answer = _problem(412, "another version is the latest")
            answer.headers["ETag"] = f'"{stale.latest}"'
            return answer
        except TooLarge:
            return _problem(413, "the body is larger than 1 MiB")
        return answer

    return run


async def _json(request: Request) -> Any:
    try:
        return json.loads(await body_of(request))
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not JSON") from None


def _uuid(text: str, what: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Problem(400, f"{what} is a UUID") from None


class OpenEhrSource:
    """The handlers; `region` gives what they work with."""

    def __init__(self, region: Callable[[], Region]) -> None:
        self._region = region

    @property
    def _store(self) -> Store:
        return self._region().store

    async def _network(self, request: Request) -> None:
        await self._region().askers.asker(request.headers.get("authorization"))

    def _staff(self, request: Request) -> None:
        self._region().staff.check(request.headers.get("authorization"))

    async def _template(self, composition: object) -> Template:
        details = composition.get("archetype_details") if isinstance(composition, dict) else None
        named = details.get("template_id") if isinstance(details, dict) else None
        id_ = str(named.get("value")) if isinstance(named, dict) else ""
        body = await self._store.pool.fetchval("SELECT body FROM template WHERE id = $1", id_)
        if body is None:
            raise Problem(422, "the composition names no template that is loaded here",
                          ["/archetype_details/template_id: not known"])  # fmt: skip
        return Template.read(json.loads(body))

    def _versioned(self, ehr: uuid.UUID, version: Version, status: int) -> Response:
        headers = {
            "ETag": f'"{version.uid}"',
            "Location": f"{self._region().address}{BASE}/ehr/{ehr}/composition/{version.uid}",
            "Last-Modified": version.committed.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }
        return JSONResponse(version.body, status, headers=headers)

    async def _ehr(self, request: Request) -> uuid.UUID:
        ehr = _uuid(request.path_params["ehr"], "the EHR id")
        if not await openehr_store.ehrs(self._store, ehr):
            raise Problem(404, "there is no such EHR")
        return ehr

    async def templates(self, request: Request) -> Response:
        """Lists templates."""
        await self._network(request)
        rows = await self._store.pool.fetch("SELECT id, body FROM template ORDER BY id")
        return JSONResponse([{"template_id": row["id"], "concept": json.loads(row["body"])["entry"]} for row in rows])

    async def template(self, request: Request) -> Response:
        """One template, in the demo's own JSON form."""
        await self._network(request)
        body = await self._store.pool.fetchval("SELECT body FROM template WHERE id = $1", request.path_params["id"])
        if body is None:
            raise Problem(404, "there is no such template")
        return Response(body, media_type="application/json")

    async def add_template(self, request: Request) -> Response:
        """Loads a template in the demo's own JSON form."""
        self._staff(request)
        definition = await _json(request)
        try:
            template = Template.read(definition)
        except TemplateFault as fault:
            raise Problem(400, "not a template", fault.errors) from None
        done = await self._store.pool.execute(
            "INSERT INTO template (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            template.id, json.dumps(definition),
        )  # fmt: skip
        if done.endswith(" 0"):
            raise Problem(409, "a template of this id is loaded already")
        return Response(status_code=201)

    async def create_ehr(self, request: Request) -> Response:
        """Makes the EHR of a person known here; the subject's external_ref carries the personal number."""
        self._staff(request)
        status = await _json(request)
        try:
            reference = status["subject"]["external_ref"]
            number, namespace = str(reference["id"]["value"]), reference["namespace"]
        except (KeyError, TypeError):
            raise Problem(400, "send an EHR_STATUS with subject.external_ref") from None
        person = await self._store.person_by_number(number) if namespace == PERSONNUMMER else None
        if person is None:
            raise Problem(400, "this subject is not known here")
        if await self._store.pool.fetchval("SELECT true FROM ehr WHERE local_id = $1", person.local_id):
            raise Problem(409, "this subject has an EHR already")
        ehr = await openehr_store.ehr_of(self._store, person)
        location = f"{self._region().address}{BASE}/ehr/{ehr}"
        return Response(status_code=201, headers={"Location": location, "ETag": f'"{ehr}"'})

    async def read_ehr(self, request: Request) -> Response:
        """One EHR with its status."""
        await self._network(request)
        ehr = await self._ehr(request)
        return JSONResponse((await openehr_store.ehrs(self._store, ehr))[0][1])

    async def create_composition(self, request: Request) -> Response:
        """Commits a new composition."""
        self._staff(request)
        ehr = await self._ehr(request)
        composition = await _json(request)
        body = (await self._template(composition)).check(composition)
        version = await openehr_store.save(self._store, ehr, body)
        self._region().sender.wake()
        return self._versioned(ehr, version, 201)

    async def _composition(self, request: Request) -> tuple[uuid.UUID, uuid.UUID, int | None]:
        ehr = await self._ehr(request)
        parts = request.path_params["uid"].split("::")
        if len(parts) not in (1, 3) or (len(parts) == 3 and (parts[1] != SYSTEM_ID or not parts[2].isdigit())):
            raise Problem(404, "there is no such composition")
        return ehr, _uuid(parts[0], "the composition id"), int(parts[2]) if len(parts) == 3 else None

    async def update_composition(self, request: Request) -> Response:
        """Commits the next version; If-Match names the one before."""
        self._staff(request)
        ehr, id_, _ = await self._composition(request)
        match = request.headers.get("if-match", "").strip('"')
        if not match:
            raise Problem(400, "If-Match names the preceding version")
        if await openehr_store.read(self._store, ehr, id_) is None:
            raise Problem(404, "there is no such composition")
        composition = await _json(request)
        body = (await self._template(composition)).check(composition)
        version = await openehr_store.save(self._store, ehr, body, id_=id_, preceding=match)
        self._region().sender.wake()
        return self._versioned(ehr, version, 200)

    async def delete_composition(self, request: Request) -> Response:
        """Deletes: the next version is empty of content; the uid names the latest version."""
        self._staff(request)
        ehr, id_, _ = await self._composition(request)
        latest = await openehr_store.read(self._store, ehr, id_)
        if latest is None:
            raise Problem(404, "there is no such composition")
        version = await openehr_store.save(
            self._store, ehr, latest.body, id_=id_, preceding=request.path_params["uid"], deleted=True
        )
        self._region().sender.wake()
        return Response(status_code=204, headers={"ETag": f'"{version.uid}"'})

    async def read_composition(self, request: Request) -> Response:
        """The latest or a named version; 204 if it is deleted."""
        await self._network(request)
        ehr, id_, number = await self._composition(request)
        version = await openehr_store.read(self._store, ehr, id_, number)
        if version is None:
            raise Problem(404, "there is no such composition")
        return Response(status_code=204) if version.deleted else self._versioned(ehr, version, 200)

    async def query(self, request: Request) -> Response:
        """Runs an AQL query: {"q", "query_parameters", "offset", "fetch"}."""
        await self._network(request)
        body = await _json(request)
        if not isinstance(body, dict) or not isinstance(body.get("q"), str):
            raise Problem(400, 'send {"q": "SELECT …"}')
        parameters = body.get("query_parameters") or {}
        if not isinstance(parameters, dict):
            raise Problem(400, "query_parameters is an object")
        try:
            query = aql.parse(body["q"], parameters)
        except aql.AqlError as error:
            raise Problem(400, f"the query is not understood: {error}") from None
        held = [
            (ehr, await openehr_store.compositions(self._store, id_))
            for id_, ehr in await openehr_store.ehrs(self._store)
        ]
        rows = aql_rows.evaluate(query, held)
        offset, fetch = body.get("offset", 0), body.get("fetch", len(rows))
        if not all(isinstance(each, int) and each >= 0 for each in (offset, fetch)):
            raise Problem(400, "offset and fetch are whole numbers")
        rows = rows[offset : offset + fetch]
        columns = [
            {"name": column.alias or f"#{number}", "path": "/" + column.path.text}
            for number, column in enumerate(query.columns)
        ]
        return JSONResponse({"meta": {"_type": "RESULTSET"}, "q": body["q"], "columns": columns, "rows": rows})

    async def document(self, request: Request) -> Response:
        """How the house's own clinicians document: {"documentId", "patient", "composition"} with a local patient id."""
        self._staff(request)
        given = await _json(request)
        if not isinstance(given, Mapping) or not isinstance(given.get("documentId"), str):
            raise Problem(400, "send documentId, patient and composition")
        person = await self._store.person(str(given.get("patient")))
        if person is None:
            raise Problem(422, "this patient is not known here")
        body = (await self._template(given.get("composition"))).check(given.get("composition"))
        ehr = await openehr_store.ehr_of(self._store, person)
        version = await openehr_store.save(self._store, ehr, body, document_id=given["documentId"])
        self._region().sender.wake()
        return self._versioned(ehr, version, 201 if version.created else 200)


def routes(region: Callable[[], Region]) -> Sequence[BaseRoute]:
    """The simulator's routes."""
    source = OpenEhrSource(region)
    definitions, composition = f"{BASE}/definition/template/adl1.4", f"{BASE}/ehr/{{ehr}}/composition"
    return [
        Route("/document", guarded(source.document), methods=["POST"]),
        Route(definitions, guarded(source.templates), methods=["GET"]),
        Route(definitions, guarded(source.add_template), methods=["POST"]),
        Route(f"{definitions}/{{id}}", guarded(source.template), methods=["GET"]),
        Route(f"{BASE}/ehr", guarded(source.create_ehr), methods=["POST"]),
        Route(f"{BASE}/ehr/{{ehr}}", guarded(source.read_ehr), methods=["GET"]),
        Route(composition, guarded(source.create_composition), methods=["POST"]),
        Route(f"{composition}/{{uid}}", guarded(source.read_composition), methods=["GET"]),
        Route(f"{composition}/{{uid}}", guarded(source.update_composition), methods=["PUT"]),
        Route(f"{composition}/{{uid}}", guarded(source.delete_composition), methods=["DELETE"]),
        Route(f"{BASE}/query/aql", guarded(source.query), methods=["POST"]),
    ]


async def prepare(store: Store) -> None:
    """Loads the templates that come with the demo and makes the EHRs."""
    for template in bundled():
        await store.pool.execute(
            "INSERT INTO template (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            template.id, json.dumps(template.definition),
        )  # fmt: skip
    for person in PEOPLE:
        await openehr_store.ehr_of(store, person)


def app(given: Arguments) -> Starlette:
    """The simulator as an application."""
    return create_app(given, tables=openehr_store.TABLES, people=PEOPLE, routes=routes, at_start=prepare)


def main() -> None:
    """Serves the actor named on the command line."""
    given = arguments()
    serve(given, app(given))


if __name__ == "__main__":
    main()
