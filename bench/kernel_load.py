# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The load of NDJSON (`ndi fhir load`) against the bare minimum of the same stack.

Floor: the same rows of the same tables, made beforehand, by bare asyncpg: one array a column, batches of the same size.
Ours: the lines, parsed, stamped, indexed by all of R4's parameters of their types, compared with what is there.

    python -m bench.kernel_load
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
import gc
from pathlib import Path
import time
from typing import Any

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine
import structlog

from bench.figures import Rate, write_rates
from fhir_server.bulk.load import BATCH, Line, Loader
from fhir_server.context import Caller, CallerKind, Context
from fhir_server.resource import stamp
from fhir_server.search.index import extract_values
from fhir_server.search.parameters import parameters_for
from fhir_server.storage.database import create_engine
from fhir_server.storage.load import BatchStore
from fhir_server.storage.writing import Version, Writing
from ndi.embedded import EmbeddedPostgres
from ndi.fhir.load import tune
from ndi.sandbox import SCHEMA, sandbox_service, take_possession
from tests.support.databases import fresh_database

COUNT = 20_000
ROUNDS = 3
TYPES = ("Patient", "Observation")

Columns = tuple[list[Any], ...]
Statements = list[list[tuple[str, Columns]]]


def main() -> None:
    """Measures and prints, and writes the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    tune()  # as the command does
    rates = asyncio.run(measure())
    write_rates("kernel-load", f"Load of NDJSON, batches of {BATCH}, one connection", rates)


async def measure() -> list[Rate]:
    """Floor and ours in turn, the best of three rounds each, every round on empty tables."""
    lines = [Line("bench", at, orjson.dumps(_resource(at))) for at in range(COUNT)]
    statements = _statements(lines)
    floor, trusted, validated, again = [], [], [], []
    async with _database() as url:
        engine = create_engine(url, query_seconds=600)
        for _ in range(ROUNDS):
            await take_possession(engine, fresh=True)
            floor.append(await _timed(_floor(url, statements)))
            await take_possession(engine, fresh=True)
            trusted.append(await _timed(_ours(engine, lines, trusted=True)))
            again.append(await _timed(_ours(engine, lines, trusted=True)))
            await take_possession(engine, fresh=True)
            validated.append(await _timed(_ours(engine, lines, trusted=False)))
        await engine.dispose()
    best = max(floor)
    size = sum(len(each.body) for each in lines) / COUNT / 1000
    rows = sum(len(given[0]) for batch in statements for _, given in batch) / COUNT
    return [
        Rate(f"bare asyncpg: {rows:.0f} rows of a resource of {size:.1f} kB", best, None),
        Rate("`ndi fhir load --trusted`", max(trusted), max(trusted) / best),
        Rate("`ndi fhir load`, all rules validated", max(validated), max(validated) / best),
        Rate("the same files again: nothing to do", max(again), max(again) / best),
    ]


async def _timed(work: Any) -> float:
    gc.collect()
    began = time.perf_counter()
    await work
    return COUNT / (time.perf_counter() - began)


async def _ours(engine: AsyncEngine, lines: Sequence[Line], *, trusted: bool) -> None:
    caller = Caller("bench", CallerKind.system, frozenset())

    def context() -> Context:
        return Context(caller, "", datetime.now(UTC), float("inf"), "0" * 32, clock=lambda: 0.0)

    store = BatchStore(engine, SCHEMA, audit_function=None)
    tally = await Loader(sandbox_service(TYPES), store, context=context, trusted=trusted).load(lines)
    assert (tally.stored, tally.rejected) == (COUNT, 0)


async def _floor(url: str, statements: Statements) -> None:
    connection = await asyncpg.connect(url)
    for batch in statements:
        async with connection.transaction():
            for sql, given in batch:
                await connection.execute(sql, *given)
    await connection.close()


def _statements(lines: Sequence[Line]) -> Statements:
    """Every batch's statement with its arrays, as the loader sends it on empty tables."""
    parameters = {name: tuple(parameters_for(name, _searched(name)).values()) for name in TYPES}
    now, writing = datetime.now(UTC), Writing(SCHEMA, None)
    made: Statements = []
    for start in range(0, len(lines), BATCH):
        versions: list[Version] = []
        for line in lines[start : start + BATCH]:
            resource = orjson.loads(line.body)
            kind, identity = resource["resourceType"], resource["id"]
            body = stamp(line.body, resource, resource_id=identity, version=1, updated=now)
            values = extract_values(resource, parameters[kind])
            versions.append(Version(kind, identity, 1, now, "PUT", body, values, None, None))
        statement = writing.new(versions)
        made.append([(statement.text, tuple(statement.arguments))])
    return made


def _searched(name: str) -> Any:
    return next(each.search for each in sandbox_service(TYPES).resources if each.name == name)


def _resource(number: int) -> dict[str, Any]:
    """A patient for each nine observations, with what such resources commonly hold."""
    patient = f"p{number // 10}"
    if number % 10 == 0:
        return {
            "resourceType": "Patient",
            "id": patient,
            "identifier": [{"system": "urn:example:number", "value": f"{number:08}"}],
            "active": True,
            "name": [{"family": f"Exempel{number % 997}", "given": ["Astrid", "Maria"]}],
            "telecom": [{"system": "phone", "value": f"070-{number:07}", "use": "mobile"}],
            "gender": "female" if number % 20 else "male",
            "birthDate": f"{1930 + number % 80}-0{1 + number % 9}-1{number % 10}",
            "address": [{"city": "Ume", "postalCode": f"{90000 + number % 999}"}],
            "managingOrganization": {"reference": f"Organization/o{number % 50}"},
        }
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [{"coding": [{"system": "http://example.org/category", "code": "vital-signs"}]}],
        "code": {
            "coding": [{"system": "http://example.org/codes", "code": f"c{number % 40}", "display": "a measurement"}],
            "text": "measured",
        },
        "subject": {"reference": f"Patient/{patient}", "display": "Astrid"},
        "effectiveDateTime": f"20{10 + number % 15}-0{1 + number % 9}-1{number % 10}T10:00:00+01:00",
        "performer": [{"reference": f"Practitioner/d{number % 300}"}],
        "valueQuantity": {"value": number % 200 + 0.5, "unit": "mmol/L", "code": "mmol/L",
                          "system": "http://unitsofmeasure.org"},
        "note": [{"text": "Taken at rest, sitting, after ten minutes; the device was calibrated that day. " * 6}],
    }  # fmt: skip


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    with EmbeddedPostgres(Path("var/bench/postgres")).used() as server:
        async with fresh_database(server, "template0") as url:
            yield url


if __name__ == "__main__":
    main()
