# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One attempt to deliver: POST `$process-message` to the register, and what its answer means."""

import asyncio
from datetime import datetime
from typing import Final

import httpx2

from fhir_server.context import Context
from fhir_server.trace import traceparent
from transfer.model.message import Result, TryAgain, result
from transfer.store import Delivery

_LARGEST_ANSWER: Final = 256 * 1024


async def submit(
    context: Context, delivery: Delivery, address: str, http: httpx2.AsyncClient, *, seconds: float, now: datetime
) -> Result:
    """Sends the delivery's stored bytes under its idempotency key; `seconds` for the whole exchange.

    No answer, a broken one and one that is too long all mean the same: nobody knows, so it goes again.
    """
    headers = {
        "Authorization": f"Bearer {context.token}",
        "Content-Type": "application/fhir+json",
        "Accept": "application/fhir+json",
        "Idempotency-Key": delivery.idempotency_key,
        "traceparent": traceparent(context.trace_id),
    }
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(
                "POST", f"{address}/$process-message", content=delivery.payload, headers=headers, timeout=seconds
            ) as answer,
        ):
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    return TryAgain("broken-answer: longer than 256 KiB")
            names = {name.lower(): value for name, value in answer.headers.items()}
            return result(answer.status_code, names, bytes(body), delivery.message_id, now)
    except TimeoutError:
        return TryAgain("timeout")
    except httpx2.HTTPError as error:
        return TryAgain(f"no-answer: {type(error).__name__}")
