# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The connection to PostgreSQL, one engine a process."""

from typing import Any

import orjson
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fhir_server.storage.pinned import SECONDS


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def create_engine(url: str, *, size: int = 8, query_seconds: float = 30) -> AsyncEngine:
    """An engine on `url` (postgresql://…, also over a Unix socket: …?host=<folder>) with a pool of `size`.

    `query_seconds`: what one statement may take, waiting for locks too; the server ends it then.
    """
    parsed = make_url(url)
    session = {"statement_timeout": str(round(query_seconds * 1000)), "timezone": "UTC"}
    return create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        pool_size=size,
        max_overflow=size,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text must not hold the values of its statement
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={"server_settings": session, "timeout": 5},
        execution_options={SECONDS: query_seconds},
    )
