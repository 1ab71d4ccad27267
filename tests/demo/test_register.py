# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The register of the demo over HTTP on a real database: it must be right, or it proves nothing about us."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
import json
from pathlib import Path
import socket
import sys
import time
from typing import Any
import uuid

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.register.app import Settings, create_app
from tests.support.running import serving

ISSUER = "https://ndi.example"
KEY = ECKey.generate_key("P-256", parameters={"kid": "k1", "alg": "ES256"})
OTHER_KEY = ECKey.generate_key("P-256", parameters={"kid": "k1", "alg": "ES256"})


def token(key: ECKey = KEY, kind: str = "at+jwt", roles: tuple[str, ...] = ("transfer",), **claims: Any) -> str:
    body = {"iss": ISSUER, "aud": "ndi", "exp": int(time.time()) + 600, "ndi": {"roles": list(roles)}, **claims}
    return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": kind}, body, key)


def message(
    key: str = "r1", version: int = 1, event: str = "upsert", *, text: str = "jordnöt", **changes: Any
) -> dict[str, Any]:
    """A message; `changes` replace elements of the record, None takes them away."""
    record = {
        "resourceType": "AllergyIntolerance",
        "meta": {"versionId": str(version)},
        "identifier": [{"system": "https://ndi.example/fhir/NamingSystem/register-record", "value": key}],
        "patient": {
            "identifier": {"system": "https://ndi.example/fhir/NamingSystem/register-pseudonym", "value": "PSEUDONYM"}
        },
        "code": {"text": text},
        "recordedDate": "2025-12-03",
        "recorder": {"identifier": {"system": "urn:oid:1.2.752.29.4.19", "value": "SE0000000011-VE1"}},
        **changes,
    }
    record = {name: value for name, value in record.items() if value is not None}
    header = {
        "resourceType": "MessageHeader",
        "id": str(uuid.uuid4()),
        "eventCoding": {"system": "https://ndi.example/fhir/CodeSystem/register-event", "code": event},
        "source": {"endpoint": "https://ndi.example"},
        "focus": [{"reference": "urn:uuid:x"}],
    }
    entries = [{"fullUrl": "urn:uuid:h", "resource": header}, {"fullUrl": "urn:uuid:x", "resource": record}]
    return {"resourceType": "Bundle", "type": "message", "entry": entries}


@dataclass
class Running:
    """The register and how to reach it."""

    http: httpx2.AsyncClient
    jwks: str

    async def send(self, body: Any, key: str | None = None, **headers: str) -> httpx2.Response:
        given = {"Authorization": f"Bearer {token()}", "Idempotency-Key": key or str(uuid.uuid4()), **headers}
        return await self.http.post("/$process-message", content=json.dumps(body), headers=given)

    async def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.post("/test/records")).json()
        return found


@pytest.fixture
async def jwks() -> AsyncIterator[str]:
    async def keys(request: Request) -> JSONResponse:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async with serving(Starlette(routes=[Route("/jwks", keys)])) as base:
        yield f"{base}/jwks"


@pytest.fixture
async def register(database_url: str, jwks: str) -> AsyncIterator[Running]:
    async with (
        serving(create_app(Settings(database_url, ISSUER, jwks))) as base,
        httpx2.AsyncClient(base_url=base, trust_env=False, timeout=10) as http,
    ):
        yield Running(http, jwks)


async def test_a_message_is_kept_and_acknowledged(register: Running) -> None:
    sent = message()
    answer = await register.send(sent)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json")
    header = answer.json()["entry"][0]["resource"]
    assert header["response"]["identifier"] == sent["entry"][0]["resource"]["id"]
    assert header["response"]["code"] == "ok"
    [row] = await register.records()
    assert (row["record_key"], row["version"], row["deliveries_stored"], row["attempts"], row["erased"]) == (
        "r1", 1, 1, 1, False,
    )  # fmt: skip


async def test_a_repeated_key_gives_the_stored_answer_again(register: Running) -> None:
    sent = message()
    first = await register.send(sent, "key-1")
    again = await register.send(sent, "key-1")
    assert again.content == first.content
    assert (first.headers["x-replayed"], again.headers["x-replayed"]) == ("false", "true")
    other = await register.send(message(text="annat"), "key-1")
    assert (other.status_code, "another message" in other.text) == (422, True)
    [row] = await register.records()
    assert (row["deliveries_stored"], row["attempts"], row["content"]["code"]["text"]) == (1, 3, "jordnöt")


async def test_a_key_sent_many_times_at_once_is_stored_once(register: Running) -> None:
    sent = message()
    answers = await asyncio.gather(*(register.send(sent, "key-1") for _ in range(20)))
    assert len({each.content for each in answers}) == 1
    assert sorted(each.headers["x-replayed"] for each in answers) == ["false"] + ["true"] * 19
    [row] = await register.records()
    assert (row["deliveries_stored"], row["attempts"]) == (1, 20)


async def test_the_newest_version_counts_whatever_comes_last(register: Running) -> None:
    await register.send(message(version=2, text="ny"))
    await register.send(message(version=1, text="gammal"))
    [row] = await register.records()
    assert (row["version"], row["content"]["code"]["text"], row["deliveries_stored"]) == (2, "ny", 2)


async def test_a_retraction_leaves_a_hash_and_nothing_else(register: Running, engine: Any) -> None:
    await register.send(message())
    assert (await register.send(message(version=2, event="retract", code=None))).status_code == 200
    assert (await register.send(message(version=1, text="för sent"))).status_code == 200
    [row] = await register.records()
    assert row["record_key"].startswith("sha256:")
    assert (row["erased"], row["content"], row["pseudonym"], row["deliveries_stored"]) == (True, None, None, 3)
    async with engine.connect() as connection:
        tables = [
            await connection.exec_driver_sql(f"SELECT t::text FROM allergy_register.{name} t")
            for name in ("inbox", "record", "attempt")
        ]
        dump = [str(row[0]) for rows in tables for row in rows]
    assert not any("PSEUDONYM" in each or "jordnöt" in each for each in dump)


async def test_a_retraction_of_something_unknown_holds_against_what_comes_late(register: Running) -> None:
    assert (await register.send(message(version=2, event="retract"))).status_code == 200
    await register.send(message(version=1))
    [row] = await register.records()
    assert (row["erased"], row["version"]) == (True, 2)


async def test_a_message_that_is_none_is_refused_and_nothing_is_stored(register: Running) -> None:
    number = {"system": "http://electronichealth.se/identifier/personnummer", "value": "1"}
    named = {**message()["entry"][1]["resource"]["patient"], "display": "Astrid"}
    bodies: list[Any] = [
        [], {}, {"resourceType": "Bundle", "type": "batch"}, {"resourceType": "Bundle", "type": "message", "entry": []},
        message(code=None), message(code={}), message(recordedDate=None), message(recorder=None),
        message(identifier=[]), message(event="delete"), message(meta={}), message(meta={"versionId": "x"}),
        message(text="se 19570103-2863"), message(text="195701032863"), message(code={"text": 5}, recorder="x"),
        message(patient={"identifier": number}), message(patient=named),
    ]  # fmt: skip
    for body in bodies:
        answer = await register.send(body)
        assert answer.status_code in (400, 422), body
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert "195701032863" not in answer.text
    assert await register.records() == []


async def test_only_the_transfer_service_may_submit(register: Running) -> None:
    for credentials, status in [
        ("Basic x", 401), ("Bearer", 401), ("Bearer x.y.z", 401), (f"Bearer {token(OTHER_KEY)}", 401),
        (f"Bearer {token(kind='JWT')}", 401), (f"Bearer {token(exp=1)}", 401), (f"Bearer {token(exp=None)}", 401),
        (f"Bearer {token(aud='other')}", 401), (f"Bearer {token(iss='https://other.example')}", 401),
        (f"Bearer {token(roles=('source',))}", 403), (f"Bearer {token(ndi='x')}", 403),
    ]:  # fmt: skip
        answer = await register.send(message(), Authorization=credentials)
        assert answer.status_code == status, (credentials, answer.text)
    assert await register.records() == []


async def test_a_message_without_a_usable_key_is_refused(register: Running) -> None:
    for key in ("", "x" * 501):
        assert (await register.send(message(), **{"Idempotency-Key": key})).status_code == 400


async def test_a_message_too_large_is_refused(register: Running) -> None:
    assert (await register.send(message(text="x" * 1_100_000))).status_code == 413


async def test_faults(register: Running) -> None:
    async def plan(**fault: Any) -> int:
        return (await register.http.post("/test/fault", json=fault)).status_code

    assert [await plan(kind="x"), await plan(kind="reject", count=0), await plan(kind="reject", count="1")] == [400] * 3
    assert await plan(kind="unavailable", count=1, retry_after=7) == 204
    answer = await register.send(message())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert await plan(kind="reject") == 204
    assert (await register.send(message())).status_code == 422
    assert await register.records() == []
    assert await plan(kind="lost-answer") == 204
    sent = message()
    with pytest.raises(httpx2.RemoteProtocolError):
        await register.send(sent, "key-1")
    assert (await register.send(sent, "key-1")).headers["x-replayed"] == "true"
    assert await plan(kind="unavailable", count=5) == 204
    assert await plan(kind="none") == 204
    assert (await register.send(message())).status_code == 200


async def test_the_process_starts_and_takes_messages(database_url: str, jwks: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "demo.register", "--port", str(port), "--database-url", database_url,
        "--issuer", ISSUER, "--jwks-url", jwks, "--delay-ms", "30",
    )  # fmt: skip
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            for _ in range(200):
                try:
                    if (await http.get("/health")).status_code == 200:
                        break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.1)
            begun = time.monotonic()
            assert (await Running(http, jwks).send(message())).status_code == 200
            assert time.monotonic() - begun >= 0.03
    finally:
        process.terminate()
        await process.wait()
