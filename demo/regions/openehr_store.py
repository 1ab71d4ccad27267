# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Records of the openEHR simulator: templates, EHRs, versioned compositions, and the index entry each change makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import json
from typing import Any, Final
import uuid

from demo.actors import PERSONNUMMER
from demo.regions.store import LocalPerson, Store

SYSTEM_ID: Final = "journal.mitt.example"
TABLES: Final = """
CREATE TABLE IF NOT EXISTS template (id text PRIMARY KEY, body text NOT NULL);
CREATE TABLE IF NOT EXISTS ehr (
    id uuid PRIMARY KEY,
    local_id text NOT NULL UNIQUE REFERENCES person,
    created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS composition (
    id uuid PRIMARY KEY,
    ehr uuid NOT NULL REFERENCES ehr,
    document_id text UNIQUE,
    version integer NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    body text NOT NULL,
    committed timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS composition_ehr ON composition (ehr);
CREATE TABLE IF NOT EXISTS composition_version (
    id uuid NOT NULL REFERENCES composition,
    version integer NOT NULL,
    deleted boolean NOT NULL,
    body text NOT NULL,
    committed timestamptz NOT NULL,
    PRIMARY KEY (id, version)
);
"""


class Stale(Exception):
    """If-Match names a version that is not the latest; `latest` is the version uid that is."""

    def __init__(self, latest: str) -> None:
        super().__init__(latest)
        self.latest = latest


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a composition."""

    id: uuid.UUID
    version: int
    body: dict[str, Any]
    committed: datetime
    deleted: bool = False
    created: bool = False

    @property
    def uid(self) -> str:
        """OBJECT_VERSION_ID: `uuid::system::version`."""
        return f"{self.id}::{SYSTEM_ID}::{self.version}"


def _content(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "uid"}


async def ehr_of(store: Store, person: LocalPerson) -> uuid.UUID:
    """The person's EHR, made if there is none."""
    await store.pool.execute(
        "INSERT INTO ehr (id, local_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", uuid.uuid4(), person.local_id
    )
    found: uuid.UUID = await store.pool.fetchval("SELECT id FROM ehr WHERE local_id = $1", person.local_id)
    return found


def ehr_object(id_: uuid.UUID, person: LocalPerson, created: datetime) -> dict[str, Any]:
    """The EHR with its status in canonical JSON; the subject carries the personal number."""
    subject = {
        "_type": "PARTY_SELF",
        "external_ref": {
            "_type": "PARTY_REF",
            "id": {"_type": "GENERIC_ID", "value": person.number, "scheme": PERSONNUMMER},
            "namespace": PERSONNUMMER,
            "type": "PERSON",
        },
    }
    return {
        "system_id": {"_type": "HIER_OBJECT_ID", "value": SYSTEM_ID},
        "ehr_id": {"_type": "HIER_OBJECT_ID", "value": str(id_)},
        "ehr_status": {
            "_type": "EHR_STATUS",
            "archetype_node_id": "openEHR-EHR-EHR_STATUS.generic.v1",
            "name": {"_type": "DV_TEXT", "value": "EHR status"},
            "subject": subject,
            "is_queryable": True,
            "is_modifiable": True,
        },
        "time_created": {"_type": "DV_DATE_TIME", "value": created.astimezone(UTC).isoformat()},
    }


async def ehrs(store: Store, wanted: uuid.UUID | None = None) -> list[tuple[uuid.UUID, dict[str, Any]]]:
    """Every EHR, or the one."""
    rows = await store.pool.fetch(
        "SELECT e.id, e.created, p.local_id, p.number, p.name FROM ehr e JOIN person p USING (local_id) "
        "WHERE $1::uuid IS NULL OR e.id = $1 ORDER BY e.created, e.id",
        wanted,
    )
    return [
        (row["id"], ehr_object(row["id"], LocalPerson(row["local_id"], row["number"], row["name"]), row["created"]))
        for row in rows
    ]


async def compositions(store: Store, ehr: uuid.UUID) -> Sequence[dict[str, Any]]:
    """The latest versions of the EHR's compositions that are not deleted."""
    rows = await store.pool.fetch(
        "SELECT body FROM composition WHERE ehr = $1 AND NOT deleted ORDER BY committed, id", ehr
    )
    return [json.loads(row["body"]) for row in rows]


async def read(store: Store, ehr: uuid.UUID, id_: uuid.UUID, version: int | None = None) -> Version | None:
    """A version of a composition, the latest by default; None if there is none."""
    row = await store.pool.fetchrow(
        "SELECT v.id, v.version, v.deleted, v.body, v.committed "
        "FROM composition_version v JOIN composition c USING (id) "
        "WHERE c.ehr = $1 AND v.id = $2 AND v.version = coalesce($3, c.version)",
        ehr, id_, version,
    )  # fmt: skip
    return (
        Version(row["id"], row["version"], json.loads(row["body"]), row["committed"], row["deleted"]) if row else None
    )


async def save(
    store: Store,
    ehr: uuid.UUID,
    body: Mapping[str, Any],
    *,
    id_: uuid.UUID | None = None,
    document_id: str | None = None,
    preceding: str | None = None,
    deleted: bool = False,
) -> Version:
    """A new composition or its next version, with the engagement, in one transaction.

    `document_id` is the house's own key: the same content under it again makes no version. Raises `Stale`.
    """
    async with store.transaction() as connection:
        person = await connection.fetchval("SELECT local_id FROM ehr WHERE id = $1 FOR UPDATE", ehr)
        old = await connection.fetchrow(
            "SELECT id, version, deleted, body, committed FROM composition WHERE id = $1 OR document_id = $2",
            id_, document_id,
        )  # fmt: skip
        if preceding is not None and old is not None:
            latest = f"{old['id']}::{SYSTEM_ID}::{old['version']}"
            if preceding != latest:
                raise Stale(latest)
        if old and _content(json.loads(old["body"])) == _content(body) and old["deleted"] == deleted:
            stored = Version(old["id"], old["version"], json.loads(old["body"]), old["committed"], deleted)
        else:
            key = old["id"] if old else id_ or uuid.uuid4()
            number = (old["version"] if old else 0) + 1
            now = datetime.now(UTC)
            uid = {"_type": "OBJECT_VERSION_ID", "value": f"{key}::{SYSTEM_ID}::{number}"}
            full = {"_type": "COMPOSITION", "uid": uid, **_content(body)}
            text = json.dumps(full, ensure_ascii=False)
            await connection.execute(
                "INSERT INTO composition (id, ehr, document_id, version, deleted, body, committed) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET version = excluded.version, "
                "deleted = excluded.deleted, body = excluded.body, committed = excluded.committed",
                key, ehr, document_id, number, deleted, text, now,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO composition_version (id, version, deleted, body, committed) VALUES ($1, $2, $3, $4, $5)",
                key, number, deleted, text, now,
            )  # fmt: skip
            stored = Version(key, number, full, now, deleted, created=old is None)
        await store.tell(
            connection,
            person,
            "SELECT coalesce(sum(json_array_length(body::json -> 'content')) FILTER (WHERE NOT deleted), 0)::int, "
            "max(committed) FROM composition JOIN ehr ON ehr.id = composition.ehr WHERE ehr.local_id = $1",
        )
        return stored
