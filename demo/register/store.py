# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The register's own tables: an inbox that knows every message by its key, and one row a record."""

from dataclasses import dataclass
import hashlib
import json
from typing import Any

import asyncpg

from demo.register.message import Message, Rejected, acknowledgement

_TABLES = """
CREATE SCHEMA IF NOT EXISTS allergy_register;
CREATE TABLE IF NOT EXISTS allergy_register.inbox (
    idempotency_hash bytea PRIMARY KEY,
    body_hash bytea NOT NULL,
    record_hash bytea NOT NULL,
    kind text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    number bigint GENERATED ALWAYS AS IDENTITY,
    answer bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS inbox_record ON allergy_register.inbox (record_hash);
CREATE TABLE IF NOT EXISTS allergy_register.record (
    record_hash bytea PRIMARY KEY,
    record_key text,
    pseudonym text,
    version integer NOT NULL,
    erased boolean NOT NULL DEFAULT false,
    content jsonb,
    CHECK (NOT erased OR (record_key IS NULL AND pseudonym IS NULL AND content IS NULL))
);
CREATE TABLE IF NOT EXISTS allergy_register.attempt (
    record_hash bytea PRIMARY KEY,
    number integer NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a message, and whether it was new."""

    answer: bytes
    new: bool


class Store:
    """The register's database."""

    def __init__(self, pool: asyncpg.Pool, register: str) -> None:
        self._pool, self._register = pool, register

    async def create(self) -> None:
        """Makes the tables where they are missing; two processes may start at once."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('allergy_register', 0))")
            await connection.execute(_TABLES)

    async def attempted(self, message: Message) -> None:
        """Counts a request about the record, whatever becomes of it."""
        await self._pool.execute(
            "INSERT INTO allergy_register.attempt AS a VALUES ($1, 1)"
            " ON CONFLICT (record_hash) DO UPDATE SET number = a.number + 1",
            message.key_hash,
        )

    async def take(self, key: str, body: bytes, message: Message) -> Kept:
        """Keeps answer and effect in one transaction; a key seen before gives its answer and changes nothing.

        Raises `Rejected` if the key was used for another message.
        """
        key_hash, body_hash = hashlib.sha256(key.encode()).digest(), hashlib.sha256(body).digest()
        async with self._pool.acquire() as connection, connection.transaction():
            # One record, one turn: messages about it are taken one after the other.
            await connection.execute(
                "SELECT pg_advisory_xact_lock($1)", int.from_bytes(message.key_hash[:8], signed=True)
            )
            known = await connection.fetchrow(
                "SELECT body_hash, answer FROM allergy_register.inbox WHERE idempotency_hash = $1", key_hash
            )
            if known is not None:
                if known["body_hash"] != body_hash:
                    raise Rejected(422, "this Idempotency-Key was used for another message")
                return Kept(known["answer"], new=False)
            answer = acknowledgement(message, await self._apply(connection, message), self._register)
            await connection.execute(
                "INSERT INTO allergy_register.inbox (idempotency_hash, body_hash, record_hash, kind, answer)"
                " VALUES ($1, $2, $3, $4, $5)",
                key_hash, body_hash, message.key_hash, message.event, answer,
            )  # fmt: skip
            return Kept(answer, new=True)

    async def _apply(self, connection: Any, message: Message) -> str:
        """The newest version counts, whatever order messages come in; an erased record stays erased for older ones."""
        held = await connection.fetchval(
            "SELECT version FROM allergy_register.record WHERE record_hash = $1", message.key_hash
        )
        if held is not None and held >= message.version:
            return "superseded"
        erased = message.event == "retract"
        await connection.execute(
            "INSERT INTO allergy_register.record VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (record_hash) DO UPDATE"
            " SET record_key = $2, pseudonym = $3, version = $4, erased = $5, content = $6",
            message.key_hash,
            None if erased else message.record_key,
            None if erased else message.pseudonym,
            message.version,
            erased,
            None if erased else json.dumps(message.content, ensure_ascii=False),
        )
        return "erased" if erased else "stored"

    async def records(self) -> list[dict[str, Any]]:
        """Every record with how often it was delivered; for tests and the demo's table."""
        rows = await self._pool.fetch(
            """
            SELECT record_hash, r.record_key, r.pseudonym, r.version, r.erased, r.content,
                (SELECT count(*) FROM allergy_register.inbox i WHERE i.record_hash = r.record_hash) AS stored,
                coalesce(a.number, 0) AS tries
            FROM allergy_register.record r
            LEFT JOIN allergy_register.attempt a USING (record_hash)
            ORDER BY (SELECT min(number) FROM allergy_register.inbox i WHERE i.record_hash = r.record_hash)
            """
        )
        return [
            {
                "record_key": row["record_key"] or f"sha256:{row['record_hash'].hex()}",
                "pseudonym": row["pseudonym"],
                "version": row["version"],
                "deliveries_stored": row["stored"],
                "attempts": row["tries"],
                "erased": row["erased"],
                "content": None if row["content"] is None else json.loads(row["content"]),
            }
            for row in rows
        ]
