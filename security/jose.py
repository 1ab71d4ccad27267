# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Signed tokens (RFC 7515, RFC 7519), read strictly.

joserfc verifies; what it leaves to its caller is done here: sizes, repeated members, numbers that are none, header
parameters that bring keys along. Claims are checked by the callers (`model`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
import json
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

MAX_TOKEN: Final = 8192
"""Characters of a token; ours have about 900."""
MIN_RSA_BITS: Final = 2048
CURVES: Final = ("P-256", "P-384", "Ed25519")

Jwk = Mapping[str, Any]


class BadToken(ValueError):
    """The text is no signed token, or its signature does not hold. The message never repeats the token."""


class BadKey(ValueError):
    """The key is of a kind that is not taken."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token taken apart; nothing of it may be believed before `verify`."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def kid(self) -> str | None:
        """The id of the key it claims to be signed with."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) and len(kid) <= 256 else None


class _Registry(JWSRegistry):
    """Takes the name EdDSA as well: RFC 9864 renames it to Ed25519, clients in use still send the old one."""

    def get_alg(self, name: str) -> Any:
        """The algorithm, if it is one of those allowed."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


def read(text: str) -> Unverified:
    """Takes a token apart. Raises `BadToken`."""
    if len(text) > MAX_TOKEN:
        raise BadToken(f"a token has at most {MAX_TOKEN} characters")
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii():
        raise BadToken("a token has three parts, separated by dots")
    header, claims = (_object(part) for part in parts[:2])
    if "crit" in header or "b64" in header:
        raise BadToken("critical header parameters are not understood")
    if "kid" in header and (not isinstance(header["kid"], str) or len(header["kid"]) > 256):
        raise BadToken("kid must be a text of at most 256 characters")
    return Unverified(text, header, claims)


def verify(token: Unverified, key: Key, algorithms: Collection[str]) -> None:
    """Raises `BadToken` unless the token is signed with the key by one of the algorithms."""
    if token.header.get("alg") not in algorithms:
        raise BadToken("the token is signed with an algorithm that is not taken")
    names = ["Ed25519" if name == "EdDSA" else name for name in algorithms]
    registry = _Registry(algorithms=names, strict_check_header=False)
    try:
        jws.deserialize_compact(token.text, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise BadToken("the signature of the token does not hold") from None


def sign(claims: Mapping[str, Any], key: Key, *, algorithm: str, kind: str) -> str:
    """A token with these claims; `kind` is its typ."""
    header = {"alg": algorithm, "typ": kind, "kid": key.kid}
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
    return jws.serialize_compact(header, payload, key, registry=_Registry(algorithms=[algorithm]))


def new_key(kid: str | None = None) -> dict[str, Any]:
    """A new private key for ES256 as JWK; without `kid` its thumbprint (RFC 7638) becomes its id."""
    key = ECKey.generate_key("P-256")
    return {**key.as_dict(private=True), "kid": kid or key.thumbprint(), "alg": "ES256", "use": "sig"}


def private_key(jwk: Jwk) -> Key:
    """A key that can sign. Raises `BadKey`."""
    key = _imported(jwk)
    if not key.is_private:
        raise BadKey("the key has no private part")
    return key


def public_key(jwk: Jwk) -> Key:
    """A key that can verify. Raises `BadKey`."""
    return _imported(public_jwk(jwk))


def public_jwk(jwk: Jwk) -> dict[str, Any]:
    """The public part, with kid (its thumbprint where none is given). Raises `BadKey` on kinds that are not taken."""
    key = _imported(jwk)
    public = dict(key.as_dict(private=False))
    public["kid"] = str(jwk.get("kid") or key.thumbprint())
    public["use"] = "sig"
    return public


def key_algorithms(key: Key) -> Sequence[str]:
    """The algorithms a key can be used with: one family each, so that no token chooses another (RFC 8725 3.1)."""
    if isinstance(key, RSAKey):
        return ("RS256", "RS384")
    if isinstance(key, ECKey):
        return ("ES256",) if key.curve_name == "P-256" else ("ES384",)
    return ("EdDSA", "Ed25519")


def _imported(jwk: Jwk) -> Key:
    # `alg` and `key_ops` of a JWK are not needed: the kind of key decides (`key_algorithms`).
    bare = {name: value for name, value in jwk.items() if name not in ("alg", "key_ops", "use")}
    if bare.get("kty") not in ("RSA", "EC", "OKP"):
        raise BadKey("take a public key: RSA, EC or OKP")
    try:
        if bare["kty"] == "RSA" and len(urlsafe_b64decode(bare["n"].encode())) * 8 < MIN_RSA_BITS:
            raise BadKey(f"an RSA key needs at least {MIN_RSA_BITS} bits")
        key = import_key(bare)
    except BadKey:
        raise
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise BadKey("this is no JWK") from None
    if not isinstance(key, RSAKey) and (not isinstance(key, ECKey | OKPKey) or key.curve_name not in CURVES):
        raise BadKey(f"take an RSA key, or a key on {', '.join(CURVES)}")
    return key


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(
            urlsafe_b64decode(part.encode()), object_pairs_hook=_no_repetition, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise BadToken("the parts of a token must be JSON in base64url, no member twice") from None
    if not isinstance(value, dict):
        raise BadToken("header and payload of a token must be objects")
    return value


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member occurs twice")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
