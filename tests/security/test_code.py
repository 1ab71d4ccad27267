# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Logging in: authorization request, test identity provider, code, PKCE; and the attacks on them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from security.authorize import LoginRequest, seal
from security.errors import description
from security.model import pkce
from security.settings import SecuritySettings
from tests.security.conftest import ASTRID, ISSUER, PORTAL, REDIRECT, Server, application, new_client
from tests.support.callers import ListAudit
from tests.support.running import running


def back(answer: httpx2.Response) -> httpx2.QueryParams:
    """What the client is told at its redirect URI."""
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith("http://127.0.0.1:9999/back?app=1&")
    return httpx2.URL(answer.headers["location"]).params


async def test_a_patient_logs_in(authority: Server) -> None:
    sent = await authority.authorize()
    location = httpx2.URL(sent.headers["location"])
    assert str(location).startswith(f"{ISSUER}/idp/login?request=")
    page = await authority.http.get("/idp/login", params={"request": location.params["request"]})
    assert page.status_code == 200
    assert "Astrid Exempel" in page.text
    assert "Disa Dentström" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    form = {"request": location.params["request"], "person": "astrid"}
    told = back(await authority.http.post("/idp/login", data=form))
    assert told["state"] == "a state & more"
    assert told["iss"] == ISSUER
    answer = await authority.redeem(told["code"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "patient/AuditEvent.s patient/Consent.cruds"
    who = (await authority.call(answer.json()["access_token"], "/probe/fhir/$log")).json()
    assert who["kind"] == "patient"
    assert who["person"] == ASTRID.hex()
    assert who["roles"] == ["patient"]
    assert who["purpose"] == "PATRQT"
    assert who["assurance"] == 3
    assert who["organisation"] is None


async def test_staff_log_in_with_their_own_assignment(authority: Server) -> None:
    answer = await authority.redeem(await authority.code("disa", scope="user/*.rs"))
    who = (await authority.call(answer.json()["access_token"])).json()
    assert (who["kind"], who["user"], who["name"]) == ("staff", "SE0000000044-D1", "Disa Dentström")
    assert (who["organisation"], who["unit"], who["profession"]) == ("SE0000000044-VG", "SE0000000044-VE1", "dentist")
    assert (who["purpose"], who["roles"], who["person"]) == ("TREAT", ["clinician"], None)


async def test_a_code_is_good_once(authority: Server) -> None:
    code = await authority.code()
    assert (await authority.redeem(code)).status_code == 200
    again = await authority.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_of_many_at_once_one_gets_the_token(authority: Server) -> None:
    code = await authority.code()
    answers = await asyncio.gather(*(authority.redeem(code) for _ in range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "v" * 42},
        {"code_verifier": "v" * 129},
        {"code_verifier": pkce.challenge_of("v" * 43)},
        {"redirect_uri": "https://portal.example/back"},
        {"redirect_uri": REDIRECT + "/"},
        {"code": "unknown"},
        {"code": "\x00'; --"},
    ],
)
async def test_a_code_is_bound_to_its_verifier_and_address(authority: Server, changes: dict[str, str]) -> None:
    answer = await authority.redeem(**{"code": await authority.code(), **changes})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("left_out", ["code", "code_verifier", "redirect_uri"])
async def test_nothing_may_be_left_out(authority: Server, left_out: str) -> None:
    answer = await authority.redeem(**{"code": await authority.code(), left_out: ""})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_code_is_bound_to_its_client(authority: Server) -> None:
    thief = new_client(
        "region-norr", grants=("authorization_code",), redirect_uris=(REDIRECT,), scopes=("patient/*.cruds",)
    )
    await authority.store.put_client(thief, datetime.now(UTC))
    code = await authority.code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": "v" * 43}
    assert await authority.refused(authority.assertion("region-norr"), **form) == "invalid_grant"


async def test_a_code_is_soon_too_old(authority: Server) -> None:
    code = await authority.code()
    assert await authority.store.use_code(code, datetime.now(UTC) + timedelta(seconds=61)) is None


async def test_a_code_alone_is_worth_nothing(authority: Server) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": await authority.code(),
        "redirect_uri": REDIRECT,
        "code_verifier": "v" * 43,
        "client_id": "ndi-portal",
    }
    answer = await authority.http.post("/oauth2/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"scope": "system/*.cruds"}, "invalid_scope"),
        ({"scope": "nothing"}, "invalid_scope"),
        ({"state": "x" * 2000}, "invalid_request"),
    ],
)
async def test_the_client_is_told_what_is_wrong(authority: Server, changes: dict[str, str], error: str) -> None:
    told = back(await authority.authorize(**changes))
    assert told["error"] == error
    assert told["state"] == changes.get("state", "a state & more")
    assert told["iss"] == ISSUER
    assert "code" not in told


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://attacker.example/"},
        {"redirect_uri": REDIRECT + "&x=1"},
        {"redirect_uri": REDIRECT.replace("127.0.0.1", "127.0.0.1.attacker.example")},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
        {"client_id": "unknown"},
        {"client_id": "a\x00b"},
        {"client_id": ""},
        {"client_id": "region-norr"},
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(authority: Server, changes: dict[str, str]) -> None:
    answer = await authority.authorize(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert answer.json()["error"] == "invalid_request"


async def test_a_login_cannot_be_made_up(authority: Server) -> None:
    login = LoginRequest("ndi-portal", REDIRECT, "c" * 43, None, None)
    now = datetime.now(UTC)
    late = seal(authority.cipher, login, now - timedelta(seconds=1))
    for request in ("", "x", "é", "A" * 200, late, seal(authority.cipher, login, now + timedelta(minutes=1))[:-4]):
        for answer in (
            await authority.http.get("/idp/login", params={"request": request}),
            await authority.http.post("/idp/login", data={"request": request, "person": "astrid"}),
        ):
            assert answer.status_code == 400, request
            assert answer.headers["content-type"].startswith("text/html")
    moved = LoginRequest("ndi-portal", "https://attacker.example/", "c" * 43, None, None)
    sealed = seal(authority.cipher, moved, now + timedelta(minutes=1))
    assert (await authority.http.post("/idp/login", data={"request": sealed, "person": "astrid"})).status_code == 400


@pytest.mark.parametrize("person", ["nobody", "", "\x00", "a b", "x" * 500])
async def test_an_unknown_person_is_refused(authority: Server, person: str) -> None:
    sent = await authority.authorize()
    request = httpx2.URL(sent.headers["location"]).params["request"]
    answer = await authority.http.post("/idp/login", data={"request": request, "person": person})
    assert answer.status_code == 400


async def test_a_person_gets_nothing_at_another_level(authority: Server) -> None:
    code = await authority.code("disa", scope="patient/*.cruds")
    answer = await authority.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_scopes_that_were_taken_away_meanwhile_are_not_granted(authority: Server) -> None:
    from dataclasses import replace

    code = await authority.code()
    await authority.store.put_client(replace(PORTAL, scopes=("patient/AuditEvent.s",)), datetime.now(UTC))
    assert (await authority.redeem(code)).json()["scope"] == "patient/AuditEvent.s"


async def test_a_login_is_logged_with_its_person(authority: Server) -> None:
    await authority.redeem(await authority.code())
    told = [(caller.user_name, entry.operation, entry.person) for caller, entry in authority.audit.entries]
    assert told == [("Astrid Exempel", "login", ASTRID), (None, "token", None)]


async def test_without_the_setting_there_is_no_login(authority: Server) -> None:
    off = application(authority.engine, authority.cipher, SecuritySettings(ISSUER), ListAudit())
    async with running(off) as http:
        query: dict[str, Any] = {
            "response_type": "code", "client_id": "ndi-portal", "redirect_uri": REDIRECT, "scope": "patient/*.rs",
            "code_challenge": "c" * 43, "code_challenge_method": "S256",
        }  # fmt: skip
        assert back(await http.get("/oauth2/authorize", params=query))["error"] == "access_denied"
        assert (await http.get("/idp/login")).status_code == 404
        assert (await http.post("/idp/login", data={"person": "astrid"})).status_code == 404


async def test_names_are_shown_as_text(authority: Server) -> None:
    from dataclasses import replace

    await authority.store.put_client(replace(PORTAL, name="<script>alert(1)</script>"), datetime.now(UTC))
    sent = await authority.authorize()
    page = await authority.http.get("/idp/login", params=httpx2.URL(sent.headers["location"]).params)
    assert "<script>" not in page.text


def test_descriptions_have_the_characters_of_the_specification() -> None:
    assert description('a "b" \\ é\r\n') == "a 'b' ' '''"


def test_pkce_as_in_appendix_b_of_rfc_7636() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert pkce.challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert pkce.matches(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
