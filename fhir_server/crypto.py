# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Encryption of the few values that must be shown again, such as a person's number."""

from collections.abc import Mapping
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Undecryptable(ValueError):
    """The text was not made with a key we have, or was changed."""


class Cipher:
    """AES-256-GCM; the key version (one byte) and the nonce stand before the cipher text."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        """`keys`: 32 bytes for each version 0-255. Raises `ValueError` on another size or a missing current key."""
        if current not in keys:
            raise ValueError("the current key version has no key")
        if any(len(key) != 32 or not 0 <= version <= 255 for version, key in keys.items()):
            raise ValueError("a cipher key has 32 bytes and a version 0-255")
        self.version = current
        self._keys = {version: AESGCM(key) for version, key in keys.items()}

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """The cipher text; `context` (e.g. the person key) must be given again to decrypt."""
        nonce = os.urandom(_NONCE)
        return bytes([self.version]) + nonce + self._keys[self.version].encrypt(nonce, plain, context)

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """The plain text. Raises `Undecryptable`."""
        if len(sealed) <= 1 + _NONCE or sealed[0] not in self._keys:
            raise Undecryptable("no key for this text")
        try:
            return self._keys[sealed[0]].decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], context)
        except InvalidTag:
            raise Undecryptable("the text was changed or belongs elsewhere") from None
