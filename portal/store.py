# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Logins under way and sessions. Only hashes of what the browser holds are kept; tokens are encrypted."""

from dataclasses import dataclass
from datetime import datetime
import hashlib

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.crypto import Cipher

__all__ = ["AsyncEngine", "Login", "Session", "SessionStore"]


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in."""

    token: str
    csrf: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """A login that waits for the identity provider's answer."""

    verifier: str
    kind: str


class SessionStore:
    """Sessions in PostgreSQL, so that every process of the portal knows them."""

    def __init__(self, engine: AsyncEngine, cipher: Cipher) -> None:
        self._engine, self._cipher = engine, cipher

    async def begin(self, state: str, verifier: str, kind: str, now: datetime, expires: datetime) -> None:
        """Keeps a login; old ones are swept."""
        key = _hash(state)
        async with self._engine.begin() as connection:
            await connection.execute(text("DELETE FROM portal.login WHERE expires < :now"), {"now": now})
            await connection.execute(
                text(
                    "INSERT INTO portal.login (state, verifier, kind, expires) VALUES (:state, :verifier, :kind, :exp)"
                ),
                {"state": key, "verifier": self._cipher.encrypt(verifier.encode(), key), "kind": kind, "exp": expires},
            )

    async def finish(self, state: str, now: datetime) -> Login | None:
        """The login of a state, once; None if it is unknown, used or too old."""
        key = _hash(state)
        async with self._engine.begin() as connection:
            row = (
                await connection.execute(
                    text("DELETE FROM portal.login WHERE state = :state AND expires >= :now RETURNING verifier, kind"),
                    {"state": key, "now": now},
                )
            ).first()
        return None if row is None else Login(self._cipher.decrypt(bytes(row.verifier), key).decode(), row.kind)

    async def open(self, session_id: str, session: Session, now: datetime) -> None:
        """Keeps a session; ended ones are swept."""
        key = _hash(session_id)
        async with self._engine.begin() as connection:
            await connection.execute(text("DELETE FROM portal.session WHERE expires < :now"), {"now": now})
            await connection.execute(
                text(
                    "INSERT INTO portal.session (id, token, csrf, language, expires) "
                    "VALUES (:id, :token, :csrf, 'sv', :exp)"
                ),
                {
                    "id": key,
                    "token": self._cipher.encrypt(session.token.encode(), key),
                    "csrf": session.csrf,
                    "exp": session.expires,
                },
            )

    async def find(self, session_id: str, now: datetime) -> Session | None:
        """The session, or None if there is none or it has ended."""
        key = _hash(session_id)
        async with self._engine.begin() as connection:
            row = (
                await connection.execute(
                    text("SELECT token, csrf, expires FROM portal.session WHERE id = :id AND expires >= :now"),
                    {"id": key, "now": now},
                )
            ).first()
        return (
            None
            if row is None
            else Session(self._cipher.decrypt(bytes(row.token), key).decode(), row.csrf, row.expires)
        )

    async def close(self, session_id: str) -> None:
        """Ends a session."""
        async with self._engine.begin() as connection:
            await connection.execute(text("DELETE FROM portal.session WHERE id = :id"), {"id": _hash(session_id)})


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
