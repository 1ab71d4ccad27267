# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the server tells about itself."""

from security import jose
from tests.security.conftest import ISSUER, Server


async def test_the_documents_name_endpoints_that_are_there(authority: Server) -> None:
    metadata = (await authority.http.get("/.well-known/oauth-authorization-server")).json()
    smart = (await authority.http.get("/.well-known/smart-configuration")).json()
    assert metadata["issuer"] == smart["issuer"] == ISSUER
    assert metadata["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert {"client-confidential-asymmetric", "permission-v2"} <= set(smart["capabilities"])
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        path = metadata[name].removeprefix(ISSUER)
        assert smart[name] == metadata[name]
        method = "POST" if name == "token_endpoint" else "GET"
        assert (await authority.http.request(method, path)).status_code != 404


async def test_the_keys_are_public_and_verify(authority: Server) -> None:
    answer = await authority.http.get("/oauth2/jwks")
    assert answer.headers["content-type"] == "application/json"
    keys = answer.json()["keys"]
    assert keys
    for each in keys:
        assert set(each) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (each["kty"], each["crv"], each["alg"], each["use"]) == ("EC", "P-256", "ES256", "sig")
    token = jose.read((await authority.token()).json()["access_token"])
    public = next(each for each in keys if each["kid"] == token.kid)
    jose.verify(token, jose.public_key(public), ("ES256",))


async def test_the_capability_statement_is_served(authority: Server) -> None:
    statement = (await authority.http.get("/oauth2/fhir/metadata")).json()
    assert f"{ISSUER}/oauth2/token" in statement["purpose"]
