# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Errors of the OAuth endpoints, and the JSON form they are told in (RFC 6749 5.2)."""

from typing import ClassVar

import orjson

from fhir_server.context import Answer
from fhir_server.outcome import FhirError

NO_STORE = {"Pragma": "no-cache"}
"""Header of every answer that carries a token or an error about one (RFC 6749 5.1); the kernel adds Cache-Control."""


class OAuthError(FhirError):
    """Base of what an OAuth endpoint refuses; `code` is the value of `error`."""

    status: ClassVar[int] = 400
    issue: ClassVar[str] = "invalid"
    code: ClassVar[str] = "invalid_request"


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed."""


class InvalidClient(OAuthError):
    """The client is not authenticated."""

    status, issue, code = 401, "login", "invalid_client"


class InvalidGrant(OAuthError):
    """The code is unknown, used, expired or another client's, or its verifier is wrong."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client is not registered for this grant."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """The grant is not offered."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """The response type is not offered."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """Nothing of what was asked for can be granted."""

    code = "invalid_scope"


class AccessDenied(OAuthError):
    """The person or the server said no."""

    code = "access_denied"


def oauth_error(error: FhirError, trace_id: str) -> Answer:
    """The error as RFC 6749 5.2 has it; the trace id lets the operator find what lies behind."""
    if isinstance(error, OAuthError):
        code = error.detail_code
    elif error.status >= 500:
        code = "temporarily_unavailable" if error.status in (503, 504) else "server_error"
    else:
        code = "invalid_request"
    body = {"error": code, "error_description": description(error.message), "trace_id": trace_id}
    return Answer(orjson.dumps(body), error.status, {**NO_STORE, **error.headers}, "application/json")


def description(text: str) -> str:
    """The text in the characters that `error_description` may have: printable ASCII without quote and backslash."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "'" for char in text)
