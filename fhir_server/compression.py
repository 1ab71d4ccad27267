# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""gzip on answers, for callers that take it (RFC 9110 12.5.3), from a size on.

Level 1: a page of ten resources (27 kB) becomes five times smaller in 60 µs, in 168 µs six times by level 6.
"""

import asyncio
import gzip
from typing import Final

from msgspec.structs import replace
import orjson

from fhir_server.context import Answer

_LEVEL: Final = 1
_ASIDE: Final = 256 * 1024
"""Bytes from which it takes more than a millisecond: then it is done off the event loop."""
_VARY: Final = "Accept-Encoding"


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether the caller names gzip, and not to refuse it."""
    for part in (accept_encoding or "").split(","):
        coding, _, weight = part.partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "").rstrip(".0") != "q="
    return False


async def compressed(answer: Answer, accept_encoding: str | None, smallest: int) -> Answer:
    """The same answer, compressed if it has at least `smallest` bytes and the caller takes it; 0: never.

    What comes in pieces is left to its handler.
    """
    if not smallest or answer.body is None or hasattr(answer.body, "__aiter__"):
        return answer
    body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
    if len(body) < smallest:
        return answer
    headers = {**answer.headers, "Vary": _VARY}
    if not takes_gzip(accept_encoding):
        return replace(answer, body=body, headers=headers)
    packed = gzip.compress(body, _LEVEL) if len(body) < _ASIDE else await asyncio.to_thread(gzip.compress, body, _LEVEL)
    return replace(answer, body=packed, headers={**headers, "Content-Encoding": "gzip"})
