# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A person's identifier at rest: encrypted, bound to the person key, needed again at each fetch from a source."""

import json

from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKey
from identifiers.person_number import PersonIdentifier


def seal(cipher: Cipher, person: PersonKey, identifier: PersonIdentifier) -> bytes:
    """The identifier encrypted."""
    return cipher.encrypt(json.dumps([identifier.system, identifier.value]).encode(), _bound(person))


def unseal(cipher: Cipher, person: PersonKey, sealed: bytes) -> PersonIdentifier:
    """The identifier again. Raises `Undecryptable`."""
    system, value = json.loads(cipher.decrypt(sealed, _bound(person)))
    return PersonIdentifier(system, value)


def _bound(person: PersonKey) -> bytes:
    return b"transfer.entry:" + person.value
