# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Runs every area against a sandbox of its own and writes docs/conformance.md; ends with 1 if anything claimed fails.

python -m tools.conformance
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import sys

import structlog

from ndi.embedded import EmbeddedPostgres
from tests.support import databases
from tools.conformance import bindings, capabilities, examples, fhirpath, patch, search, testscripts, validator
from tools.conformance.published import FHIR, ROOT
from tools.conformance.report import Area, show, write
from tools.conformance.server import opened


def main() -> int:
    """Answers the exit code."""
    if not FHIR.is_dir():
        print("no published data: put them beside the checkout, or name their folder by NDI_SHARED", file=sys.stderr)
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with _database() as url:
        areas = asyncio.run(measure(url))
    show(areas)
    write(areas)
    return 1 if any(each.failures for each in areas) else 0


async def measure(database: str) -> list[Area]:
    """`database`: address of a PostgreSQL server. Two sandboxes: searches over the examples need them alone."""
    areas: list[Area] = []
    async with opened(database) as server:
        areas += [await examples.run(server), await search.run(server), await capabilities.run(server)]
    areas += [fhirpath.run(), patch.run(), validator.run(), bindings.run()]
    async with opened(database) as server:
        areas.append(await testscripts.run(server))
    return areas


@contextmanager
def _database() -> Iterator[str]:
    """The server that tests use where it answers, else the embedded one."""
    if asyncio.run(databases.answers(databases.SERVER_URL)):
        yield databases.SERVER_URL
        return
    with EmbeddedPostgres(ROOT / "var" / "test" / "postgres").used() as url:
        yield url


if __name__ == "__main__":
    sys.exit(main())
