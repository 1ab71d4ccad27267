# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Who is let into a source: callers from the network by token, the house's own staff by a secret of the house."""

from dataclasses import dataclass
import json
from pathlib import Path
import secrets

import httpx2

from demo.tokens import JWKS_PATH
from demo.trust import Refused, Trust, of_the_network


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, from verified claims."""

    client_id: str
    organisation: str
    """HSA-id of the care provider on whose behalf is asked."""
    user: str | None
    user_name: str | None


class Askers:
    """The callers that the network's authorization server vouches for."""

    def __init__(self, http: httpx2.AsyncClient, ndi: str) -> None:
        """`ndi`: base address of the infrastructure."""
        self._trust = Trust(http, ndi + JWKS_PATH)

    async def asker(self, authorization: str | None) -> Asker:
        """Who stands behind the Authorization header. Raises `Refused`."""
        claims = await self._trust.claims(authorization)
        own = of_the_network(claims)
        if not own.get("organisation"):
            raise Refused(403, "the token names no organisation on whose behalf is asked")
        return Asker(str(claims.get("client_id")), str(own["organisation"]), own.get("user"), own.get("user_name"))


class OwnStaff:
    """The region's own clinicians reach its own documentation by a secret of its own, not by the network."""

    def __init__(self, secret_file: Path) -> None:
        self._secret = json.loads(secret_file.read_text())["staff"]

    def check(self, authorization: str | None) -> None:
        """Returns if the caller is of the house. Raises `Refused`."""
        if authorization is None or not secrets.compare_digest(authorization, f"Staff {self._secret}"):
            raise Refused(401, "this is the region's own documentation: its staff log in here")
