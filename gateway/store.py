# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What operators load: message schemas and openEHR templates, kept as the bytes that came."""

from dataclasses import dataclass
from datetime import datetime
import hashlib
from typing import Final

from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, Table, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["SCHEMA", "Artifact", "ArtifactStore", "AsyncEngine", "artifact", "metadata"]

SCHEMA: Final = "gateway"

metadata = MetaData(schema=SCHEMA)

artifact = Table(
    "artifact",
    metadata,
    Column("kind", Text, primary_key=True, comment="schema or template"),
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False, comment="SHA-256 of the content, hexadecimal"),
    Column("size", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("added", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One loaded file, without its content."""

    kind: str
    name: str
    digest: str
    size: int
    added: datetime


class ArtifactStore:
    """Schemas and templates."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, kind: str, name: str, content: bytes) -> None:
        """Keeps a file; one of the same kind and name is replaced."""
        values = {"digest": hashlib.sha256(content).hexdigest(), "size": len(content), "content": content}
        statement = insert(artifact).values(kind=kind, name=name, **values)
        replaced = statement.on_conflict_do_update(
            index_elements=[artifact.c.kind, artifact.c.name], set_={**values, "added": func.now()}
        )
        async with self._engine.begin() as connection:
            await connection.execute(replaced)

    async def of_kind(self, kind: str) -> list[Artifact]:
        """What is loaded, by name."""
        columns = (artifact.c.kind, artifact.c.name, artifact.c.digest, artifact.c.size, artifact.c.added)
        statement = select(*columns).where(artifact.c.kind == kind).order_by(artifact.c.name)
        async with self._engine.connect() as connection:
            rows = await connection.execute(statement)
            return [Artifact(row.kind, row.name, row.digest, row.size, row.added) for row in rows]

    async def contents(self, kind: str) -> dict[str, bytes]:
        """The files as they were loaded, by name."""
        statement = select(artifact.c.name, artifact.c.content).where(artifact.c.kind == kind)
        async with self._engine.connect() as connection:
            return {row.name: bytes(row.content) for row in await connection.execute(statement)}
