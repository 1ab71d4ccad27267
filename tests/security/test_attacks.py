# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Attacks on tokens and client authentication, by their ids in the published list; each ends as its `expect` says."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import hashlib
import hmac
import json
from pathlib import Path
import time
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import Key
import pytest

from fhir_server.crypto import Cipher
from fhir_server.outcome import Unauthenticated
from security import jose
from security.keys import SigningKeys
from security.local import TokenAuthenticator, database_keys
from security.model import access
from tests.security.conftest import (
    ASTRID,
    ISSUER,
    KEYS,
    TOKEN_URL,
    Server,
    application,
    compact,
    register,
    serving_authority,
)
from tests.support.callers import ListAudit
from tests.support.running import running

T = TypeVar("T", bound=Callable[..., Any])
COVERED: dict[str, list[str]] = {}


def attack(*ids: str) -> Callable[[T], T]:
    def note(test: T) -> T:
        for each in ids:
            COVERED.setdefault(each, []).append(test.__name__)
        return test

    return note


async def signer(authority: Server) -> Key:
    """The server's own key: for forgeries that only claims can give away."""
    return await SigningKeys(authority.store, authority.cipher).current()


async def claims_of_a_token(authority: Server, **changes: Any) -> dict[str, Any]:
    claims = jose.read((await authority.token()).json()["access_token"]).claims
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


async def forged(authority: Server, *, typ: str | None = "at+jwt", **changes: Any) -> str:
    """A token signed by the real key, its claims changed."""
    claims = await claims_of_a_token(authority, **changes)
    key = await signer(authority)
    return jose.sign(claims, key, algorithm="ES256", kind=typ or "")


async def refused(authority: Server, token: str, status: int = 401) -> str:
    """The token must be refused, in FHIR's form and RFC 6750's; gives the text."""
    answer = await authority.call(token)
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert all(entry.operation != "probe" for _, entry in authority.audit.entries)
    return str(answer.json()["issue"][0]["details"]["text"])


@attack("AT-01", "AT-02")
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 5, ["ES256"]])
async def test_no_signature(authority: Server, alg: Any) -> None:
    key = await signer(authority)
    claims = await claims_of_a_token(authority)
    for signature in (b"", b"x" * 64):
        await refused(authority, compact({"alg": alg, "typ": "at+jwt", "kid": key.kid}, claims, signature))


@attack("AT-01")
async def test_a_forged_token_is_in_the_access_log(database_url: str, cipher: Cipher) -> None:
    async with serving_authority(database_url, cipher) as authority:
        await register(authority)
        claims = await claims_of_a_token(authority)
        kid = (await signer(authority)).kid
        authority.audit.entries.clear()
        token = compact({"alg": "none", "typ": "at+jwt", "kid": kid}, claims, b"")
        await refused(authority, token)
        ((caller, entry),) = authority.audit.entries
        assert (caller.client_id, caller.organisation) == ("anonymous", None)
        assert (entry.operation, entry.outcome, entry.reason, entry.count) == (
            "/fhir/$who",
            "denied",
            "invalid-token",
            1,
        )
        assert not any(part in repr(entry) for part in token.split(".") if part)


@attack("AT-03")
async def test_the_public_key_as_hmac_key(authority: Server) -> None:
    jwks = (await authority.http.get("/oauth2/jwks")).json()
    key = await signer(authority)
    claims = await claims_of_a_token(authority)
    raw: Any = key.raw_value
    pem = raw.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = [pem, json.dumps(jwks["keys"][0]).encode()]
    for alg, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384), ("ES256", hashlib.sha256)):
        signed = compact({"alg": alg, "typ": "at+jwt", "kid": key.kid}, claims).rpartition(".")[0]
        for secret in secrets:
            mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), digest)).rstrip(b"=").decode()
            await refused(authority, f"{signed}.{mac}")


@attack("AT-04")
@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "' OR '1'='1",
        "http://attacker.test/jwks",
        "a\r\nb",
        "x" * 5_000,
        "\x00",
        "",
        7,
        None,
        {"a": 1},
    ],
)
async def test_kid_injection(authority: Server, kid: Any, capfd: pytest.CaptureFixture[str]) -> None:
    claims = await claims_of_a_token(authority)
    token = compact({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims)
    await refused(authority, token)
    assertion = compact({"alg": "ES256", "kid": kid}, authority.claims())
    assert await authority.refused(assertion) == "invalid_client"
    out = capfd.readouterr()
    assert "attacker.test" not in out.out + out.err
    assert "dev/null" not in out.out + out.err


@attack("AT-05", "AT-06")
@pytest.mark.parametrize("kid", ["theirs", "mine"])
async def test_keys_that_the_header_brings_or_points_to(authority: Server, kid: str) -> None:
    called: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await reader.read(100))
        writer.close()

    listener = await asyncio.start_server(listen, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/keys"
    attacker = jose.new_key()
    private = jose.private_key(attacker)
    claims = await claims_of_a_token(authority)
    own = (await signer(authority)).kid if kid == "mine" else attacker["kid"]
    public = {name: attacker[name] for name in ("kty", "crv", "x", "y")}
    for extra in ({"jwk": public}, {"jku": address}, {"x5u": address}, {"x5c": ["MIIB"]}):
        await refused(authority, signed_with(private, {"alg": "ES256", "typ": "at+jwt", "kid": own, **extra}, claims))
        assertion = signed_with(private, {"alg": "ES256", "kid": own, **extra}, authority.claims())
        assert await authority.refused(assertion) == "invalid_client"
    listener.close()
    await listener.wait_closed()
    assert called == []


def signed_with(key: Key, header: dict[str, Any], claims: bytes | dict[str, Any]) -> str:
    """A token with a header of any content, well signed; claims as bytes go in as they are."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    signing = compact(header, claims).rpartition(".")[0]
    raw: Any = key.raw_value
    r, s = decode_dss_signature(raw.sign(signing.encode(), ECDSA(SHA256())))
    signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()
    return f"{signing}.{signature}"


@attack("AT-07")
@pytest.mark.parametrize(
    "extra", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": "x", "x": 1}]
)
async def test_unknown_critical_headers(authority: Server, extra: dict[str, Any]) -> None:
    key = await signer(authority)
    claims = await claims_of_a_token(authority)
    await refused(authority, signed_with(key, {"alg": "ES256", "typ": "at+jwt", "kid": key.kid, **extra}, claims))
    own = jose.private_key(KEYS["region-norr"])
    assertion = signed_with(own, {"alg": "ES256", "kid": own.kid, **extra}, authority.claims())
    assert await authority.refused(assertion) == "invalid_client"


@attack("AT-08")
@pytest.mark.parametrize("typ", ["JWT", "dpop+jwt", "id_token+jwt", "client-authentication+jwt", "", None])
async def test_other_tokens_are_no_access_tokens(authority: Server, typ: str | None) -> None:
    assert "at+jwt" in await refused(authority, await forged(authority, typ=typ))
    await refused(authority, authority.assertion())


@attack("AT-08")
async def test_an_access_token_is_no_client_assertion(authority: Server) -> None:
    key = jose.private_key(KEYS["region-norr"])
    assertion = jose.sign(authority.claims(), key, algorithm="ES256", kind="at+jwt")
    assert await authority.refused(assertion) == "invalid_client"


@attack("AT-09", "AT-10")
@pytest.mark.parametrize("audience", ["other", "NDI", ["ndi", "other"], ["other", "ndi"], [], {}, None, ["ndi", "ndi"]])
async def test_another_or_one_more_audience(authority: Server, audience: Any) -> None:
    assert "audience" in await refused(authority, await forged(authority, aud=audience))


@attack("AT-11")
@pytest.mark.parametrize("issuer", ["http://other.test", f"{ISSUER}/", ISSUER.upper(), None, [ISSUER]])
async def test_another_issuer(authority: Server, issuer: Any) -> None:
    assert "issuer" in await refused(authority, await forged(authority, iss=issuer))


@attack("AT-12")
async def test_expired(authority: Server) -> None:
    past = int(time.time()) - access.SKEW_SECONDS - 1
    assert "expired" in await refused(authority, await forged(authority, exp=past))
    token = jose.read(await forged(authority))
    for late, holds in ((0, True), (access.SKEW_SECONDS - 0.1, True), (access.SKEW_SECONDS, False)):
        now = token.claims["exp"] + late
        try:
            access.verified(token.header, token.claims, issuer=ISSUER, audience="ndi", now=now)
        except Unauthenticated:
            assert not holds
        else:
            assert holds


@attack("AT-13", "AT-15")
@pytest.mark.parametrize("value", [None, "9999999999", 1e300, -1, True, [1], {}, 10**4000, "NaN"])
async def test_odd_moments(authority: Server, value: Any) -> None:
    for claim in ("exp", "iat"):
        await refused(authority, await forged(authority, **{claim: value}))
    assertion = authority.assertion(exp=value)
    assert await authority.refused(assertion) == "invalid_client"


@attack("AT-15")
@pytest.mark.parametrize("number", ["1e400", "NaN", "Infinity", "-Infinity", "9" * 5000])
async def test_numbers_that_json_or_python_do_not_know(authority: Server, number: str) -> None:
    key = await signer(authority)
    claims = await claims_of_a_token(authority, exp="EXP")
    raw = json.dumps(claims).replace('"EXP"', number).encode()
    await refused(authority, signed_with(key, {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, raw))


@attack("AT-14")
async def test_not_yet_valid(authority: Server) -> None:
    soon = int(time.time()) + 120
    assert "not yet" in await refused(authority, await forged(authority, nbf=soon))
    assert "not yet" in await refused(authority, await forged(authority, iat=soon))
    assert await authority.refused(authority.assertion(nbf=soon)) == "invalid_client"
    assert await authority.refused(authority.assertion(iat=soon)) == "invalid_client"


@attack("AT-16")
async def test_a_member_twice(authority: Server) -> None:
    key = await signer(authority)
    claims = await claims_of_a_token(authority)
    raw = json.dumps(claims).replace('"aud": "ndi"', '"aud": "other", "aud": "ndi"').encode()
    await refused(authority, signed_with(key, {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, raw))
    own = jose.private_key(KEYS["region-norr"])
    twice = json.dumps(authority.claims()).replace('"sub"', '"iss": "region-norr", "sub"').encode()
    assert await authority.refused(signed_with(own, {"alg": "ES256", "kid": own.kid}, twice)) == "invalid_client"


@attack("AT-17")
async def test_oversized_tokens(authority: Server) -> None:
    started = time.perf_counter()
    answer = await authority.call("x" * 60_000)
    assert answer.status_code in (400, 431)
    nested = compact({"alg": "ES256", "kid": "k"}, b"[" * 5_500)
    await refused(authority, nested)
    deep = compact({"alg": "ES256", "kid": "k"}, b'{"a":' * 70_000)
    assert (await authority.call(deep)).status_code in (400, 431)
    assert await authority.refused(nested) == "invalid_client"
    assert await authority.refused(deep) == "invalid_client"
    assert time.perf_counter() - started < 2


@attack("AT-19")
async def test_a_retired_key_after_its_grace_time(database_url: str, cipher: Cipher) -> None:
    async with serving_authority(database_url, cipher) as authority:
        await register(authority)
        token = (await authority.token()).json()["access_token"]
        kid = str((await signer(authority)).kid)
        await authority.store.retire_signing_key(kid, datetime.now(UTC))
        grace = TokenAuthenticator(database_keys(authority.engine), issuer=ISSUER)
        assert (await grace.authenticate(f"Bearer {token}")).client_id == "region-norr"
        assert (await signer(authority)).kid != kid
        await authority.store.retire_signing_key(kid, datetime.now(UTC) - timedelta(hours=2))
        late = TokenAuthenticator(database_keys(authority.engine), issuer=ISSUER)
        with pytest.raises(Unauthenticated, match="unknown key"):
            await late.authenticate(f"Bearer {token}")


@attack("AT-20")
async def test_replayed_jti(authority: Server) -> None:
    assertion = authority.assertion()
    assert (await authority.token(assertion)).status_code == 200
    assert await authority.refused(assertion) == "invalid_client"
    again = authority.assertion(jti=jose.read(assertion).claims["jti"])
    assert await authority.refused(again) == "invalid_client"


@attack("AT-21")
async def test_replay_to_another_replica(authority: Server) -> None:
    other_app = application(authority.engine, authority.cipher, authority.settings, ListAudit())
    async with running(other_app) as other:
        for _ in range(50):
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": authority.assertion(),
            }
            pair = await asyncio.gather(*(each.post("/oauth2/token", data=form) for each in (authority.http, other)))
            assert sorted(answer.status_code for answer in pair) == [200, 401]


@attack("AT-22")
@pytest.mark.parametrize("ahead", [302, 600, 86_400, 10**12])
async def test_an_assertion_that_lives_too_long(authority: Server, ahead: int) -> None:
    assert await authority.refused(authority.assertion(exp=int(time.time()) + ahead)) == "invalid_client"


@attack("AT-22")
async def test_an_expired_or_old_assertion(authority: Server) -> None:
    now = int(time.time())
    assert await authority.refused(authority.assertion(exp=now - access.SKEW_SECONDS - 1)) == "invalid_client"
    assert await authority.refused(authority.assertion(iat=now - 7200)) == "invalid_client"
    assert await authority.refused(authority.assertion(jti=None)) == "invalid_client"


@attack("AT-23")
@pytest.mark.parametrize(
    "audience",
    ["http://other.test/oauth2/token", f"{ISSUER}/oauth2/authorize", f"{TOKEN_URL}/", "ndi", "", [], None, 5,
     [TOKEN_URL, "http://other.test"], [[TOKEN_URL]], {"aud": TOKEN_URL}],
)  # fmt: skip
async def test_an_assertion_for_another_audience(authority: Server, audience: Any) -> None:
    assert await authority.refused(authority.assertion(aud=audience)) == "invalid_client"


@attack("AT-24")
@pytest.mark.parametrize(
    "changes",
    [{"sub": "ndi-portal"}, {"iss": "ndi-portal"}, {"iss": None}, {"sub": None}, {"iss": 5, "sub": 5},
     {"iss": "a\x00b", "sub": "a\x00b"}, {"iss": "\ud800", "sub": "\ud800"}, {"iss": "ndi-portal", "sub": "ndi-portal"},
     {"iss": "unknown", "sub": "unknown"}, {"iss": ["region-norr"], "sub": ["region-norr"]}],
)  # fmt: skip
async def test_iss_and_sub_must_be_the_client(authority: Server, changes: dict[str, Any]) -> None:
    key = jose.private_key(KEYS["region-norr"])
    claims = authority.claims(**changes)
    assertion = signed_with(key, {"alg": "ES256", "kid": key.kid}, claims)
    assert await authority.refused(assertion) == "invalid_client"


@attack("AT-25")
async def test_a_jku_is_never_followed(authority: Server) -> None:
    key = jose.private_key(KEYS["region-norr"])
    header = {"alg": "ES256", "kid": key.kid, "jku": "https://region-norr.test/jwks"}
    assert await authority.refused(signed_with(key, header, authority.claims())) == "invalid_client"


@attack("AT-41")
async def test_search_scope_is_not_read_scope(authority: Server) -> None:
    token = (await authority.token(scope="system/Organization.s")).json()["access_token"]
    assert (await authority.call(token)).status_code == 403


@attack("AT-42")
async def test_a_purpose_comes_from_the_token_only(authority: Server) -> None:
    token = (await authority.token()).json()["access_token"]
    answer = await authority.http.post(
        "/probe/fhir/$who", headers={"Authorization": f"Bearer {token}", "X-Purpose-Of-Use": "ETREAT", "Purpose": "BTG"}
    )
    assert answer.json()["purpose"] == "HOPERAT"
    answer = await authority.token(purpose="ETREAT", roles="operator", ndi='{"kind":"staff"}')
    assert (await authority.call(answer.json()["access_token"])).json()["purpose"] == "HOPERAT"


@attack("AT-40")
async def test_a_granular_scope_is_not_granted_as_a_wide_one(authority: Server) -> None:
    code = await authority.code("astrid", scope="patient/Consent.rs?category=x patient/AuditEvent.s")
    assert (await authority.redeem(code)).json()["scope"] == "patient/AuditEvent.s"
    wide = await forged(authority, scope="system/Organization.rs?name=x system/Organization.x")
    assert (await authority.call(wide)).status_code == 403


async def test_claims_of_a_wrong_type_are_refused(authority: Server) -> None:
    """Nothing of a token is used as something it is not, even if our own key signed it."""
    wrong: tuple[dict[str, Any], ...] = (
        {"ndi": None}, {"ndi": []}, {"scope": None}, {"scope": ["system/Organization.r"]}, {"client_id": 5},
        {"ndi": {"kind": "god"}}, {"ndi": {"kind": "patient"}}, {"ndi": {"kind": "system", "person": ASTRID.hex()}},
        {"ndi": {"kind": "patient", "person": "zz"}}, {"ndi": {"kind": "system", "roles": "operator"}},
        {"ndi": {"kind": "system", "assurance": "4"}}, {"ndi": {"kind": "system", "unit": 5}},
        {"jti": None}, {"sub": 1},
    )  # fmt: skip
    for changes in wrong:
        await refused(authority, await forged(authority, **changes))


async def test_the_header_is_read_as_bearer_only(authority: Server) -> None:
    token = (await authority.token()).json()["access_token"]
    for header in (
        f"Basic {token}",
        f"DPoP {token}",
        token,
        "Bearer",
        f"Bearer  {token}",
        f"Bearer {token} x",
    ):
        answer = await authority.http.post("/probe/fhir/$who", headers={"Authorization": header})
        assert answer.status_code == 401, header


def test_the_covered_attacks_are_in_the_published_list(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = {each["id"]: each for each in json.loads((shared / "consent" / "attacks.json").read_text())["attacks"]}
    assert set(COVERED) <= set(listed)
    with capsys.disabled():
        print(f"\nattacks covered by tests of security ({len(COVERED)} of {len(listed)}): {' '.join(sorted(COVERED))}")
    client = {name for name, each in listed.items() if each["area"] == "client-authentication"}
    # Not yet: JWKS by address (26), mutual TLS (27, 28).
    assert client - set(COVERED) == {"AT-26", "AT-27", "AT-28"}
    # Not yet: revocation of sessions (18).
    assert {n for n, each in listed.items() if each["area"] == "token"} - set(COVERED) == {"AT-18"}
