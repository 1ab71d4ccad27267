# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The claims of an access token (RFC 9068), and the caller they describe."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeGuard

from fhir_server.context import Caller, CallerKind
from fhir_server.outcome import Unauthenticated
from identifiers.person_key import PersonKey
from security.model.scopes import parse_scope

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type, no secret
ALGORITHM: Final = "ES256"
SKEW_SECONDS: Final = 5
"""How far clocks may differ. Servers keep time by NTP; a larger allowance would only lengthen the life of a token."""
MAX_MOMENT: Final = 1 << 40

_TEXTS: Final = (
    "organisation",
    "organisation_name",
    "unit",
    "unit_name",
    "user",
    "user_name",
    "profession",
    "purpose",
)


@dataclass(frozen=True, slots=True)
class Verified:
    """A caller and the moment (seconds since 1970) until which the token holds."""

    caller: Caller
    expires: float


def is_moment(value: object) -> TypeGuard[int | float]:
    """Whether the value is a NumericDate (RFC 7519 2): a number, no boolean, no infinity, not before 1970."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_MOMENT


def claims_of(caller: Caller, *, subject: str) -> dict[str, Any]:
    """The claims that describe the caller: client_id, sub, scope and `ndi`."""
    described: dict[str, Any] = {"kind": caller.kind.value, "roles": sorted(caller.roles)}
    described.update({name: value for name in _TEXTS if (value := getattr(caller, name)) is not None})
    if caller.person is not None:
        described["person"] = caller.person.hex()
    described["assurance"] = caller.assurance
    return {"client_id": caller.client_id, "sub": subject, "scope": " ".join(sorted(caller.scopes)), "ndi": described}


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """The caller, from claims only. Raises `Unauthenticated` if they are incomplete or of a wrong type."""
    described, scope = claims.get("ndi"), claims.get("scope")
    if not isinstance(described, dict) or not isinstance(scope, str):
        raise refused("the access token does not say who calls")
    texts = {name: _text(described, name) for name in _TEXTS}
    client_id = _text(claims, "client_id")
    roles, assurance, person = described.get("roles", []), described.get("assurance", 0), _text(described, "person")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise refused("roles of the access token must be a list of texts")
    if client_id is None or isinstance(assurance, bool) or not isinstance(assurance, int):
        raise refused("client_id and assurance of the access token are wrong")
    try:
        kind = CallerKind(described.get("kind"))
        key = None if person is None else PersonKey.from_hex(person)
    except ValueError:
        raise refused("kind or person of the access token is wrong") from None
    if (kind is CallerKind.patient) != (key is not None):
        raise refused("the access token must name a person if, and only if, a patient calls")
    # A scope that we would not grant, such as a granular one, gives nothing.
    scopes = frozenset(each for each in scope.split(" ") if parse_scope(each) is not None)
    return Caller(client_id, kind, scopes, frozenset(roles), person=key, assurance=assurance, **texts)


def verified(
    header: Mapping[str, Any], claims: Mapping[str, Any], *, issuer: str, audience: str, now: float
) -> Verified:
    """The caller of a token whose signature holds, at the moment `now` (seconds since 1970).

    Raises `Unauthenticated` on a wrong typ, iss or aud, on a token not yet or no longer valid (RFC 9068 4). A token for
    several audiences is refused: what another server may show to us, it may use against us.
    """
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") != TOKEN_TYPE:
        raise refused(f"typ of an access token must be {TOKEN_TYPE}")
    if claims.get("iss") != issuer:
        raise refused("the access token comes from another issuer")
    if claims.get("aud") not in (audience, [audience]):
        raise refused("the access token is meant for another audience")
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf")
    if not is_moment(expires) or not is_moment(issued):
        raise refused("exp and iat of the access token must be numbers of seconds since 1970")
    if not_before is not None and not is_moment(not_before):
        raise refused("nbf of the access token must be a number of seconds since 1970")
    if expires <= now - SKEW_SECONDS:
        raise refused("the access token has expired; ask for a new one", code="expired-token")
    if max(issued, not_before or 0) > now + SKEW_SECONDS:
        raise refused("the access token is not yet valid")
    if not isinstance(claims.get("jti"), str) or not isinstance(claims.get("sub"), str):
        raise refused("the access token must have jti and sub")
    return Verified(caller_of(claims), expires + SKEW_SECONDS)


def refused(text: str, *, code: str = "invalid-token") -> Unauthenticated:
    """The error for a token that does not hold, with its challenge (RFC 6750 3)."""
    challenge = f'Bearer error="invalid_token", error_description="{text}"'
    return Unauthenticated(text, code=code, headers={"WWW-Authenticate": challenge})


def token_claims(
    *, issuer: str, audience: str, caller: Caller, subject: str, jti: str, now: datetime, seconds: int
) -> dict[str, Any]:
    """All claims of an access token issued at `now` that lives for `seconds`."""
    issued = int(now.timestamp())
    return {
        "iss": issuer,
        "aud": audience,
        "iat": issued,
        "exp": issued + seconds,
        "jti": jti,
        **claims_of(caller, subject=subject),
    }


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, str):
        raise refused(f"{name} of the access token must be a text")
    return value
