# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the CapabilityStatement adds for security."""

from typing import Any

from security.settings import SecuritySettings


def capability(settings: SecuritySettings) -> dict[str, Any]:
    """Names the endpoints of the authorization server."""
    return {"purpose": f"Access tokens at {settings.token_endpoint}, keys to verify them with at {settings.jwks_uri}."}
