# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Records of the FHIR simulator: current resources and their history, each change with the index entry it makes."""

from dataclasses import dataclass
from datetime import UTC, datetime
import json
from typing import Any, Final
import uuid

from demo.regions.fhir_check import status_code
from demo.regions.store import Connection, LocalPerson, Store

TABLES: Final = """
CREATE TABLE IF NOT EXISTS resource (
    type text NOT NULL,
    id text NOT NULL,
    version integer NOT NULL,
    local_id text NOT NULL REFERENCES person,
    identifier text UNIQUE,
    body text NOT NULL,
    updated timestamptz NOT NULL,
    in_error boolean NOT NULL,
    PRIMARY KEY (type, id)
);
CREATE INDEX IF NOT EXISTS resource_person ON resource (type, local_id);
CREATE TABLE IF NOT EXISTS resource_history (
    type text NOT NULL,
    id text NOT NULL,
    version integer NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (type, id, version)
);
"""


class VersionConflict(Exception):
    """If-Match names a version that is not the current one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as stored, and what the write did."""

    id: str
    version: int
    body: dict[str, Any]
    created: bool = False


def business_identifier(resource: dict[str, Any]) -> str | None:
    """`system|value` of the first identifier that has both, or None."""
    for each in resource.get("identifier", ()):
        if isinstance(each, dict) and each.get("system") and each.get("value"):
            return f"{each['system']}|{each['value']}"
    return None


def _without_meta(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "meta"}


async def save(
    store: Store, person: LocalPerson, resource: dict[str, Any], *, id_: str | None = None, if_match: int | None = None
) -> Stored:
    """Creates, or updates the resource with this id or this business identifier; tells the index in the transaction.

    The same content again makes no new version, but is told again. Raises `VersionConflict`.
    """
    kind = str(resource["resourceType"])
    identifier = business_identifier(resource)
    async with store.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", identifier or id_ or person.local_id)
        old = await connection.fetchrow(
            "SELECT id, version, body FROM resource WHERE type = $1 AND (id = $2 OR identifier = $3)",
            kind, id_, identifier,
        )  # fmt: skip
        if if_match is not None and (old is None or old["version"] != if_match):
            raise VersionConflict
        new_id = old["id"] if old else id_ or str(uuid.uuid4())
        body = {**_without_meta(resource), "id": new_id}
        if old and _without_meta(json.loads(old["body"])) == body:
            stored = Stored(new_id, old["version"], json.loads(old["body"]))
        else:
            stored = await _write(connection, kind, person, identifier, body, (old["version"] if old else 0) + 1)
        if kind == "AllergyIntolerance":
            await _tell(store, connection, person)
        return stored


async def _write(
    connection: Connection, kind: str, person: LocalPerson, identifier: str | None, body: dict[str, Any], version: int
) -> Stored:
    now = datetime.now(UTC)
    stamp = {"versionId": str(version), "lastUpdated": now.isoformat(timespec="milliseconds")}
    full = {"resourceType": kind, "id": body["id"], "meta": stamp, **body}
    text = json.dumps(full, ensure_ascii=False)
    in_error = status_code(body, "verificationStatus") == "entered-in-error"
    await connection.execute(
        "INSERT INTO resource (type, id, version, local_id, identifier, body, updated, in_error) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (type, id) DO UPDATE SET version = excluded.version, "
        "local_id = excluded.local_id, identifier = excluded.identifier, body = excluded.body, "
        "updated = excluded.updated, in_error = excluded.in_error",
        kind, body["id"], version, person.local_id, identifier, text, now, in_error,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO resource_history (type, id, version, body) VALUES ($1, $2, $3, $4)",
        kind,
        body["id"],
        version,
        text,
    )
    return Stored(body["id"], version, full, created=version == 1)


async def _tell(store: Store, connection: Connection, person: LocalPerson) -> None:
    await store.tell(
        connection,
        person.local_id,
        "SELECT count(*) FILTER (WHERE NOT in_error), max(updated) FROM resource "
        "WHERE type = 'AllergyIntolerance' AND local_id = $1",
    )


async def read(store: Store, kind: str, id_: str, version: int | None = None) -> Stored | None:
    """A resource by id, or one version of it; None if there is none."""
    if version is None:
        row = await store.pool.fetchrow("SELECT id, version, body FROM resource WHERE type = $1 AND id = $2", kind, id_)
    else:
        row = await store.pool.fetchrow(
            "SELECT id, version, body FROM resource_history WHERE type = $1 AND id = $2 AND version = $3",
            kind, id_, version,
        )  # fmt: skip
    return Stored(row["id"], row["version"], json.loads(row["body"])) if row else None


async def of_person(store: Store, kind: str, local_id: str) -> list[dict[str, Any]]:
    """The person's resources that are not entered in error, oldest change first."""
    rows = await store.pool.fetch(
        "SELECT body FROM resource WHERE type = $1 AND local_id = $2 AND NOT in_error ORDER BY updated, id",
        kind, local_id,
    )  # fmt: skip
    return [json.loads(row["body"]) for row in rows]
