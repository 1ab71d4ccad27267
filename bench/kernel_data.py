# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the kernel's figures are measured on: invented observations of 2 kB with twelve search values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from fhir_server.search.index import extract_values
from fhir_server.search.parameters import codes_of, parameters_for

SCHEMA = "bench"
RESOURCES = 10_000
VERSIONS = 10
PERSONS = tuple(bytes([number]) * 16 for number in range(4))
START = datetime(2026, 1, 1, tzinfo=UTC)


def observation(number: int, identity: str | None = None) -> bytes:
    """A resource of 2 kB. `number // 10` is its code, so that a search by it finds ten."""
    resource: dict[str, Any] = {"resourceType": "Observation"}
    if identity is not None:
        moment = (START + timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        resource |= {"id": identity, "meta": {"versionId": "1", "lastUpdated": moment}}
    resource |= {
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"c{number // 10}"}]},
        "identifier": [{"system": "urn:bench", "value": f"{number}"}],
        "subject": {"reference": f"Patient/p{number % 1000}"},
        "effectiveDateTime": "2026-01-01T08:00:00Z",
        "valueQuantity": {"value": 6.3, "unit": "mmol/l", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        "note": [{"text": "x" * 1500}],
    }
    return orjson.dumps(resource)


def values(number: int) -> Any:
    """The search values of `observation(number)`."""
    parameters = parameters_for("Observation", codes_of("Observation")).values()
    return extract_values(orjson.loads(observation(number)), parameters)


async def fill(connection: Any) -> None:
    """Writes the resources, and one with many versions for each thousand."""
    rows: list[tuple[Any, ...]] = []
    history: list[tuple[Any, ...]] = []
    tables: dict[str, list[tuple[Any, ...]]] = {}
    names: dict[str, list[str]] = {}
    for number in range(RESOURCES):
        _add(rows, history, f"o{number}", number, 1)
        for name, found in values(number).by_table():
            names.setdefault(name, ["type", "id", *found[0]._fields])
            tables.setdefault(name, []).extend(("Observation", f"o{number}", *each) for each in found)
    for number in range(1000):
        for version in range(1, VERSIONS + 1):
            _add(rows if version == VERSIONS else None, history, f"h{number}", number, version)
    columns = ["type", "id", "version", "last_updated", "deleted", "person_key", "body", "created"]
    await connection.copy_records_to_table("resource", schema_name=SCHEMA, records=rows, columns=columns)
    columns = ["type", "id", "version", "last_updated", "deleted", "method", "body"]
    await connection.copy_records_to_table("resource_history", schema_name=SCHEMA, records=history, columns=columns)
    for name, some in tables.items():
        await connection.copy_records_to_table(f"{name}_value", schema_name=SCHEMA, records=some, columns=names[name])
    await connection.execute("VACUUM ANALYZE")


def _add(
    rows: list[tuple[Any, ...]] | None, history: list[tuple[Any, ...]], identity: str, number: int, version: int
) -> None:
    body, moment = observation(number, identity), START + timedelta(seconds=number)
    if rows is not None:
        rows.append(("Observation", identity, version, moment, False, PERSONS[0], body, moment))
    history.append(("Observation", identity, version, moment, False, "PUT", body))
