# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Orders exports as a client of the Bulk Data IG does: kick-off, polling, fetching."""

import asyncio
from dataclasses import dataclass
import json
from typing import Any

import httpx2

from tests.fhir_server.clinic import NURSE, Clinic
from tests.support.callers import bearer

ASYNC = {"Prefer": "respond-async"}


@dataclass
class Exporter:
    clinic: Clinic

    async def order(self, path: str, caller: Any = NURSE, *, status: int = 202, **more: str) -> httpx2.Response:
        answer = await self.clinic.http.get(self.clinic.url(path), headers={**bearer(caller), **ASYNC, **more})
        assert answer.status_code == status, answer.text
        return answer

    async def finished(self, job: str, caller: Any = NURSE, status: int = 200) -> httpx2.Response:
        """The answer when the job is at its end."""
        for _ in range(600):
            answer = await self.clinic.http.get(job, headers=bearer(caller))
            if answer.status_code != 202:
                assert answer.status_code == status, answer.text
                return answer
            assert answer.headers["x-progress"] and int(answer.headers["retry-after"]) > 0
            await asyncio.sleep(0.02)
        raise AssertionError("the job did not come to an end")

    async def manifest(self, path: str, caller: Any = NURSE, **more: str) -> dict[str, Any]:
        job = (await self.order(path, caller, status=202, **more)).headers["content-location"]
        found: dict[str, Any] = (await self.finished(job, caller)).json()
        return found

    async def lines(self, manifest: dict[str, Any], kind: str = "output", caller: Any = NURSE) -> list[dict[str, Any]]:
        """Every resource of the files."""
        found = []
        for each in manifest[kind]:
            answer = await self.clinic.get(each["url"], caller, Accept="application/fhir+ndjson")
            assert answer.headers["content-type"] == "application/fhir+ndjson"
            some = [json.loads(line) for line in answer.text.splitlines()]
            assert len(some) == each["count"] and {one["resourceType"] for one in some} == {each["type"]}
            found += some
        return found

    async def ids(self, path: str, caller: Any = NURSE, **more: str) -> set[str]:
        manifest = await self.manifest(path, caller, **more)
        return {f"{each['resourceType']}/{each['id']}" for each in await self.lines(manifest, caller=caller)}
