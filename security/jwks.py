# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The keys that access tokens are verified with (RFC 7517 5)."""

import orjson

from fhir_server.context import Answer, Context
from fhir_server.service import Request
from security.keys import SigningKeys, public_jwks
from security.store import SecurityStore


class JwksEndpoint:
    """GET /oauth2/jwks."""

    def __init__(self, store: SecurityStore, keys: SigningKeys) -> None:
        self._store, self._keys = store, keys

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers the JWKS; never empty, since a key is made before the first answer."""
        await self._keys.current()
        return Answer(orjson.dumps(await public_jwks(self._store)), media_type="application/json")
