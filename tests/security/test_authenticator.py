# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Verifying tokens: the cache, keys in this process and over HTTP, and what a key source that fails does."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
import time
from typing import Any

import pytest

from fhir_server.context import Caller, CallerKind
from fhir_server.outcome import Unauthenticated, Unavailable
from identifiers.person_key import PersonKey
from security import jose
from security.keys import SigningKeys, VerificationKeys, public_jwks
from security.local import TokenAuthenticator, database_keys, http_keys
from security.model import access
from security.store import SecurityStore
from tests.security.conftest import ISSUER, Server

KEY = jose.new_key("k1")
CALLERS = (
    Caller("norr", CallerKind.system, frozenset({"system/*.cruds"}), frozenset({"source"}), organisation="SE1-A"),
    Caller("portal", CallerKind.patient, frozenset({"patient/*.rs"}), person=PersonKey(b"p" * 16), assurance=3),
    Caller(
        "ehr", CallerKind.staff, frozenset({"user/*.rs", "user/Flag.c"}), frozenset({"clinician", "x"}), "o", "Örebro",
        "u", "un", "h", "Åsa", "dentist", None, "TREAT", 4,
    ),
)  # fmt: skip


class Source:
    """A key source that counts how often it is asked."""

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.keys, self.asked, self.fails = list(keys), 0, False

    async def load(self) -> Mapping[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fails:
            raise Unavailable("no keys")
        return {"keys": [jose.public_jwk(each) for each in self.keys]}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def token(caller: Caller = CALLERS[0], *, at: float | None = None, key: Mapping[str, Any] = KEY) -> str:
    now = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    claims = access.token_claims(
        issuer=ISSUER, audience="ndi", caller=caller, subject="s", jti="j", now=now, seconds=600
    )
    return jose.sign(claims, jose.private_key(key), algorithm="ES256", kind="at+jwt")


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.client_id)
async def test_a_caller_survives_the_way_through_a_token(caller: Caller) -> None:
    authenticator = TokenAuthenticator(VerificationKeys(Source(KEY).load), issuer=ISSUER)
    assert await authenticator.authenticate(f"Bearer {token(caller)}") == caller


async def test_a_known_token_is_not_verified_again_until_it_expires() -> None:
    clock, source = Clock(), Source(KEY)
    authenticator = TokenAuthenticator(VerificationKeys(source.load, clock=clock), issuer=ISSUER, clock=clock)
    header = f"Bearer {token(at=clock.now)}"
    first = await authenticator.authenticate(header)
    assert await authenticator.authenticate(header) is first
    clock.now += 604
    assert await authenticator.authenticate(header) is first
    clock.now += 2
    with pytest.raises(Unauthenticated, match="expired") as refusal:
        await authenticator.authenticate(header)
    assert refusal.value.detail_code == "expired-token"
    assert 'error="invalid_token"' in refusal.value.headers["WWW-Authenticate"]


async def test_a_known_token_costs_little() -> None:
    authenticator = TokenAuthenticator(VerificationKeys(Source(KEY).load), issuer=ISSUER)
    header = f"Bearer {token()}"
    await authenticator.authenticate(header)
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(500):
            await authenticator.authenticate(header)
        best = min(best, (time.perf_counter() - started) / 500)
    print(f"\nknown token: {best * 1e6:.2f} µs")
    assert best < 20e-6


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("security.local._CACHED", 3)
    authenticator = TokenAuthenticator(VerificationKeys(Source(KEY).load), issuer=ISSUER)
    for number in range(8):
        await authenticator.authenticate(f"Bearer {token(at=time.time() - number)}")
    assert len(authenticator._known) == 3


async def test_invented_key_ids_do_not_make_us_ask_each_time() -> None:
    clock, source = Clock(), Source(KEY)
    keys = VerificationKeys(source.load, clock=clock)
    assert await keys.key("k1") is not None
    for number in range(200):
        assert await keys.key(f"invented {number}") is None
    assert source.asked == 1
    clock.now += 1.1
    await asyncio.gather(*(keys.key(f"again {number}") for number in range(50)))
    assert source.asked == 2


async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten() -> None:
    clock, source, second = Clock(), Source(KEY), jose.new_key("k2")
    keys = VerificationKeys(source.load, clock=clock)
    assert await keys.key("k1") is not None
    source.keys = [second]
    clock.now += 1.1
    assert await keys.key("k2") is not None
    assert await keys.key("k1") is None


async def test_keys_at_hand_go_on_to_hold_while_their_source_is_silent() -> None:
    clock, source = Clock(), Source(KEY)
    keys = VerificationKeys(source.load, clock=clock)
    source.fails = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await keys.key("k1")
    assert source.asked == 1
    source.fails = False
    clock.now += 2.1
    assert await keys.key("k1") is not None
    source.fails = True
    clock.now += 1800
    assert await keys.key("k1") is not None
    assert await keys.key("other") is None
    clock.now += 1800
    with pytest.raises(Unavailable):
        await keys.key("k1")


async def test_another_process_verifies_over_http(authority: Server) -> None:
    text = (await authority.token()).json()["access_token"]
    elsewhere = TokenAuthenticator(http_keys("/oauth2/jwks", authority.http), issuer=ISSUER)
    here = TokenAuthenticator(database_keys(authority.engine), issuer=ISSUER)
    assert await elsewhere.authenticate(f"Bearer {text}") == await here.authenticate(f"bearer {text}")
    for address in ("/oauth2/token", "/nowhere", "/oauth2/fhir/metadata"):
        deaf = TokenAuthenticator(http_keys(address, authority.http), issuer=ISSUER)
        with pytest.raises((Unavailable, Unauthenticated)):
            await deaf.authenticate(f"Bearer {text}")


async def test_processes_that_start_together_make_one_key(authority: Server, database_url: str) -> None:
    from fhir_server.storage.database import create_engine

    engine = create_engine(database_url)
    try:
        stores = [SecurityStore(engine) for _ in range(8)]
        made = await asyncio.gather(*(SigningKeys(store, authority.cipher).current() for store in stores))
        assert len({key.kid for key in made}) == 1
        assert len((await public_jwks(stores[0]))["keys"]) == 1
    finally:
        await engine.dispose()


async def test_a_key_that_cannot_be_decrypted_is_replaced(authority: Server, database_url: str) -> None:
    from fhir_server.crypto import Cipher
    from fhir_server.storage.database import create_engine

    engine = create_engine(database_url)
    try:
        store = SecurityStore(engine)
        first = await SigningKeys(store, authority.cipher).current()
        second = await SigningKeys(store, Cipher({1: b"z" * 32}, 1)).current()
        assert first.kid != second.kid
        assert {each["kid"] for each in (await public_jwks(store))["keys"]} == {first.kid, second.kid}
        sealed = [each.sealed for each in await store.signing_keys(datetime.now(UTC))]
        assert all(b'"d"' not in each for each in sealed)
    finally:
        await engine.dispose()
