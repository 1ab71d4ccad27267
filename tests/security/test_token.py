# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tokens by client assertion: what is granted, to whom, and that a token opens what it should."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey, OKPKey, RSAKey
import pytest

from security import jose
from tests.security.conftest import ISSUER, KEYS, Server, new_client


async def test_a_client_gets_a_token_and_is_who_it_was_registered_as(authority: Server) -> None:
    answer = await authority.token()
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 600
    assert body["scope"] == "system/DocumentReference.cu system/Organization.rs"
    assert "no-store" in answer.headers["cache-control"]
    who = (await authority.call(body["access_token"])).json()
    assert who["client"] == "region-norr"
    assert who["kind"] == "system"
    assert who["organisation"] == "SE0000000011-VG"
    assert who["roles"] == ["source"]
    assert who["purpose"] == "HOPERAT"
    assert who["person"] is None


async def test_the_token_is_as_rfc_9068_has_it(authority: Server) -> None:
    token = jose.read((await authority.token()).json()["access_token"])
    assert token.header["typ"] == "at+jwt"
    assert token.header["alg"] == "ES256"
    now = time.time()
    assert token.claims["iss"] == ISSUER
    assert token.claims["aud"] == "ndi"
    assert token.claims["exp"] - token.claims["iat"] == 600
    assert now - 5 <= token.claims["iat"] <= now
    assert token.claims["sub"] == token.claims["client_id"] == "region-norr"
    assert len(token.claims["jti"]) >= 16
    assert token.claims["ndi"] == {
        "kind": "system",
        "roles": ["source"],
        "organisation": "SE0000000011-VG",
        "organisation_name": "Region Norr",
        "purpose": "HOPERAT",
        "assurance": 0,
    }


async def test_no_token_no_answer(authority: Server) -> None:
    answer = await authority.http.post("/probe/fhir/$who")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "missing-token"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/DocumentReference.cruds", "system/DocumentReference.cu"),
        ("system/*.rs", "system/Organization.rs"),
        ("system/Organization.read openid launch fhirUser", "system/Organization.rs"),
        ("system/DocumentReference.c  system/Organization.s", "system/DocumentReference.c system/Organization.s"),
        ("patient/*.rs system/Organization.r user/*.cruds", "system/Organization.r"),
    ],
)
async def test_what_is_asked_and_registered_is_granted(authority: Server, asked: str, granted: str) -> None:
    answer = await authority.token(scope=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == granted


@pytest.mark.parametrize(
    "asked",
    ["system/Consent.rs", "patient/*.cruds", "user/Organization.rs", "nonsense", "system/Organization.sr",
     "system/Organization.rs?name=x", "system/DocumentReference.d", "system/Organization.", '"', "å"],
)  # fmt: skip
async def test_nothing_else_is_granted(authority: Server, asked: str) -> None:
    assert await authority.refused(scope=asked) == "invalid_scope"


async def test_a_scope_that_was_not_granted_opens_nothing(authority: Server) -> None:
    token = (await authority.token(scope="system/DocumentReference.cu")).json()["access_token"]
    answer = await authority.call(token)
    assert answer.status_code == 403
    assert "Organization.r" in answer.json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "unauthorized_client"),
        ({"client_assertion_type": "urn:other"}, "invalid_client"),
        ({"client_assertion": "no token"}, "invalid_client"),
        ({"client_assertion": ""}, "invalid_request"),
        ({"client_assertion": "é.é.é"}, "invalid_client"),
        ({"client_id": "region-syd"}, "invalid_client"),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(authority: Server, form: dict[str, str], error: str) -> None:
    assert await authority.refused(**form) == error


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type", "application/x-www-form-urlencoded"),
        (b"\xff=\xfe", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(99)), "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b'{"grant_type":"client_credentials"}', "application/json"),
        (b"<xml/>", "text/xml"),
    ],
)
async def test_a_malformed_request_is_an_invalid_request(authority: Server, body: bytes, media: str) -> None:
    answer = await authority.http.post("/oauth2/token", content=body, headers={"Content-Type": media})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_a_large_request_is_refused_in_the_same_form(authority: Server) -> None:
    answer = await authority.http.post(
        "/oauth2/token", content=b"a=" + b"b" * 2_000_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_request"


async def test_a_client_secret_is_no_authentication(authority: Server) -> None:
    answer = await authority.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=("region-norr", "secret")
    )
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


async def test_the_other_method_is_refused(authority: Server) -> None:
    assert (await authority.http.get("/oauth2/token")).status_code == 405


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_from": datetime.now(UTC) + timedelta(hours=1)},
        {"valid_to": datetime.now(UTC) - timedelta(hours=1)},
        {"revoked": datetime.now(UTC)},
    ],
    ids=["not yet", "no longer", "revoked"],
)
async def test_a_client_outside_its_period_gets_nothing(authority: Server, changes: dict[str, Any]) -> None:
    await authority.store.put_client(new_client("region-norr", **changes), datetime.now(UTC))
    assert await authority.refused() == "invalid_client"


async def test_a_key_that_was_replaced_no_longer_holds(authority: Server) -> None:
    new = jose.new_key()
    public = jose.public_jwk(new)
    changed = new_client("region-norr", keys={public["kid"]: public})
    await authority.store.put_client(changed, datetime.now(UTC))
    assert await authority.refused() == "invalid_client"
    assert (await authority.token(authority.assertion(key=new))).status_code == 200


@pytest.mark.parametrize(
    ("make", "algorithms"),
    [
        (lambda: RSAKey.generate_key(2048), ("RS256", "RS384")),
        (lambda: ECKey.generate_key("P-384"), ("ES384",)),
        (lambda: ECKey.generate_key("P-256"), ("ES256",)),
        (lambda: OKPKey.generate_key("Ed25519"), ("Ed25519", "EdDSA")),
    ],
    ids=["RSA", "P-384", "P-256", "Ed25519"],
)
async def test_every_listed_algorithm_is_taken(authority: Server, make: Any, algorithms: tuple[str, ...]) -> None:
    made = make()
    private = {**made.as_dict(private=True), "kid": "its key"}
    public = jose.public_jwk(private)
    await authority.store.put_client(new_client("region-norr", keys={"its key": public}), datetime.now(UTC))
    for algorithm in algorithms:
        signed = sign_as(authority.claims(), jose.private_key(private), algorithm)
        assert (await authority.token(signed)).status_code == 200, algorithm


def sign_as(claims: dict[str, Any], key: Any, algorithm: str) -> str:
    """Signs by an algorithm under its name; the old name of Ed25519 is only a name."""
    if algorithm != "EdDSA":
        return jose.sign(claims, key, algorithm=algorithm, kind="JWT")
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"alg": "EdDSA", "kid": key.kid}, claims)
    ]
    signature = key.raw_value.sign(b".".join(parts))
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_the_issuer_is_a_good_audience_too(authority: Server) -> None:
    for audience in (ISSUER, f"{ISSUER}/", [f"{ISSUER}/oauth2/token"]):
        assert (await authority.token(authority.assertion(aud=audience))).status_code == 200


async def test_sixty_four_at_once_with_one_jti_make_one_token(authority: Server) -> None:
    assertion = authority.assertion(jti="the same")
    answers = await asyncio.gather(*(authority.token(assertion) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 63
    assert {answer.json()["error"] for answer in answers if answer.status_code == 401} == {"invalid_client"}


async def test_a_refused_assertion_does_not_use_up_the_jti_of_another(authority: Server) -> None:
    forged = authority.assertion(key=KEYS["region-syd"] | {"kid": KEYS["region-norr"]["kid"]}, jti="mine")
    assert await authority.refused(forged) == "invalid_client"
    assert (await authority.token(authority.assertion(jti="mine"))).status_code == 200


async def test_grants_and_refusals_are_logged(authority: Server) -> None:
    await authority.token()
    await authority.refused(scope="system/Consent.rs")
    await authority.refused(authority.assertion(aud="http://elsewhere"))
    told = [(entry.operation, entry.outcome, entry.reason) for _, entry in authority.audit.entries]
    assert told == [
        ("token", "success", None),
        ("token", "denied", "invalid_scope"),
        ("token", "denied", "invalid_client"),
    ]


async def test_used_ids_are_forgotten_when_they_cannot_come_back(authority: Server) -> None:
    now = datetime.now(UTC)
    assert await authority.store.use_jti("region-norr", "old", now, now)
    later = now + timedelta(hours=1)
    assert await authority.store.use_jti("region-norr", "new", later, later)
    assert await authority.store.use_jti("region-norr", "old", later, later)
    assert not await authority.store.use_jti("region-norr", "new", later, later)


def test_weak_and_strange_keys_are_not_registered() -> None:
    for weak in (
        {"kty": "RSA", "n": base64.urlsafe_b64encode(b"\x81" * 128).decode(), "e": "AQAB"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        ECKey.generate_key("P-521").as_dict(private=False),
        OKPKey.generate_key("X25519").as_dict(private=False),
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {},
    ):
        with pytest.raises(jose.BadKey):
            jose.public_jwk(weak)
    public = jose.public_jwk(jose.new_key())
    assert "d" not in public
    assert isinstance(jose.public_key(public).raw_value, ec.EllipticCurvePublicKey)
