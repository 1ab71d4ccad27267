# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi demo --once`: every step holds, again and again, and whatever is killed on the way."""

from collections.abc import AsyncIterator, Iterator
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import httpx2
from lxml import etree
import pytest

from demo import privacy
from demo.actors import OPERATOR_HSA
from demo.people import ASTRID, PEOPLE
from demo.regions import soap
from demo.regions.engagement import ACTION, PATH, UPDATE
from demo.scenario.portal_api import Portal
from demo.tokens import SystemLogin
from tests.demo.play import Play, free_base_port, lines

# Alone: its steps have deadlines, and it starts ten processes.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

ALL = ("play", "ndi", "postgres", "transfer", "register", "ehds", "norr", "mitt", "syd", "anemonen")
VICTIMS = ALL if os.environ.get("NDI_SOAK") else ("play", "ndi", "postgres", "transfer")
"""Each kill costs two runs of the demo; `make soak` kills every process."""


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    """A demo that was played once and is up.

    Not below pytest's own temporary folder: every pytest that starts on the machine closes that to other users, and
    PostgreSQL runs as one.
    """
    folder = Path(tempfile.mkdtemp(prefix="ndi-demo-"))
    play = Play(folder / "data", free_base_port())
    try:
        code, played, errors = play.run("--once", "--keep")
        assert (code, played["ok"]) == (0, True), errors
        assert [step["step"] for step in played["steps"]] == list(range(11))
        assert all(step["status"] == "ok" and step["exchanges"] for step in played["steps"])
        assert all(isinstance(each["ms"], int) for each in lines(played))
        yield play
    finally:
        play.stop()
        shutil.rmtree(folder)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        yield client


async def holders(play: Play) -> list[str]:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as browser:
        portal = Portal(browser, play.url(), ASTRID.login)
        await portal.login()
        return sorted(f"{each['unit']} {each['mostRecent']} {each['items']}" for each in await portal.holders())


async def source(play: Play, http: httpx2.AsyncClient) -> dict[str, str]:
    login = SystemLogin(http, play.url(), "region-norr", play.data / "keys" / "region-norr.json",
                        "system/DocumentReference.cu")  # fmt: skip
    return await login.headers()


async def test_bad_input_is_told_in_the_protocols_own_form_and_not_stored(play: Play, http: httpx2.AsyncClient) -> None:
    before = await holders(play)
    token = await source(play, http)
    entry, entries = f"{play.url()}/patient-index/fhir/DocumentReference", {"identifier": "urn:x|1"}
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"resourceType":"Patient"}', 400),
                         (b'{"resourceType":"DocumentReference","status":"current"}', 422)):  # fmt: skip
        headers = {**token, "Content-Type": "application/fhir+json"}
        answer = await http.put(entry, params=entries, content=body, headers=headers)
        assert answer.status_code in (status, 400, 422), answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"
    expired = {"Authorization": f"{token['Authorization'][:-6]}AAAAAA"}
    answer = await http.put(entry, params=entries, json={}, headers=expired)
    assert (answer.status_code, answer.json()["resourceType"]) == (401, "OperationOutcome")
    assert answer.headers["www-authenticate"].startswith("Bearer")

    update = etree.fromstring(f'<u:Update xmlns:u="{UPDATE}"><u:engagementTransaction/></u:Update>')
    for body in (b"not xml", soap.envelope(update, OPERATOR_HSA)):
        headers = {**token, "Content-Type": "text/xml", "SOAPAction": ACTION}
        answer = await http.post(play.url() + PATH, content=body, headers=headers)
        _, fault = soap.payload(answer.content)
        assert (fault.findtext("faultstring") or "").startswith("EI"), answer.text

    for form in ({"grant_type": "client_credentials"}, {"grant_type": "password"}, {}):
        answer = await http.post(f"{play.url()}/oauth2/token", data=form)
        assert answer.status_code in (400, 401)
        assert answer.json()["error"]

    answer = await http.post(f"{play.url()}/patient/consents", json={"kind": "shared-record"},
                             headers={"Accept": "application/json"})  # fmt: skip
    assert answer.status_code == 401
    assert answer.json()["error"]
    assert await holders(play) == before


async def test_a_person_nobody_knows_is_a_clear_error(play: Play, http: httpx2.AsyncClient) -> None:
    login = SystemLogin(http, play.url(), "operator", play.data / "keys" / "operator.json", "system/*.cruds")
    headers = {**await login.headers(), "Content-Type": "application/fhir+json"}
    for value in ("195701032864", "19570103286", "x"):
        identifier = {"system": "http://electronichealth.se/identifier/personnummer", "value": value}
        body = {"resourceType": "Parameters", "parameter": [{"name": "identifier", "valueIdentifier": identifier}]}
        answer = await http.post(f"{play.url()}/patient-index/fhir/Patient/$locate", json=body, headers=headers)
        assert answer.status_code == 400, answer.text
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert value == "x" or value not in answer.text


def test_the_search_for_numbers_finds_them_in_every_form(tmp_path: Path) -> None:
    for person in PEOPLE:
        for form in person.written_forms():
            (tmp_path / "log").write_text(f"first line\nGET /Patient?identifier={form}&x=1\n")
            assert list(privacy.in_files([tmp_path / "log"])) == ["log:2"], form
    (tmp_path / "log").write_text(f"a longer number {ASTRID.number}7 is another\n")
    assert list(privacy.in_files([tmp_path / "log"])) == []


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        play = Play(tmp_path / "data", listener.getsockname()[1] - 22)
        done = subprocess.run(play.command("--once"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"port {play.base_port + 22}" in done.stderr


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_in_the_middle_it_plays_again_and_nothing_is_doubled(play: Play, victim: str) -> None:
    running = play.begin("--once", "--json")
    requests = play.data / "logs" / "play-requests.log"
    began = time.time()
    try:
        while not _reads(requests, began):
            assert running.poll() is None, running.stderr.read() if running.stderr else ""
            assert time.time() < began + 120
            time.sleep(0.02)
        os.kill(running.pid if victim == "play" else play.pid(victim), signal.SIGKILL)
        running.communicate(timeout=200)
    finally:
        running.kill()
    code, played, errors = play.run("--once")
    assert (code, played.get("ok")) == (0, True), errors
    [documented] = [step for step in played["steps"] if step["step"] == 2]
    assert [each["facts"]["created"] for each in documented["exchanges"][:3]] == [False] * 3
    assert list((play.data / "run").glob("*.json")) == [], "a run without --keep leaves nothing running"


def _reads(requests: Path, began: float) -> bool:
    """Whether the run that began then has come to reading."""
    return requests.exists() and requests.stat().st_mtime > began and "/gateway/fhir/" in requests.read_text()
