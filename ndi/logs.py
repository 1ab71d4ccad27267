# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Logging: one JSON object a line on standard error, ours and the libraries' alike.

No query string, body or token is ever handed to the log, and uvicorn's access log is off, since it writes
query strings. As a second guard every entry passes `masked`: digits in the form of a personal number do not leave.
"""

from collections.abc import MutableMapping
import logging
import re
import sys
from typing import Any, Literal

import structlog

_PERSON_NUMBER = re.compile(
    r"(?:(?<![0-9A-Za-z])(?<![0-9]\.)|(?<=%[0-9A-Fa-f]{2}))"
    r"(?:18|19|20)?[0-9]{6}(?:[-+]|%2[DdBb])?[0-9]{4}"
    r"(?![0-9A-Za-z]|\.[0-9])"
)
"""Ten or twelve digits, also hyphened or percent-encoded; digits inside ids, OIDs and times are none."""


def masked(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces what looks like a personal number in the texts of an entry."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _PERSON_NUMBER.sub("[number]", value)
    return event


def set_up(level: str = "info", form: Literal["json", "text"] = "json") -> None:
    """Sends structlog's entries and the standard library's through one formatter to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    if form == "json":
        last: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            masked,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        last = [structlog.processors.format_exc_info, masked, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # Libraries that log each request with its address: addresses are ours to log, without the query.
    for name in ("httpx2", "httpcore2", "httpx", "httpcore", "asyncio", "alembic", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
