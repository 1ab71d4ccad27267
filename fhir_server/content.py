# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Negotiation and limits: what form is asked for, how large a body may be."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fhir_server.outcome import NotAcceptable, TooLarge

_JSON = ("application/fhir+json", "application/json", "application/json+fhir", "text/json", "application/*", "*/*")
_FORMATS = ("json", *_JSON[:4])

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


def check_acceptable(accept: str | None, query_format: str | None, produces: Sequence[str] = ()) -> None:
    """Raises `NotAcceptable` unless JSON may be answered (https://hl7.org/fhir/R4/http.html#mime-type).

    `produces`: media types that the address gives beside JSON.
    """
    if query_format is not None:
        if query_format.replace(" ", "+") not in _FORMATS:
            raise NotAcceptable("this server answers JSON; ask for _format=json")
        return
    if not accept:
        return
    for part in accept.split(","):
        media, _, parameters = part.partition(";")
        refused = parameters.replace(" ", "").partition(";")[0].rstrip(".0") == "q="
        if media.strip().lower() in (*_JSON, *produces) and not refused:
            return
    raise NotAcceptable("this server answers application/fhir+json; send it in Accept")


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body. Raises `TooLarge` beyond `limit` bytes, as soon as that is known."""
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced.lstrip("0")[:18] or 0) > limit:
        raise TooLarge(f"the body may have at most {limit} bytes")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the caller went away")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body may have at most {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
