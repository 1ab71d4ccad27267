# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a client assertion must say (RFC 7523 3, SMART App Launch 2.2 asymmetric client authentication)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from security.errors import InvalidClient
from security.model.access import SKEW_SECONDS, is_moment
from security.model.registration import is_client_id

LIFETIME_SECONDS: Final = 300
"""The latest a client may let its assertion expire, counted from now: SMART, "no more than five minutes"."""
OLDEST_SECONDS: Final = 3600
"""An assertion said to be issued longer ago is a sign of a wrong clock or a kept assertion."""
ALGORITHMS: Final = ("ES256", "ES384", "RS256", "RS384", "EdDSA", "Ed25519")
MAX_JTI: Final = 256


@dataclass(frozen=True, slots=True)
class Assertion:
    """What is left to be done with a good assertion: its id must not have been used."""

    client_id: str
    jti: str
    expires: datetime


def claimed_client(claims: Mapping[str, Any], client_id: str | None) -> str:
    """The client an assertion speaks of, before its signature is checked.

    Raises `InvalidClient` unless iss and sub, and `client_id` where it was sent, name the same client.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(issuer, str) or issuer != subject or not is_client_id(issuer):
        raise InvalidClient("iss and sub of the assertion must both be the client_id")
    if client_id is not None and client_id != issuer:
        raise InvalidClient("client_id is not the iss of the assertion")
    return issuer


def check_header(header: Mapping[str, Any]) -> None:
    """Raises `InvalidClient` on an algorithm, type or header parameter that is not taken."""
    if header.get("alg") not in ALGORITHMS:
        raise InvalidClient(f"sign the assertion with one of {', '.join(ALGORITHMS)}")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in ("jwt", "client-authentication+jwt"):
        raise InvalidClient("typ of the assertion must be JWT or client-authentication+jwt")
    for name in ("jku", "jwk", "x5u", "crit", "b64"):
        if name in header:
            # Keys are those registered, never those a message brings along or points to.
            raise InvalidClient(f"the header of the assertion must not have {name}; register the key instead")


def check_claims(claims: Mapping[str, Any], client_id: str, audiences: Collection[str], now: datetime) -> Assertion:
    """The assertion of `client_id` for one of the `audiences` at the moment `now`.

    Raises `InvalidClient` with what is wrong.
    """
    at = now.timestamp()
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if (
        not isinstance(named, list)
        or not named
        or not all(isinstance(each, str) and each in audiences for each in named)
    ):
        raise InvalidClient("aud of the assertion must be the address of this token endpoint, or the issuer")
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf")
    if not is_moment(expires):
        raise InvalidClient("exp of the assertion must be a number of seconds since 1970")
    if expires <= at - SKEW_SECONDS:
        raise InvalidClient("the assertion has expired")
    if expires > at + LIFETIME_SECONDS:
        raise InvalidClient("exp of the assertion may be at most five minutes ahead")
    if issued is not None and not (is_moment(issued) and at - OLDEST_SECONDS <= issued <= at + SKEW_SECONDS):
        raise InvalidClient("iat of the assertion must be a moment within the last hour")
    if not_before is not None and not (is_moment(not_before) and not_before <= at + SKEW_SECONDS):
        raise InvalidClient("the assertion is not yet valid: see nbf")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise InvalidClient(f"jti of the assertion must be a text of 1 to {MAX_JTI} characters")
    return Assertion(client_id, jti, datetime.fromtimestamp(expires, UTC))
