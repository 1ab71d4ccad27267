# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What patients and clinicians see and do, in a browser's requests."""

import re

import httpx2
import pytest

from demo.actors import ANEMONEN, NORR
from tests.support.house import HouseUnderTest

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}


async def csrf(browser: httpx2.AsyncClient) -> str:
    return str((await browser.get("/session", headers=JSON)).json()["csrf"])


async def test_the_patient_sees_who_holds_what(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        (row,) = (await browser.get("/patient", headers=JSON)).json()["holders"]
        page = (await browser.get("/patient", headers=HTML)).text
    assert (row["unitName"], row["custodianName"], row["items"]) == (NORR.unit_name, NORR.provider_name, 1)
    assert row["informationTypeName"] == "Uppmärksamhetsinformation"
    assert not row["blocked"]
    assert NORR.unit_name in page
    assert "Astrid Exempel" in page


async def test_another_patient_sees_nothing_of_it(house: HouseUnderTest) -> None:
    async with house.browser("bertil", "patient") as browser:
        assert (await browser.get("/patient", headers=JSON)).json()["holders"] == []


async def test_a_block_is_set_and_lifted(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        form = {"csrf": await csrf(browser), "kind": "outer-block", "hsa_id": NORR.unit}
        done = await browser.post("/patient/consents", data=form, headers=HTML)
        assert (done.status_code, done.headers["location"]) == (303, "/patient")
        (row,) = (await browser.get("/patient", headers=JSON)).json()["holders"]
        assert row["blocked"]
        lifted = await browser.post(
            f"/patient/consents/{row['block']}/withdraw", data={"csrf": form["csrf"]}, headers=JSON
        )
        assert lifted.json()["active"] is False
        (row,) = (await browser.get("/patient", headers=JSON)).json()["holders"]
        assert not row["blocked"]


async def test_what_the_patient_did_stands_in_her_log(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        form = {"csrf": await csrf(browser), "kind": "outer-block", "hsa_id": NORR.unit}
        await browser.post("/patient/consents", data=form)
        rows = (await browser.get("/patient/log", headers=JSON)).json()["rows"]
        page = await browser.get("/patient/log", headers=HTML)
    assert any("Consent" in row["operation"] for row in rows)
    assert page.status_code == 200


async def test_a_form_without_our_token_changes_nothing(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        form = {"csrf": "guessed", "kind": "outer-block", "hsa_id": NORR.unit}
        refused = await browser.post("/patient/consents", data=form, headers=JSON)
        assert refused.status_code == 403
        assert (await browser.get("/patient/consents", headers=JSON)).json()["consents"] == []


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"kind": "inner-block", "hsa_id": NORR.unit}, 400),
        ({"kind": "outer-block", "hsa_id": "not an id"}, 400),
        ({"kind": "outer-block"}, 400),
    ],
)
async def test_bad_input_is_told_in_plain_words(house: HouseUnderTest, form: dict[str, str], status: int) -> None:
    async with house.browser("astrid", "patient") as browser:
        answer = await browser.post("/patient/consents", data={**form, "csrf": await csrf(browser)}, headers=HTML)
    assert answer.status_code == status
    assert "Något i formuläret är fel" in answer.text
    assert "Traceback" not in answer.text


async def test_pages_need_a_login_of_the_right_kind(house: HouseUnderTest) -> None:
    asked = await house.http.get("/patient", headers=HTML)
    assert (asked.status_code, asked.headers["location"]) == (303, "/?over=1")
    assert (await house.http.get("/patient", headers=JSON)).status_code == 401
    async with house.browser("disa", "staff") as browser:
        assert (await browser.get("/patient", headers=JSON)).status_code == 403
    async with house.browser("astrid", "patient") as browser:
        assert (await browser.get("/clinician", headers=JSON)).status_code == 403


async def test_a_callback_that_is_not_this_browsers_opens_no_session(house: HouseUnderTest) -> None:
    start = await house.http.get("/login")
    state = re.search(r"state=([^&]+)", start.headers["location"])
    assert state is not None
    async with httpx2.AsyncClient(base_url=house.base, trust_env=False) as stranger:
        back = await stranger.get("/callback", params={"state": state[1], "code": "x"})
    assert back.headers["location"] == "/?over=1"
    assert "ndi_session" not in back.headers.get("set-cookie", "")


async def test_logout_ends_the_session(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        await browser.post("/logout", data={"csrf": await csrf(browser)})
        assert (await browser.get("/patient", headers=JSON)).status_code == 401


async def test_both_languages(house: HouseUnderTest) -> None:
    swedish = await house.http.get("/", headers={"Accept-Language": "sv-SE,sv"})
    english = await house.http.get("/", headers={"Accept-Language": "en-GB"})
    assert '<html lang="sv">' in swedish.text
    assert "Logga in som patient" in swedish.text
    assert "Log in as a patient" in english.text
    chosen = await house.http.get("/?lang=en")
    assert "ndi_language=en" in chosen.headers["set-cookie"]


async def test_an_unknown_page(house: HouseUnderTest) -> None:
    answer = await house.http.get("/nowhere", headers=HTML)
    assert answer.status_code == 404
    assert "Sidan finns inte" in answer.text


async def test_pages_load_nothing_from_elsewhere_and_are_not_framed(house: HouseUnderTest) -> None:
    answer = await house.http.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert (await house.http.get("/static/ndi.css")).headers["content-type"].startswith("text/css")


async def test_without_consent_the_clinician_learns_yes_or_no(house: HouseUnderTest) -> None:
    async with house.browser("disa", "staff") as browser:
        form = {"csrf": await csrf(browser), "number": house.astrid.value, "reason": "Bedövning"}
        found = (await browser.post("/clinician/locate", data=form, headers=JSON)).json()["located"]
        page = await browser.post("/clinician/locate", data=form, headers=HTML)
    assert (found["unblockedExist"], found["entries"], found["reason"]) == (True, [], "NO_CONSENT")
    assert NORR.unit not in str(found)
    assert "Det finns ospärrade uppgifter" in page.text
    assert NORR.unit_name not in page.text


async def test_with_consent_the_clinician_sees_the_holders(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        form = {"csrf": await csrf(browser), "kind": "shared-record", "hsa_id": ANEMONEN.provider}
        assert (await browser.post("/patient/consents", data=form, headers=JSON)).status_code == 201
    async with house.browser("disa", "staff") as browser:
        form = {"csrf": await csrf(browser), "number": house.astrid.value, "reason": "Bedövning"}
        found = (await browser.post("/clinician/locate", data=form, headers=JSON)).json()["located"]
    assert [row["unitName"] for row in found["entries"]] == [NORR.unit_name]
    assert found["coverage"]["notConnectedNames"]


async def test_a_wrong_number_is_told_without_repeating_it(house: HouseUnderTest) -> None:
    async with house.browser("disa", "staff") as browser:
        form = {"csrf": await csrf(browser), "number": "195701032864", "reason": "x"}
        answer = await browser.post("/clinician/locate", data=form, headers=HTML)
    assert answer.status_code == 400
    assert "195701032864" not in answer.text


async def test_the_registers_page(house: HouseUnderTest) -> None:
    async with house.browser("astrid", "patient") as browser:
        answer = await browser.get("/patient/registers", headers=JSON)
    assert answer.status_code == 200, answer.text
