# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The key under which person data are stored: a keyed hash of the canonical identifier.

HMAC-SHA-256 over system and value, cut to 16 bytes. Without the secret nobody can go from a key to
a number or test a guess. Versions allow rotation with dual reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import hmac

from identifiers.person_number import PersonIdentifier

_SIZE = 16


@dataclass(frozen=True, slots=True)
class PersonKey:
    """Sixteen bytes that stand for one identifier of a person."""

    value: bytes

    def __post_init__(self) -> None:
        """Raises `ValueError` unless there are 16 bytes."""
        if len(self.value) != _SIZE:
            raise ValueError("a person key has 16 bytes")

    @classmethod
    def from_hex(cls, text: str) -> "PersonKey":
        """The key from its 32 hexadecimal digits. Raises `ValueError`."""
        return cls(bytes.fromhex(text))

    def hex(self) -> str:
        """32 hexadecimal digits, as used in `Patient/<hex>` references."""
        return self.value.hex()


class PersonKeys:
    """Makes person keys with the current secret."""

    def __init__(self, secrets: Mapping[int, bytes], current: int) -> None:
        """`secrets`: at least 32 bytes for each version; `current`: the version new keys are made with."""
        if current not in secrets:
            raise ValueError("the current key version has no secret")
        if any(len(secret) < 32 for secret in secrets.values()):
            raise ValueError("a person key secret has at least 32 bytes")
        self.version = current
        self._macs = {version: hmac.new(secret, digestmod=hashlib.sha256) for version, secret in secrets.items()}

    def of(self, identifier: PersonIdentifier, *, version: int | None = None) -> PersonKey:
        """The person key of an identifier."""
        mac = self._macs[self.version if version is None else version].copy()
        mac.update(identifier.system.encode())
        mac.update(b"\x00")
        mac.update(identifier.value.encode())
        return PersonKey(mac.digest()[:_SIZE])
