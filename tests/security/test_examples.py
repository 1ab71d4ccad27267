# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tokens printed in SMART App Launch 2.2: those signed with the published keys verify, all others are refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
import json
from pathlib import Path
from typing import Any

import pytest

from security import jose
from security.errors import InvalidClient
from security.model import assertion
from tests.security.conftest import Server, new_client

AUDIENCE = "https://authorize.smarthealthit.org/token"


def examples(shared: Path) -> tuple[list[Mapping[str, Any]], dict[str, dict[str, Any]]]:
    folder = shared / "consent" / "smart"
    tokens = json.loads((folder / "example-jwts.json").read_text())["tokens"]
    keys = {}
    for name in ("ES384.public.json", "RS384.public.json"):
        value = json.loads((folder / name).read_text())
        for each in value.get("keys", [value]):
            keys[each["kid"]] = each
    return tokens, keys


def test_each_token_verifies_or_not_as_published(shared: Path) -> None:
    tokens, keys = examples(shared)
    assert len(tokens) == 10
    good = 0
    for each in tokens:
        token = jose.read(each["jwt"])
        assert token.header == each["header"]
        for jwk in keys.values():
            key = jose.public_key(jwk)
            try:
                jose.verify(token, key, jose.key_algorithms(key))
            except jose.BadToken:
                continue
            good += 1
            assert each["page"] == "authorization-example-jwks-and-signatures"
            assert token.kid == jwk["kid"]
    assert good == 2


def test_the_signed_ones_are_good_assertions_of_their_time(shared: Path) -> None:
    tokens, _ = examples(shared)
    signed = [each for each in tokens if each["page"] == "authorization-example-jwks-and-signatures"]
    for each in signed:
        token = jose.read(each["jwt"])
        assertion.check_header(token.header)
        client = assertion.claimed_client(token.claims, None)
        then = datetime.fromtimestamp(token.claims["exp"] - 60, UTC)
        checked = assertion.check_claims(token.claims, client, (AUDIENCE,), then)
        assert checked.jti == "random-non-reusable-jwt-id-123"
        with pytest.raises(InvalidClient, match="expired"):
            assertion.check_claims(token.claims, client, (AUDIENCE,), datetime.now(UTC))
        with pytest.raises(InvalidClient, match="aud"):
            assertion.check_claims(token.claims, client, ("https://other.example/token",), then)


async def test_none_of_them_gets_a_token_here(authority: Server, shared: Path) -> None:
    tokens, keys = examples(shared)
    public = {kid: jose.public_jwk(jwk) for kid, jwk in keys.items()}
    for client_id in ("https://bili-monitor.example.com", "demo_app_whatever"):
        await authority.store.put_client(new_client(client_id, keys=public), datetime.now(UTC))
    for each in tokens:
        assert await authority.refused(each["jwt"]) == "invalid_client"
        answer = await authority.call(each["jwt"])
        assert answer.status_code == 401


def test_rs384_and_es384_of_smart_are_offered(shared: Path) -> None:
    assert {"RS384", "ES384"} <= set(assertion.ALGORITHMS)
