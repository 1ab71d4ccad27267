# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi token`: a registered client's token, or a test person's at that client, from the running authorization server.

It is got the way the client itself gets it: by an assertion signed with the client's key (RFC 7523), or by a login at
the test identity provider (RFC 6749 4.1). Nothing here makes a token that the server would not give.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
import json
from pathlib import Path
from typing import Any, Final

import httpx2

from fhir_server.commands import CommandError
from fhir_server.outcome import FhirError, Unavailable
from ndi.settings import Settings
from security.client import HttpTokenSource

_DEMO_KEYS: Final = (Path("var/demo/keys"), Path("var/demo/ndi/keys"))
"""Where the demo in this folder keeps its systems' keys."""
_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and what it says of itself."""

    text: str
    scopes: str
    expires: datetime

    def __str__(self) -> str:
        return f"valid until {self.expires:%H:%M:%S} UTC: {self.scopes}"


def key_file(settings: Settings, client_id: str) -> Path:
    """The private key of a client: in the deployment's key folder, else among those of the demo.

    Raises `CommandError` if there is none.
    """
    folders = (settings.keys_folder, *_DEMO_KEYS)
    for folder in folders:
        for path in (folder / f"{client_id}.jwk", folder / f"{client_id}.json"):
            if path.is_file():
                return path
    raise CommandError(
        f"there is no key of {client_id} in {', '.join(map(str, folders))}: name its file with --key "
        "(ndi security client list shows who is registered)"
    )


async def system_token(settings: Settings, client_id: str, key: Path, scopes: Sequence[str]) -> IssuedToken:
    """The client's own token; all its scopes if none is named. Raises `CommandError`."""
    async with httpx2.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
        try:
            source = HttpTokenSource(f"{settings.authority}/oauth2/token", client_id, _read(key), http)
            return _described((await source.context(seconds=_SECONDS, scopes=scopes)).token)
        except Unavailable as error:
            raise CommandError(_no_answer(settings, error.message)) from None
        except ValueError as error:
            raise CommandError(f"{key}: {error}") from None
        except FhirError as error:
            raise CommandError(error.message) from None


async def person_token(
    settings: Settings, client_id: str, key: Path, person: str, scopes: Sequence[str], redirect_uri: str | None
) -> IssuedToken:
    """The token of a test person who logs in at the client. Raises `CommandError`.

    `redirect_uri`: one registered for the client; the portal's is the default.
    """
    if find_spec("demo.tokens") is None:
        raise CommandError("this installation has no demo, which people's logins belong to")
    from demo.tokens import BrowserLogin, LoginFailed

    _read(key)
    back = redirect_uri or f"{settings.authority}/callback"
    async with httpx2.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
        try:
            login = BrowserLogin(http, settings.authority, client_id, key, back)
            return _described(await login.token(person, " ".join(scopes)))
        except LoginFailed as error:
            raise CommandError(str(error)) from None
        except httpx2.TransportError as error:
            raise CommandError(_no_answer(settings, type(error).__name__)) from None
        except ValueError as error:
            raise CommandError(f"{key}: {error}") from None


def _read(key: Path) -> dict[str, Any]:
    try:
        value = json.loads(key.read_text())
    except OSError as error:
        raise CommandError(f"{key}: {error.strerror}") from None
    except ValueError:
        raise CommandError(f"{key} is no JWK") from None
    if not isinstance(value, dict):
        raise CommandError(f"{key} is no JWK")
    return value


def _described(token: str) -> IssuedToken:
    """Reads what the token says; whether it holds is for the services to say."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return IssuedToken(token, claims["scope"], datetime.fromtimestamp(claims["exp"], UTC))


def _no_answer(settings: Settings, why: str) -> str:
    return f"no token from {settings.authority}: {why} (is it served? ndi serve, or make demo; --issuer names another)"
