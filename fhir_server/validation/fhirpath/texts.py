# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Encodings and escapes of texts. http://hl7.org/fhirpath/N1/#additional-string-functions"""

import base64
import binascii
from collections.abc import Callable
import html
import json
from typing import Final

from fhir_server.validation.fhirpath.parse import FhirPathError

_ENCODE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "hex": binascii.hexlify,
    "base64": base64.b64encode,
    "urlbase64": base64.urlsafe_b64encode,
}
_DECODE: Final[dict[str, Callable[[str], bytes]]] = {
    "hex": binascii.unhexlify,
    "base64": base64.b64decode,
    "urlbase64": base64.urlsafe_b64decode,
}


def encode(value: str, form: str) -> str | None:
    """`encode(form)`: hex, base64 or urlbase64; None for another."""
    function = _ENCODE.get(form)
    return None if function is None else function(value.encode()).decode()


def decode(value: str, form: str) -> str | None:
    """`decode(form)`. Raises `FhirPathError` for a text that is not so encoded."""
    function = _DECODE.get(form)
    try:
        return None if function is None else function(value).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise FhirPathError("the text is not encoded so") from error


def escape(value: str, form: str) -> str | None:
    """`escape(form)`: html or json; None for another."""
    return html.escape(value) if form == "html" else json.dumps(value)[1:-1] if form == "json" else None


def unescape(value: str, form: str) -> str | None:
    """`unescape(form)`. Raises `FhirPathError` for a text that is no JSON string."""
    if form == "html":
        return html.unescape(value)
    if form != "json":
        return None
    try:
        found = json.loads(f'"{value}"')
    except ValueError as error:
        raise FhirPathError("the text is not escaped so") from error
    return str(found)
