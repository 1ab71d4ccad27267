# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Ordering, asking, fetching and cancelling: https://hl7.org/fhir/uv/bulkdata/STU2/export.html and
https://hl7.org/fhir/R4/async.html.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
import secrets
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.bulk import callers
from fhir_server.bulk.export import exported_types, manifest
from fhir_server.bulk.files import Folder, stream
from fhir_server.bulk.order import Level, check_local, group_members, order_of
from fhir_server.bulk.settings import BulkSettings
from fhir_server.bulk.worker import Worker
from fhir_server.compression import takes_gzip
from fhir_server.context import Access, Answer, AuditEntry, Context
from fhir_server.endpoint import KernelSettings
from fhir_server.interactions.search import checked
from fhir_server.interactions.seeing import seen
from fhir_server.interactions.serving import Serving, guard
from fhir_server.outcome import Forbidden, Invalid, NotFound
from fhir_server.service import Handler, Request, Route, Service
from fhir_server.storage.jobs import Job, JobStore
from fhir_server.storage.schema import tables

NDJSON: Final = "application/fhir+ndjson"
_STATUS: Final = "/fhir/_async"


@dataclass(frozen=True, slots=True)
class Bulk:
    """The jobs of one service, as its handlers reach them."""

    service: Service
    jobs: JobStore
    types: Mapping[str, Serving]
    folder: Folder
    settings: BulkSettings
    worker: Worker

    def routes(self) -> Iterator[Route]:
        """What is offered, and the addresses at which jobs are asked after."""
        system = "$export" in self.service.operations
        if system:
            yield from _export(self, "system", "/fhir/$export")
        for name, level in (("Patient", "Patient"), ("Group", "Group")):
            if name in self.types and "$export" in self.types[name].type.operations:
                path = "/fhir/Patient/$export" if level == "Patient" else "/fhir/Group/{id}/$export"
                yield from _export(self, "Patient" if level == "Patient" else "Group", path)
                if level == "Group":
                    # Before `{id}` would take $export for an id: the operation is there, what is missing is the group.
                    for method in ("GET", "POST"):
                        yield Route("/fhir/Group/$export", _which_group, Access.each_entry, methods=(method,))
        yield Route(f"{_STATUS}/{{job}}", _Status(self), Access.each_entry, methods=("GET",), summary="State of a job")
        yield Route(f"{_STATUS}/{{job}}", _Cancel(self), Access.each_entry, methods=("DELETE",), summary="Cancel a job")
        yield Route(
            f"{_STATUS}/{{job}}/{{file}}",
            _File(self),
            Access.each_entry,
            methods=("GET",),
            summary="A file of a finished job",
            produces=(NDJSON, "application/ndjson"),
        )

    def searching(self, serving: Serving, handler: Handler) -> Handler:
        """The search, or the order of it where `Prefer: respond-async` asks for one."""
        return _Searching(self, serving, handler)

    async def take(self, context: Context, request: Request, kind: str, work: dict[str, Any]) -> Answer:
        """Takes a job in. Raises `RateLimited`."""
        job = Job(
            id=secrets.token_urlsafe(18),
            kind=kind,
            owner=callers.owner(context.caller),
            client=context.caller.client_id,
            state="waiting",
            request=_address(request),
            work={**work, "base": request.base},
            caller=callers.written(context.caller),
            trace_id=context.trace_id,
            created=context.now,
        )
        await self.jobs.add(job, most=self.settings.jobs_per_client)
        self.worker.wake()
        return Answer(None, status=202, headers={"Content-Location": f"{request.base}/_async/{job.id}"})

    async def find(self, context: Context, request: Request) -> Job:
        """The job of the address. Raises `NotFound` for everybody but who ordered it."""
        job = await self.jobs.of_owner(request.path_params["job"], callers.owner(context.caller), context.now)
        if job is None:
            raise NotFound("no job of yours under this address: it was cancelled, has expired or never was")
        return job


def bulk_of(service: Service, engine: AsyncEngine, types: Mapping[str, Serving], kernel: KernelSettings) -> Bulk | None:
    """What a service needs that offers exports or long searches; None for others. Raises `ValueError`."""
    offering = [name for name, each in types.items() if "$export" in each.type.operations]
    if not (service.asynchronous or service.operations or offering):
        return None
    if not set(offering) <= {"Patient", "Group"} or (offering and "Patient" not in types):
        raise ValueError(f"{service.name}: $export is an operation of Patient, of Group beside Patient, or of the base")
    settings = kernel.bulk
    if settings is None:
        raise ValueError(f"{service.name} offers work that is fetched later and needs KernelSettings.bulk")
    jobs, folder = JobStore(engine, tables(service.name).job), Folder(settings.folder, service.name)
    worker = Worker(engine, jobs, types, folder=folder, settings=settings, kernel=kernel)
    return Bulk(service, jobs, types, folder, settings, worker)


def wants_async(request: Request) -> bool:
    """https://hl7.org/fhir/R4/async.html."""
    return "respond-async" in (each.strip() for each in request.headers.get("prefer", "").split(","))


async def _which_group(context: Context, request: Request) -> Answer:
    """Raises `Invalid`."""
    raise Invalid("an export of a group names it: Group/[id]/$export", code="group-required")


def _export(bulk: Bulk, level: Level, path: str) -> Iterator[Route]:
    for method in ("GET", "POST"):
        summary = "Order an export" if level == "system" else f"Order an export at the level of {level}"
        yield Route(path, _Ordering(bulk, level), Access.each_entry, methods=(method,), summary=summary)


@dataclass(frozen=True, slots=True)
class _Ordering:
    bulk: Bulk
    level: Level

    async def __call__(self, context: Context, request: Request) -> Answer:
        """Kick-off. Raises `Invalid` without `Prefer: respond-async`, `Forbidden` if nothing may be seen."""
        if not wants_async(request):
            raise Invalid("an export is asked for with Prefer: respond-async", code="respond-async-required")
        types = self.bulk.types
        order = order_of(types, self.level, request)
        needed = () if self.level == "system" else (self.level, "Patient")
        visible = await seen(types, context, request.base, named={*order.types, *needed})
        kinds = exported_types(order, visible)
        if not kinds:
            raise Forbidden("no type of this service may be exported with this token", code="insufficient-scope")
        if order.group is not None:
            await self._check_group(context, order.group, order.patients)
        if visible.person_data(kinds):
            context.record(AuditEntry(operation=f"export ordered {self.level}", detail={"types": kinds}))
        return await self.bulk.take(context, request, "export", {"order": order.work()})

    async def _check_group(self, context: Context, group: str, patients: tuple[str, ...]) -> None:
        serving = self.bulk.types["Group"]
        stored = await serving.store.read("Group", group)
        resource = None if stored is None or stored.deleted else orjson.loads(stored.body)
        await guard(serving, context, "read", resource)
        if resource is None:
            raise NotFound("no Group with this id")
        if set(patients) - set(group_members(resource)):
            raise Invalid("a patient that is asked for is no member of the Group")


@dataclass(frozen=True, slots=True)
class _Searching:
    bulk: Bulk
    serving: Serving
    handler: Handler

    async def __call__(self, context: Context, request: Request) -> Answer:
        if not wants_async(request):
            return await self.handler(context, request)
        query = await checked(self.serving, context, request)
        check_local(query)
        work = {
            "type": self.serving.type.name,
            "query": [[name, value] for name, value in request.search_parameters()],
            "prefer": "handling=lenient" if "handling=lenient" in request.headers.get("prefer", "") else "",
        }
        return await self.bulk.take(context, request, "search", work)


@dataclass(frozen=True, slots=True)
class _Status:
    bulk: Bulk

    async def __call__(self, context: Context, request: Request) -> Answer:
        """202 with progress, 200 with the manifest or the Bundle, or the error the job ended with."""
        job = await self.bulk.find(context, request)
        if job.result is None:
            waited = (context.now - job.created).total_seconds()
            headers = {"X-Progress": job.progress, "Retry-After": str(min(30, max(1, int(waited / 4))))}
            return Answer(None, status=202, headers=headers)
        expires = {"Expires": format_datetime(job.expires, usegmt=True)} if job.expires is not None else {}
        if job.kind == "search":
            return Answer(await self._bundle(context, request, job), headers=expires)
        if job.state == "failed":
            return Answer(job.result["outcome"], status=job.result["status"])
        own = f"{request.base}/_async/{job.id}"
        body = manifest(job.result, job.request, lambda name: f"{own}/{name}")
        return Answer(orjson.dumps(body), headers=expires, media_type="application/json")

    async def _bundle(self, context: Context, request: Request, job: Job) -> bytes:
        """As R5 gives the result of one interaction (https://hl7.org/fhir/R5/async-bundle.html)."""
        result = job.result or {}
        if job.state == "failed":
            response = {"status": str(result["status"]), "outcome": result["outcome"]}
            return orjson.dumps(_batch([{"response": response}]))
        await _check_types(self.bulk, context, request, job)
        (part,) = result["parts"]
        path = self.bulk.folder.file(job.id, result["attempt"], part["name"])
        found = b"".join([piece async for piece in stream(path, plain=True)])
        return orjson.dumps(_batch([{"resource": orjson.Fragment(found), "response": {"status": "200 OK"}}]))


@dataclass(frozen=True, slots=True)
class _Cancel:
    bulk: Bulk

    async def __call__(self, context: Context, request: Request) -> Answer:
        """The job and its files are gone."""
        job = await self.bulk.find(context, request)
        await self.bulk.jobs.cancel(job.id)
        self.bulk.worker.wake()
        return Answer(None, status=202)


@dataclass(frozen=True, slots=True)
class _File:
    bulk: Bulk

    async def __call__(self, context: Context, request: Request) -> Answer:
        """The NDJSON, to who ordered it and may still see every type of the job."""
        job = await self.bulk.find(context, request)
        result = job.result if job.state == "done" else None
        name = request.path_params["file"]
        part = next((each for each in (result or {}).get("parts", ()) if each["name"] == name), None)
        if result is None or part is None or job.kind != "export":
            raise NotFound("the job has no such file")
        await _check_types(self.bulk, context, request, job)
        path = self.bulk.folder.file(job.id, result["attempt"], name)
        if not path.is_file():
            raise NotFound("the file is no longer there: order the export again", code="file-lost")
        plain = not takes_gzip(request.headers.get("accept-encoding"))
        headers = {"Vary": "Accept-Encoding"}
        if not plain:
            headers |= {"Content-Encoding": "gzip", "Content-Length": str(path.stat().st_size)}
        if part["kind"] == "output" and self.bulk.types[part["type"]].type.access is Access.person_data:
            context.record(AuditEntry(operation=f"export {part['type']}", count=part["count"]))
        return Answer(stream(path, plain=plain), headers=headers, media_type=NDJSON)


async def _check_types(bulk: Bulk, context: Context, request: Request, job: Job) -> None:
    """Raises `Forbidden` if what may be seen of the job's types is no longer the same, scopes and guards asked anew."""
    result = job.result or {}
    visible = await seen(bulk.types, context, request.base, named=result["types"])
    if visible.fingerprint(result["types"]) != result["sight"]:
        raise Forbidden("what you may see has changed since the job was worked: order it again", code="sight-changed")


def _batch(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}


def _address(request: Request) -> str:
    """What was asked, for the manifest. The query is the caller's own and told to nobody else."""
    path = request.base + request.path[request.path.index("/fhir") + 5 :]
    return path + (f"?{urlencode(request.query)}" if request.query else "")
