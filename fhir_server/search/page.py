# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Cursors: where the next page begins, signed and opaque, good for one search only."""

import base64
import binascii
from datetime import datetime
from decimal import Decimal
import hashlib
import hmac
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
import orjson

from fhir_server.outcome import Invalid

_SIZE = 16
_NONCE = 12
_SEALED = "sealed-"


class Cursors:
    """Makes and reads cursors; a changed one, or one of another search, is refused."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, search: str, position: tuple[Any, ...]) -> str:
        """The cursor for a position in `search` (a text that names the search exactly)."""
        plain = orjson.dumps([_written(each) for each in position])
        return base64.urlsafe_b64encode(self._mac(search, plain) + plain).rstrip(b"=").decode()

    def read(self, search: str, cursor: str) -> tuple[Any, ...]:
        """The position, its parts of the types they had. Raises `Invalid`."""
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError):
            raise Invalid("the cursor is not one of ours; start the search again") from None
        mac, plain = raw[:_SIZE], raw[_SIZE:]
        if not hmac.compare_digest(mac, self._mac(search, plain)):
            raise Invalid("the cursor belongs to another search; start the search again")
        return tuple(_read(each) for each in orjson.loads(plain))

    def sealed(self, text: str) -> str:
        """A text that may stand in an address in place of `text`, and says nothing about it to anyone else."""
        nonce = hmac.new(self._secret, b"seal\x00" + text.encode(), hashlib.sha256).digest()[:_NONCE]
        return _SEALED + base64.urlsafe_b64encode(nonce + self._box().encrypt(nonce, text.encode(), None)).decode()

    def unsealed(self, text: str) -> str:
        """What was sealed; other texts as they are. Raises `Invalid`."""
        if not text.startswith(_SEALED):
            return text
        try:
            raw = base64.urlsafe_b64decode(text.removeprefix(_SEALED))
            return self._box().decrypt(raw[:_NONCE], raw[_NONCE:], None).decode()
        except (binascii.Error, ValueError, InvalidTag):
            raise Invalid("a sealed value of this search is not ours; start the search again") from None

    def _box(self) -> AESGCM:
        return AESGCM(hashlib.sha256(b"seal\x00" + self._secret).digest())

    def _mac(self, search: str, plain: bytes) -> bytes:
        return hmac.new(self._secret, search.encode() + b"\x00" + plain, hashlib.sha256).digest()[:_SIZE]


def _written(part: Any) -> Any:
    match part:
        case datetime():
            return ["moment", part.isoformat()]
        case Decimal():
            return ["number", str(part)]
        case _:
            return part


def _read(part: Any) -> Any:
    match part:
        case ["moment", text]:
            return datetime.fromisoformat(text)
        case ["number", text]:
            return Decimal(text)
        case _:
            return part
