# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What deployments set for security."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Addresses and times of the authorization server."""

    issuer: str
    """The server's own address without a path, e.g. https://ndi.example: `iss` of every token it signs."""
    audience: str = "ndi"
    """`aud` of every access token: the services of this infrastructure together."""
    test_idp: bool = False
    """Whether anybody may log in as a registered test person. For demonstrations only."""
    token_seconds: int = 600
    """Life of an access token."""
    code_seconds: int = 60
    """Life of an authorization code (RFC 6749 4.1.2 advises ten minutes at most)."""
    login_seconds: int = 600
    """How long a person may take to log in."""

    @property
    def token_endpoint(self) -> str:
        """Address of the token endpoint."""
        return f"{self.issuer}/oauth2/token"

    @property
    def authorization_endpoint(self) -> str:
        """Address a browser is sent to."""
        return f"{self.issuer}/oauth2/authorize"

    @property
    def jwks_uri(self) -> str:
        """Address of the keys that tokens are verified with."""
        return f"{self.issuer}/oauth2/jwks"

    @property
    def login_page(self) -> str:
        """Address of the test identity provider."""
        return f"{self.issuer}/idp/login"
