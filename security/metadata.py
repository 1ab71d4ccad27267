# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the authorization server tells about itself: RFC 8414 and SMART App Launch 2.2 `.well-known` documents."""

from typing import Any

import orjson

from fhir_server.context import Answer, Context
from fhir_server.service import Request
from security.model.assertion import ALGORITHMS
from security.model.registration import GRANTS
from security.settings import SecuritySettings


def server_metadata(settings: SecuritySettings) -> dict[str, Any]:
    """The metadata of RFC 8414 2."""
    return {
        "issuer": settings.issuer,
        "authorization_endpoint": settings.authorization_endpoint,
        "token_endpoint": settings.token_endpoint,
        "jwks_uri": settings.jwks_uri,
        "grant_types_supported": list(GRANTS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": ["system/*.cruds", "user/*.cruds", "patient/*.cruds"],
        "authorization_response_iss_parameter_supported": True,
    }


def smart_configuration(settings: SecuritySettings) -> dict[str, Any]:
    """The metadata of SMART App Launch 2.2, "Conformance"."""
    return {
        **server_metadata(settings),
        "capabilities": [
            "launch-standalone",
            "client-confidential-asymmetric",
            "permission-v1",
            "permission-v2",
            "permission-patient",
            "permission-user",
            "authorize-get",
        ],
    }


class MetadataEndpoint:
    """GET /.well-known/oauth-authorization-server and /.well-known/smart-configuration."""

    def __init__(self, settings: SecuritySettings) -> None:
        self._server = orjson.dumps(server_metadata(settings))
        self._smart = orjson.dumps(smart_configuration(settings))

    async def server(self, context: Context, request: Request) -> Answer:
        """Answers the metadata of RFC 8414."""
        return Answer(self._server, media_type="application/json")

    async def smart(self, context: Context, request: Request) -> Answer:
        """Answers the SMART configuration."""
        return Answer(self._smart, media_type="application/json")
