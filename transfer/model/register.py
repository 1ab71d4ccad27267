# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A quality register as the service works it, and the pseudonyms it is given."""

import base64
from dataclasses import dataclass
import hashlib
import hmac

from fhir_server.outcome import Invalid
from identifiers.hsa_id import HsaId, InvalidHsaId, parse_hsa_id
from identifiers.person_key import PersonKey
from transfer.model.variables import REQUIRABLE, RESOURCES

_PSEUDONYM_BYTES = 20


@dataclass(frozen=True, slots=True)
class Register:
    """A quality register (kvalitetsregister) and what it may have."""

    hsa_id: HsaId
    name: str
    address: str
    """Base under which it takes `$process-message`."""
    information_types: tuple[str, ...]
    required: tuple[str, ...]
    """Variables without which it takes no record."""
    purpose_sv: str
    purpose_en: str


def register(
    hsa_id: str,
    name: str,
    address: str,
    information_types: tuple[str, ...],
    required: tuple[str, ...],
    purpose_sv: str,
    purpose_en: str,
) -> Register:
    """A register whose values have been checked. Raises `Invalid` with what is wrong."""
    try:
        parsed = parse_hsa_id(hsa_id)
    except InvalidHsaId as error:
        raise Invalid(str(error)) from None
    if not address.startswith(("http://", "https://")):
        raise Invalid("the address must begin with https:// (or http:// in a test)")
    if not information_types:
        raise Invalid(f"a register has at least one information type; there are: {', '.join(RESOURCES)}")
    if unknown := [each for each in information_types if each not in RESOURCES]:
        raise Invalid(f"cannot be transferred: {', '.join(unknown)}; there are: {', '.join(RESOURCES)}")
    if unknown := [each for each in required if each not in REQUIRABLE]:
        raise Invalid(f"no such variable: {', '.join(unknown)}; there are: {', '.join(REQUIRABLE)}")
    if not name.strip() or not purpose_sv.strip() or not purpose_en.strip():
        raise Invalid("a register has a name and a purpose in Swedish and in English (PDL 7:3-4)")
    return Register(parsed, name, address.rstrip("/"), information_types, required, purpose_sv, purpose_en)


def new_pseudonym(key: bytes, person: PersonKey, nonce: bytes) -> str:
    """A pseudonym for the person in one register: 32 characters A-Z and 2-7.

    HMAC-SHA-256 under the register's own key over the person key and a nonce that is kept nowhere. Only the stored
    pair leads from one to the other; once it is erased not even the holder of the key can make the pseudonym again
    ("utplånas", PDL 7:2), and a person who returns gets another.
    """
    digest = hmac.new(key, nonce + person.value, hashlib.sha256).digest()
    return base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode()
