# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Calls to sources: the caller's token and trace go along, answers are cut at a size, nothing is followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from fhir_server.context import Context
from fhir_server.outcome import FhirError
from fhir_server.resource import check_depth
from fhir_server.trace import traceparent
from gateway.sources import SourceFailed, SourceSilent


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    def json(self) -> dict[str, Any]:
        """The JSON object. Raises `SourceFailed`."""
        try:
            check_depth(self.content)
            value = orjson.loads(self.content)
        except FhirError:
            raise SourceFailed("the answer is nested too deeply") from None
        except orjson.JSONDecodeError as error:
            raise SourceFailed(f"the answer is no JSON (line {error.lineno}, column {error.colno})") from None
        if not isinstance(value, dict):
            raise SourceFailed("the answer is no JSON object")
        return value


class SourceHttp:
    """The gateway's side of every source call."""

    def __init__(self, http: httpx2.AsyncClient, *, max_bytes: int) -> None:
        self._http, self._max_bytes = http, max_bytes

    async def send(
        self, context: Context, method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str]
    ) -> Received:
        """One call. Raises `SourceSilent` without an answer, `SourceFailed` beyond the size limit."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise SourceFailed("the catalogue gives no http address")
        left = context.time_left()
        sent = {
            "Authorization": f"Bearer {context.token}",
            "traceparent": traceparent(context.trace_id),
            "X-Deadline-Ms": str(max(1, int(left * 1000))),
            # Decompression could make much of little.
            "Accept-Encoding": "identity",
            **headers,
        }
        try:
            async with self._http.stream(
                method, url, content=content, headers=sent, timeout=left, follow_redirects=False
            ) as answer:
                chunks: list[bytes] = []
                size = 0
                async for chunk in answer.aiter_raw():
                    size += len(chunk)
                    if size > self._max_bytes:
                        raise SourceFailed(f"the answer is larger than {self._max_bytes} bytes")
                    chunks.append(chunk)
                return Received(answer.status_code, b"".join(chunks), dict(answer.headers))
        except httpx2.TimeoutException:
            raise SourceSilent("did not answer in time") from None
        except httpx2.RemoteProtocolError:
            raise SourceFailed("broke off its answer") from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise SourceSilent("cannot be reached") from None


def accepted(received: Received, *statuses: int) -> Received:
    """The answer, if its status is one of these. Raises `SourceFailed`."""
    if received.status not in statuses:
        raise SourceFailed(f"answered with HTTP status {received.status}")
    return received
