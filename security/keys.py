# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Keys: those this server signs with, and those tokens are verified with.

Private keys stand in the database, encrypted: every process of the authorization server signs with the same key, and
a copy of the database alone signs nothing (docs/decisions/0010-signing-keys-in-the-database.md).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
import time
from typing import Any, Final

from joserfc.jwk import Key
import orjson
import structlog

from fhir_server.crypto import Cipher, Undecryptable
from fhir_server.outcome import Unavailable
from security import jose
from security.store import SecurityStore, SigningKey

log = structlog.get_logger("ndi.security")

GRACE: Final = timedelta(minutes=65)
"""How long a retired key still verifies: longer than the hour a deployment may let a token live."""
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REFRESH_SECONDS: Final = 60.0
_UNKNOWN_KID_SECONDS: Final = 1.0
"""A token with an unknown kid makes us look for new keys, at most this often: anybody can invent a kid."""
_SILENT_SECONDS: Final = 2.0
_HELD_SECONDS: Final = 3600.0

Clock = Callable[[], float]


class SigningKeys:
    """The key that signs now, made at first use; looked up again once a minute, so that a rotation is followed."""

    def __init__(self, store: SecurityStore, cipher: Cipher, *, clock: Clock = time.monotonic) -> None:
        self._store, self._cipher, self._clock = store, cipher, clock
        self._lock = asyncio.Lock()
        self._current: Key | None = None
        self._until = 0.0

    async def current(self) -> Key:
        """The newest key we can decrypt and that is not retired; makes one if there is none."""
        if self._current is not None and self._clock() < self._until:
            return self._current
        async with self._lock:
            if self._current is None or self._clock() >= self._until:
                self._current = await self._load_or_make()
                self._until = self._clock() + _REFRESH_SECONDS
            return self._current

    async def _load_or_make(self) -> Key:
        stored = await self._store.signing_keys(_EVER)
        key = self._usable(stored)
        if key is not None:
            return key
        jwk = jose.new_key()
        sealed = self._cipher.encrypt(orjson.dumps(jwk), _context(jwk["kid"]))
        made = SigningKey(jwk["kid"], jose.public_jwk(jwk), sealed, datetime.now(UTC), None)
        # Nothing is added if another process was quicker, that is, if there are more keys than those seen above.
        await self._store.add_signing_key(made, frozenset(each.kid for each in stored))
        key = self._usable(await self._store.signing_keys(_EVER))
        if key is None:
            raise RuntimeError("another process made a signing key that this one cannot decrypt")
        return key

    def _usable(self, stored: Sequence[SigningKey]) -> Key | None:
        for each in stored:
            if each.retired is None:
                try:
                    return jose.private_key(orjson.loads(self._cipher.decrypt(each.sealed, _context(each.kid))))
                except Undecryptable:
                    log.warning("signing key cannot be decrypted with the keys of this deployment", kid=each.kid)
        return None


async def public_jwks(store: SecurityStore) -> dict[str, Any]:
    """The keys tokens are verified with, as JWKS (RFC 7517 5)."""
    keys = await store.signing_keys(datetime.now(UTC) - GRACE)
    return {"keys": [{**key.public, "kid": key.kid, "alg": "ES256", "use": "sig"} for key in keys]}


class VerificationKeys:
    """Public keys by kid, from wherever `load` gets a JWKS; kept, and loaded again when a kid is unknown.

    While the source does not answer, the keys at hand go on to hold for an hour.
    """

    def __init__(self, load: Callable[[], Awaitable[Mapping[str, Any]]], *, clock: Clock = time.monotonic) -> None:
        self._load, self._clock = load, clock
        self._lock = asyncio.Lock()
        self._keys: dict[str, Key] = {}
        self._loaded = self._next_try = float("-inf")

    async def key(self, kid: str) -> Key | None:
        """The key with this id, or None. Raises `Unavailable` if the source does not answer and nothing is at hand."""
        known = self._keys.get(kid)
        if known is not None and self._age() < _REFRESH_SECONDS:
            return known
        async with self._lock:
            wanted = kid not in self._keys or self._age() >= _REFRESH_SECONDS
            if wanted and self._clock() >= self._next_try:
                await self._refresh()
            if self._age() >= _HELD_SECONDS:
                raise Unavailable("the keys of the authorization server cannot be had; try again")
            return self._keys.get(kid)

    def _age(self) -> float:
        return self._clock() - self._loaded

    async def _refresh(self) -> None:
        try:
            jwks = await self._load()
        except Exception as error:
            # The next who asks does not wait for the same silence again.
            self._next_try = self._clock() + _SILENT_SECONDS
            log.warning("verification keys cannot be loaded", error=type(error).__name__)
            return
        self._keys = dict(_usable(jwks))
        self._loaded = self._clock()
        self._next_try = self._loaded + _UNKNOWN_KID_SECONDS


def _usable(jwks: Mapping[str, Any]) -> list[tuple[str, Key]]:
    listed = jwks.get("keys")
    keys = []
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and isinstance(each.get("kid"), str):
            try:
                keys.append((each["kid"], jose.public_key(each)))
            except jose.BadKey:
                log.warning("a verification key is of a kind we do not take")
    return keys


def _context(kid: str) -> bytes:
    return b"security.signing_key " + kid.encode()
