# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Sends one notification: https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#rest-hook."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2

from fhir_server.outcome import Unprocessable
from fhir_server.retry import retry_after
from fhir_server.subscriptions.endpoint import Refused, check_endpoint, target
from fhir_server.subscriptions.settings import SubscriptionSettings
from fhir_server.subscriptions.signing import HEADER, signature
from fhir_server.subscriptions.wanted import JSON, Wanted


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the receiver does not have it, in words that hold nothing it said."""

    reason: str
    after: timedelta | None = None
    """How long the receiver asks to be left alone."""


class Courier:
    """Carries notifications to endpoints."""

    def __init__(self, http: httpx2.AsyncClient, settings: SubscriptionSettings, clock: Callable[[], datetime]) -> None:
        self._http, self._settings, self._clock = http, settings, clock

    async def send(self, wanted: Wanted, secret: bytes | None, body: bytes) -> Failure | None:
        """None when the receiver has taken it: any 2xx. Redirections are not followed, answers not read."""
        seconds = min(wanted.timeout or self._settings.timeout, self._settings.timeout)
        try:
            async with asyncio.timeout(seconds):
                return await self._send(wanted, secret, body)
        except TimeoutError:
            return Failure(f"no answer within {seconds:g} seconds")
        except (Refused, Unprocessable) as error:
            return Failure(str(error))
        except OSError as error:
            return Failure(f"the endpoint's name leads nowhere ({type(error).__name__})")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Failure(f"the endpoint cannot be reached ({type(error).__name__})")

    async def _send(self, wanted: Wanted, secret: bytes | None, body: bytes) -> Failure | None:
        # Checked again: what is allowed may have become less since the Subscription was made.
        to = await target(check_endpoint(wanted.endpoint, self._settings), self._settings)
        headers = [*wanted.headers, ("Host", to.host), ("Content-Type", JSON)]
        if secret is not None:
            headers.append((HEADER, signature(secret, body, self._clock())))
        async with self._http.stream(
            "POST", to.url, content=body, headers=headers, extensions={"sni_hostname": to.name}, timeout=None
        ) as answer:
            if answer.is_success:
                return None
            return Failure(
                f"the endpoint answered {answer.status_code}",
                retry_after(answer.headers.get("retry-after"), self._clock()),
            )


def client() -> httpx2.AsyncClient:
    """For the courier. A connection is used once: it is made to an address, which several names may share."""
    limits = httpx2.Limits(max_keepalive_connections=0, max_connections=None)
    return httpx2.AsyncClient(trust_env=False, follow_redirects=False, limits=limits)
