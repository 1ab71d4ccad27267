# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The terminology's own tables and queries: concepts and map rows by key, written with the resource they come from.

Each canonical's newest version is marked when it is written, so that a look-up is one keyed query.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fhir_server.context import Context
from fhir_server.outcome import Conflict
from terminology.model import Concept, Element, System, Unmapped, concepts_of, latest, map_content

__all__ = [
    "SCHEMA", "AsyncConnection", "AsyncEngine", "MapAsked", "MapRow", "TerminologyStore", "metadata",
    "write_code_system", "write_concept_map",
]  # fmt: skip

SCHEMA: Final = "terminology"
_ROWS: Final = 2000
"""Rows an insert carries."""

metadata = MetaData(schema=SCHEMA)

code_system = Table(
    "code_system",
    metadata,
    Column("resource_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("version", Text),
    Column("latest", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("case_sensitive", Boolean, nullable=False),
    Column("language", Text),
)
concept = Table(
    "concept",
    metadata,
    Column("resource_id", Text, nullable=False),
    Column("position", Integer, nullable=False, comment="order in the resource"),
    Column("code", Text, nullable=False),
    Column("key", Text, nullable=False, comment="the code, in lower case where case has no meaning"),
    Column("display", Text),
    Column("definition", Text),
    Column("parent", Text),
    Column("designations", JSONB(none_as_null=True), nullable=False),
    Column("properties", JSONB(none_as_null=True), nullable=False),
    PrimaryKeyConstraint("resource_id", "position"),
)
Index("concept_by_key", concept.c.resource_id, concept.c.key)
Index("concept_by_code", concept.c.resource_id, concept.c.code)
Index("concept_by_parent", concept.c.resource_id, concept.c.parent)

concept_map = Table(
    "concept_map",
    metadata,
    Column("resource_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("version", Text),
    Column("latest", Boolean, nullable=False),
    Column("source", Text, comment="value set the codes come from, without version"),
    Column("target", Text, comment="value set they go to, without version"),
)
map_element = Table(
    "map_element",
    metadata,
    Column("resource_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("source_system", Text, nullable=False),
    Column("source_version", Text),
    Column("source_code", Text, nullable=False),
    Column("source_display", Text),
    Column("target_system", Text),
    Column("target_version", Text),
    Column("target_code", Text),
    Column("target_display", Text),
    Column("equivalence", Text, nullable=False),
    Column("depends", Boolean, nullable=False),
    Column("products", JSONB(none_as_null=True), nullable=False),
    PrimaryKeyConstraint("resource_id", "position"),
)
Index("map_element_by_source", map_element.c.source_code, map_element.c.source_system)
Index("map_element_by_target", map_element.c.target_code, map_element.c.target_system)
map_unmapped = Table(
    "map_unmapped",
    metadata,
    Column("resource_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("source_system", Text, nullable=False),
    Column("target_system", Text),
    Column("target_version", Text),
    Column("mode", Text, nullable=False),
    Column("code", Text),
    Column("display", Text),
    Column("url", Text),
    PrimaryKeyConstraint("resource_id", "position"),
)
Index("map_unmapped_by_source", map_unmapped.c.source_system)


@dataclass(frozen=True, slots=True)
class MapAsked:
    """Which maps are asked; `version` None: the newest. With `resource_id` that one, whatever its version."""

    url: str | None = None
    version: str | None = None
    resource_id: str | None = None
    source: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class MapRow:
    """A row or the unmapped part of a group, with the map it stands in."""

    map_url: str
    map_version: str | None
    element: Element | None = None
    unmapped: Unmapped | None = None


class TerminologyStore:
    """Reads of concepts and map rows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, url: str, code: str) -> list[tuple[System, Concept | None]]:
        """Every version of the code system with its concept of this code, or None where it has none."""
        key = case((code_system.c.case_sensitive, code), else_=code.lower())
        statement = (
            select(code_system, *(column.label(f"concept_{column.name}") for column in concept.c))
            .outerjoin(concept, (concept.c.resource_id == code_system.c.resource_id) & (concept.c.key == key))
            .where(code_system.c.url == url)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [(_system(row), _concept(row)) for row in rows]

    async def related(self, resource_id: str, code: str, parent: str | None) -> list[tuple[str, str, str | None]]:
        """(parent or child, code, display) of the concepts one step away, in the order of the resource."""
        near = concept.c.parent == code
        if parent is not None:
            near = or_(near, concept.c.code == parent)
        statement = (
            select(concept.c.code, concept.c.display)
            .where(concept.c.resource_id == resource_id, near)
            .order_by(concept.c.position)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [("parent" if row.code == parent else "child", row.code, row.display) for row in rows]

    async def map_exists(self, asked: MapAsked) -> bool:
        """Whether any map fits what is asked."""
        statement = select(concept_map.c.resource_id).where(*_asked(asked)).limit(1)
        async with self._engine.connect() as connection:
            return (await connection.execute(statement)).first() is not None

    async def map_rows(self, asked: MapAsked, system: str, code: str, *, reverse: bool) -> list[MapRow]:
        """The rows of the maps asked that have this code as source, or with `reverse` as target."""
        table = map_element
        by_code = (
            (table.c.target_code == code, table.c.target_system == system)
            if reverse
            else (table.c.source_code == code, table.c.source_system == system)
        )
        statement = (
            select(concept_map.c.url.label("map_url"), concept_map.c.version.label("map_version"), table)
            .join(table, table.c.resource_id == concept_map.c.resource_id)
            .where(*_asked(asked), *by_code)
            .order_by(concept_map.c.url, concept_map.c.version, table.c.position)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [MapRow(row.map_url, row.map_version, element=_element(row)) for row in rows]

    async def unmapped(self, asked: MapAsked, system: str, code: str) -> list[MapRow]:
        """What the groups of the maps asked say of a code of `system` that they have no row for."""
        table = map_unmapped
        has_row = (
            select(map_element.c.position)
            .where(
                map_element.c.resource_id == table.c.resource_id,
                map_element.c.source_system == table.c.source_system,
                map_element.c.target_system.is_not_distinct_from(table.c.target_system),
                map_element.c.source_code == code,
            )
            .exists()
        )
        statement = (
            select(concept_map.c.url.label("map_url"), concept_map.c.version.label("map_version"), table)
            .join(table, table.c.resource_id == concept_map.c.resource_id)
            .where(*_asked(asked), table.c.source_system == system, ~has_row)
            .order_by(concept_map.c.url, concept_map.c.version, table.c.position)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [
            MapRow(
                row.map_url,
                row.map_version,
                unmapped=Unmapped(
                    row.source_system, row.target_system, row.target_version, row.mode, row.code, row.display, row.url
                ),
            )
            for row in rows
        ]


async def write_code_system(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Keeps concepts in step with a CodeSystem; one without url cannot be looked up and has none."""
    resource_id: str = resource["id"]
    await connection.execute(delete(concept).where(concept.c.resource_id == resource_id))
    before = await _forget(connection, code_system, resource_id)
    url = resource.get("url")
    sensitive = resource.get("caseSensitive", True)
    if url is not None:
        row = {
            "name": resource.get("name") or resource.get("title") or url,
            "content": resource["content"],
            "case_sensitive": sensitive,
            "language": resource.get("language"),
        }
        await _keep(connection, code_system, "CodeSystem", resource, row)
        rows = [
            {
                "resource_id": resource_id,
                "position": position,
                "code": each.code,
                "key": each.code if sensitive else each.code.lower(),
                "display": each.display,
                "definition": each.definition,
                "parent": each.parent,
                "designations": list(each.designations),
                "properties": list(each.properties),
            }
            for position, each in enumerate(concepts_of(resource))
        ]
        await _insert(connection, concept, rows)
    await _mark_latest(connection, code_system, {url, before} - {None})


async def write_concept_map(connection: AsyncConnection, context: Context, resource: Mapping[str, Any]) -> None:
    """Keeps map rows in step with a ConceptMap; one without url takes no part in translating."""
    resource_id: str = resource["id"]
    for table in (map_element, map_unmapped):
        await connection.execute(delete(table).where(table.c.resource_id == resource_id))
    before = await _forget(connection, concept_map, resource_id)
    url = resource.get("url")
    if url is not None:
        row = {
            side: (resource.get(f"{side}Canonical") or resource.get(f"{side}Uri") or "").partition("|")[0] or None
            for side in ("source", "target")
        }
        await _keep(connection, concept_map, "ConceptMap", resource, row)
        content = map_content(resource)
        await _insert(connection, map_element, _numbered(resource_id, content.elements))
        await _insert(connection, map_unmapped, _numbered(resource_id, content.unmapped))
    await _mark_latest(connection, concept_map, {url, before} - {None})


async def _forget(connection: AsyncConnection, table: Table, resource_id: str) -> str | None:
    """Removes the row of the resource's version before; gives its url."""
    statement = delete(table).where(table.c.resource_id == resource_id).returning(table.c.url)
    url: str | None = await connection.scalar(statement)
    return url


async def _keep(
    connection: AsyncConnection, table: Table, kind: str, resource: Mapping[str, Any], row: dict[str, Any]
) -> None:
    url, version = resource["url"], resource.get("version")
    # Two writers of one canonical wait for each other, so that both see all versions when they mark the newest.
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"{SCHEMA}.{table.name}.{url}"))))
    taken = select(table.c.resource_id).where(table.c.url == url, table.c.version.is_not_distinct_from(version))
    if await connection.scalar(taken) is not None:
        raise Conflict(
            f"another {kind} has this url and version; update it by PUT {kind}?url=…&version=…",
            code="canonical-taken",
            expression=f"{kind}.url",
        )
    await connection.execute(
        insert(table).values(resource_id=resource["id"], url=url, version=version, latest=False, **row)
    )


async def _mark_latest(connection: AsyncConnection, table: Table, urls: set[Any]) -> None:
    for url in urls:
        rows = (await connection.execute(select(table.c.resource_id, table.c.version).where(table.c.url == url))).all()
        if rows:
            newest = latest({row.resource_id: row.version for row in rows})
            await connection.execute(
                update(table).where(table.c.url == url).values(latest=table.c.resource_id == newest)
            )


async def _insert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _ROWS):
        await connection.execute(insert(table), rows[start : start + _ROWS])


def _numbered(resource_id: str, entries: Sequence[Element | Unmapped]) -> list[dict[str, Any]]:
    return [{"resource_id": resource_id, "position": position, **asdict(each)} for position, each in enumerate(entries)]


def _asked(asked: MapAsked) -> list[ColumnElement[bool]]:
    table = concept_map
    if asked.resource_id is not None:
        return [table.c.resource_id == asked.resource_id]
    conditions: list[ColumnElement[bool]] = [table.c.version == asked.version if asked.version else table.c.latest]
    for column, value in ((table.c.url, asked.url), (table.c.source, asked.source), (table.c.target, asked.target)):
        if value is not None:
            conditions.append(column == value)
    return conditions


def _system(row: Any) -> System:
    return System(
        resource_id=row.resource_id,
        url=row.url,
        version=row.version,
        name=row.name,
        content=row.content,
        language=row.language,
        latest=row.latest,
    )


def _concept(row: Any) -> Concept | None:
    if row.concept_code is None:
        return None
    return Concept(
        code=row.concept_code,
        display=row.concept_display,
        definition=row.concept_definition,
        parent=row.concept_parent,
        designations=tuple(row.concept_designations),
        properties=tuple(row.concept_properties),
    )


def _element(row: Any) -> Element:
    return Element(
        source_system=row.source_system,
        source_version=row.source_version,
        source_code=row.source_code,
        source_display=row.source_display,
        target_system=row.target_system,
        target_version=row.target_version,
        target_code=row.target_code,
        target_display=row.target_display,
        equivalence=row.equivalence,
        depends=row.depends,
        products=tuple(row.products),
    )
