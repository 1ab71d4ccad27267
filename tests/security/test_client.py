# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A service that gets its own token."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
import time

import httpx2
import pytest

from fhir_server.context import CallerKind
from fhir_server.outcome import BadGateway, DeadlineExceeded, Unauthenticated, Unavailable
from security import jose
from security.client import HttpTokenSource
from security.settings import SecuritySettings
from tests.security.conftest import KEYS, Server, application, new_client
from tests.support.callers import ListAudit
from tests.support.running import free_port, serving


@pytest.fixture
async def base(authority: Server) -> AsyncIterator[str]:
    """The server under the address it is reached at, which is its name in assertions."""
    port = free_port()
    settings = SecuritySettings(f"http://127.0.0.1:{port}", token_seconds=300)
    app = application(authority.engine, authority.cipher, settings, ListAudit())
    async with serving(app, port=port) as address:
        yield address


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


async def test_one_token_serves_many_calls(base: str, http: httpx2.AsyncClient) -> None:
    source = HttpTokenSource(f"{base}/oauth2/token", "region-norr", KEYS["region-norr"], http)
    contexts = await asyncio.gather(*(source.context(seconds=5) for _ in range(10)))
    assert len({context.token for context in contexts}) == 1
    assert len({context.trace_id for context in contexts}) == 10
    first = contexts[0]
    assert first.caller.client_id == "region-norr"
    assert first.caller.kind is CallerKind.system
    assert first.caller.may("Organization", "r")
    assert 4 < first.time_left() <= 5
    with pytest.raises(DeadlineExceeded):
        (await source.context(seconds=0)).time_left()
    narrow = await source.context(seconds=5, scopes=["system/Organization.r"])
    assert narrow.caller.scopes == {"system/Organization.r"}
    answer = await http.post(f"{base}/probe/fhir/$who", headers={"Authorization": f"Bearer {narrow.token}"})
    assert answer.json()["client"] == "region-norr"


async def test_a_new_token_comes_before_the_old_one_ends(base: str, http: httpx2.AsyncClient) -> None:
    ahead = 0.0
    source = HttpTokenSource(
        f"{base}/oauth2/token", "region-norr", KEYS["region-norr"], http, clock=lambda: time.time() + ahead
    )
    first = await source.context(seconds=5)
    ahead = 230
    assert (await source.context(seconds=5)).token == first.token
    ahead = 241
    # The server's clock stands still, so the assertion made with ours lies ahead: it is refused, and says so.
    with pytest.raises(Unauthenticated, match="authorization server refuses"):
        await source.context(seconds=5)
    ahead = -60
    assert (await source.context(seconds=5)).token == first.token


async def test_a_refused_client_is_told_why(authority: Server, base: str, http: httpx2.AsyncClient) -> None:
    source = HttpTokenSource(f"{base}/oauth2/token", "region-norr", jose.new_key(), http)
    with pytest.raises(Unauthenticated, match="registered key") as refusal:
        await source.context(seconds=5)
    assert refusal.value.detail_code == "invalid_client"
    revoked = new_client("region-norr", revoked=datetime.now(UTC))
    await authority.store.put_client(revoked, datetime.now(UTC))
    source = HttpTokenSource(f"{base}/oauth2/token", "region-norr", KEYS["region-norr"], http)
    with pytest.raises(Unauthenticated, match="does not hold now"):
        await source.context(seconds=5)


async def test_a_server_that_is_none(base: str, http: httpx2.AsyncClient) -> None:
    key = KEYS["region-norr"]
    with pytest.raises(Unavailable):
        await HttpTokenSource(f"http://127.0.0.1:{free_port()}/token", "a", key, http).context(seconds=5)
    with pytest.raises((BadGateway, Unauthenticated)):
        await HttpTokenSource(f"{base}/nowhere", "a", key, http).context(seconds=5)
    with pytest.raises(ValueError, match="private"):
        HttpTokenSource(base, "a", jose.public_jwk(key), http)
