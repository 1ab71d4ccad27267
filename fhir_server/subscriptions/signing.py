# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How a receiver knows that a notification is ours, whole and fresh.

`Ndi-Signature: t=1764544225,v1=<hex>`, where v1 is HMAC-SHA256, keyed by the Subscription's secret, of the digits of t,
a full stop and the body as it arrived. docs/api/fhir_server/subscriptions.md shows a receiver.
"""

from datetime import datetime
import hmac
from typing import Final

HEADER: Final = "Ndi-Signature"


def signature(secret: bytes, body: bytes, now: datetime) -> str:
    """The value of the header."""
    moment = int(now.timestamp())
    return f"t={moment},v1={hmac.digest(secret, b'%d.' % moment + body, 'sha256').hex()}"
