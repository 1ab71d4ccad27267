# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Trace ids by W3C Trace Context, one per request, passed on to the services called.

https://www.w3.org/TR/trace-context/
"""

import os
import random
import re

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

_RANDOM = random.Random(os.urandom(32))  # noqa: S311 - an id need not be secret, and must be cheap


def trace_id_of(traceparent: str | None) -> str:
    """The caller's trace id, or a new one if there is none or it is not well formed."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return match.group(1) if match and match.group(1) != "0" * 32 else f"{_RANDOM.getrandbits(128):032x}"


def traceparent(trace_id: str) -> str:
    """The header to send on."""
    return f"00-{trace_id}-{os.urandom(8).hex()}-01"
