# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worker: takes one job after the other until it is cancelled, and sweeps what has expired.

Several processes may run one for the same service: a job is worked by whoever holds it (`storage/jobs.py`). It may be
killed anywhere: another, or it itself after a restart, begins the job again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
import time
import traceback
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
import structlog

from fhir_server.bulk.callers import context_of, read
from fhir_server.bulk.export import Export, Stopped, failure, result
from fhir_server.bulk.files import Folder, Writer
from fhir_server.bulk.order import Order
from fhir_server.bulk.settings import BulkSettings
from fhir_server.context import AuditSink
from fhir_server.endpoint import KernelSettings
from fhir_server.interactions.search import search
from fhir_server.interactions.seeing import seen
from fhir_server.interactions.serving import Serving
from fhir_server.outcome import FhirError, Internal
from fhir_server.service import Request
from fhir_server.storage.jobs import Job, JobStore, expiry

log = structlog.get_logger("ndi.bulk")

_TOLD_EVERY: Final = 1.0
"""Seconds between two looks at whether a job is still wanted."""


class Worker:
    """Works the jobs of one service."""

    def __init__(
        self, engine: AsyncEngine, jobs: JobStore, types: Mapping[str, Serving], *, folder: Folder,
        settings: BulkSettings, kernel: KernelSettings,
    ) -> None:  # fmt: skip
        self._engine, self._jobs, self._types, self._folder = engine, jobs, types, folder
        self._settings, self._kernel = settings, kernel
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """A job was taken in: look at once."""
        self._awake.set()

    async def run(self, audit: AuditSink) -> None:
        """Works until cancelled. A database that does not answer is asked again."""
        while True:
            self._awake.clear()
            try:
                while await self.work(audit):
                    pass
                await self.sweep()
            except Exception as error:
                log.error("bulk worker failed", error=type(error).__name__, where=_where(error))
            try:
                async with asyncio.timeout(self._settings.poll):
                    await self._awake.wait()
            except TimeoutError:
                pass

    async def work(self, audit: AuditSink) -> bool:
        """Works one job, if there is one that nobody works."""
        async with self._jobs.claimed() as job:
            if job is None:
                return False
            try:
                await self._attempt(job, audit)
            except Stopped:
                self._folder.remove(job.id)
            except FhirError as error:
                await self._fail(job, error)
            except (OSError, asyncio.CancelledError):
                raise  # the database, the disk or the process: tried again, later or by another
            except Exception as error:
                log.error("job failed", job=job.id, error=type(error).__name__, where=_where(error))
                if job.attempts >= self._settings.attempts:
                    await self._fail(job, Internal(f"the job failed; report the trace id {job.trace_id}"))
                else:
                    await asyncio.sleep(self._settings.poll)
            return True

    async def sweep(self) -> None:
        """Removes the files and rows of what was cancelled or has expired."""
        for job_id in await self._jobs.spent(self._kernel.clock()):
            await asyncio.to_thread(self._folder.remove, job_id)
            await self._jobs.remove(job_id)

    async def _attempt(self, job: Job, audit: AuditSink) -> None:
        if job.attempts > self._settings.attempts:
            raise Internal(f"the job ended its worker {self._settings.attempts} times; report the id {job.trace_id}")
        path = await asyncio.to_thread(self._folder.attempt, job.id, job.attempts)
        now = self._kernel.clock()
        context = context_of(read(job.caller), job.trace_id, now, self._settings.statement)
        if job.kind == "export":
            order = Order.of(job.work["order"])
            export = Export(self._engine, self._types, order, path, self._settings, _Telling(self._jobs, job).tell)
            made = result(await export.run(context, job.work["base"], now, self._kernel.deadline))
        else:
            answer = await self._search(job, audit)
            writer = Writer(path, "output", "Bundle", 1)
            await writer.write([answer])
            parts = [each.row() for each in await writer.close()]
            visible = await seen(self._types, context, job.work["base"])
            made = {"parts": parts, "types": [job.work["type"]], "sight": visible.fingerprint([job.work["type"]])}
        made["attempt"] = job.attempts
        if not await self._jobs.finish(job, "done", made, expiry(self._kernel.clock(), self._settings.expiry)):
            raise Stopped

    async def _search(self, job: Job, audit: AuditSink) -> bytes:
        """The page the search gives, without the deadline of a request."""
        serving = self._types[job.work["type"]]
        request = Request(
            method="GET", path="", path_params={}, query=[(name, value) for name, value in job.work["query"]],
            headers={"prefer": job.work["prefer"]}, body=b"", base=job.work["base"],
        )  # fmt: skip
        context = context_of(read(job.caller), job.trace_id, self._kernel.clock(), self._settings.statement)
        async with serving.store.transaction() as connection:
            await connection.execute(text(f"SET LOCAL statement_timeout = {int(self._settings.statement * 1000)}"))
            bound = replace(serving, store=serving.store.bound(connection))
            answer = await search(bound, context, request)
        if context.entries:
            await audit.append(context, context.entries)
        body: Any = answer.body
        return body if isinstance(body, bytes) else orjson.dumps(body)

    async def _fail(self, job: Job, error: FhirError) -> None:
        await asyncio.to_thread(self._folder.remove, job.id)
        await self._jobs.finish(job, "failed", failure(error), expiry(self._kernel.clock(), self._settings.expiry))


class _Telling:
    """Keeps how far a job is, not more often than it pays."""

    def __init__(self, jobs: JobStore, job: Job) -> None:
        self._jobs, self._job, self._last = jobs, job, 0.0

    async def tell(self, progress: str) -> None:
        """Raises `Stopped` if nobody wants the job any more."""
        if time.monotonic() - self._last < _TOLD_EVERY:
            return
        self._last = time.monotonic()
        if not await self._jobs.progress(self._job, progress):
            raise Stopped


def _where(error: BaseException) -> str:
    """The place alone: a message may hold the values of a statement."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
