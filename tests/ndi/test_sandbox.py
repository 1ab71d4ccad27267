# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The sandbox: all of R4 without login, on a database of its own, never beside the services."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from fhir_server.commands import CommandError
from fhir_server.search.parameters import codes_of
from fhir_server.storage.database import create_engine
from ndi.cli import main
from ndi.embedded import EmbeddedPostgres
from ndi.sandbox import sandbox_service, take_possession
from ndi.settings import Settings
from tests.ndi.test_cli import answer, environment, free_port
from tests.support.databases import fresh_database
from tests.support.sandbox import EMPTY, sandbox_serving

Ndi = Callable[..., str]

OFFERED = {
    "read", "vread", "create", "update", "patch", "delete", "search-type", "history-instance", "history-type",
}  # fmt: skip


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ndi-sandbox-"))
    yield folder
    EmbeddedPostgres(folder / "var" / "sandbox").stop()
    shutil.rmtree(folder)


@pytest.fixture
def ndi(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ndi:
    """Runs `ndi sandbox` in this process up to its end, which has the code expected; gives what it said."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "160")
    kept = signal.getsignal(signal.SIGTERM)

    def run(code: int, *arguments: str) -> str:
        try:
            assert main(["sandbox", *arguments]) == code
        finally:
            signal.signal(signal.SIGTERM, kept)
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return run


@pytest.fixture(scope="module")
async def base(server: str) -> AsyncIterator[str]:
    async with sandbox_serving(server) as address:
        yield address


@pytest.fixture
async def http(base: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=base + "/", timeout=60, trust_env=False) as client:
        yield client


@contextmanager
def started(home: Path, port: int, *arguments: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A running `ndi sandbox`; ended by SIGTERM, which it must survive in order."""
    with subprocess.Popen(
        [sys.executable, "-m", "ndi", "sandbox", "--port", str(port), *arguments],
        cwd=home, env=environment(home, **more), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said


async def test_every_type_of_r4_is_served_with_every_interaction_and_parameter(http: httpx2.AsyncClient) -> None:
    statement = (await http.get("metadata")).json()
    [rest] = statement["rest"]
    types = {each["type"]: each for each in rest["resource"]}
    assert len(types) == 146
    assert {each["code"] for each in rest["interaction"]} == {"batch", "transaction", "history-system"}
    assert "without login" in rest["security"]["description"]
    for name, each in types.items():
        assert {code["code"] for code in each["interaction"]} == OFFERED, name
        own = {
            "Patient": {"everything", "export"}, "Group": {"export"}, "Subscription": {"events", "status"},
        }.get(name, set())  # fmt: skip
        assert {operation["name"] for operation in each["operation"]} == {"meta", "validate"} | own
        assert set(codes_of(name)) <= {parameter["name"] for parameter in each["searchParam"]}
    assert len([code for name in types for code in codes_of(name)]) > 1600


async def test_every_search_parameter_is_answered(base: str, http: httpx2.AsyncClient) -> None:
    types = [each.name for each in sandbox_service().resources]
    asked = [
        f"{name}?" + "&".join(f"{code}:missing=true" for code in codes[start : start + 8])
        for name in types
        for codes in [codes_of(name)]
        for start in range(0, len(codes), 8)
    ]
    for start in range(0, len(asked), 500):
        entries = [{"request": {"method": "GET", "url": url}} for url in asked[start : start + 500]]
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        answered = (await http.post(base, json=bundle)).json()
        failed = [
            (entry["request"]["url"], made["response"])
            for entry, made in zip(entries, answered["entry"], strict=True)
            if not made["response"]["status"].startswith("200")
        ]
        assert failed == []


async def test_a_resource_lives_without_login(http: httpx2.AsyncClient) -> None:
    patient: dict[str, Any] = {
        "resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "1"}], "name": [{"family": "Berg"}],
    }  # fmt: skip
    made = await http.post("Patient", json=patient, headers={"If-None-Exist": "identifier=urn:s|1"})
    assert made.status_code == 201, made.text
    address = f"Patient/{made.json()['id']}"
    again = await http.post("Patient", json=patient, headers={"If-None-Exist": "identifier=urn:s|1"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    changed = await http.put("Patient?identifier=urn:s|1", json=patient | {"active": True})
    assert changed.json()["meta"]["versionId"] == "2"
    operations = [{"op": "replace", "path": "/active", "value": False}]
    patched = await http.patch(address, json=operations, headers={"Content-Type": "application/json-patch+json"})
    assert patched.json()["active"] is False
    assert (await http.get("Patient?family=berg&active=false")).json()["entry"][0]["resource"]["id"] in address
    assert (await http.get(f"{address}/$meta")).json()["parameter"][0]["valueMeta"]["versionId"] == "3"
    assert (await http.post("Patient/$validate", json=patient)).json()["issue"][0]["severity"] == "information"
    assert (await http.delete(address)).status_code in (200, 204)
    assert (await http.get(address)).status_code == 410
    assert len((await http.get(f"{address}/_history")).json()["entry"]) == 4
    assert (await http.put("Basic/my-own-id", json={"resourceType": "Basic", "id": "my-own-id",
                                                    "code": {"text": "x"}})).status_code == 201  # fmt: skip


async def test_an_address_beside_the_base_is_told(base: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        elsewhere = await http.get(base.removesuffix("fhir") + "Patient")
    assert (elsewhere.status_code, elsewhere.json()["resourceType"]) == (404, "OperationOutcome")


async def test_it_refuses_a_database_of_the_services(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        for fresh in (False, True):
            with pytest.raises(CommandError, match="holds the services' data"):
                await take_possession(engine, fresh=fresh)
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT to_regnamespace('sandbox')")) is None
    finally:
        await engine.dispose()


async def test_data_of_another_version_are_kept_until_fresh_is_said(server: str) -> None:
    async with fresh_database(server, EMPTY) as url:
        engine = create_engine(url)
        try:
            await take_possession(engine)
            await take_possession(engine)
            async with engine.begin() as connection:
                await connection.execute(text("COMMENT ON SCHEMA sandbox IS 'older'"))
            with pytest.raises(CommandError, match="--fresh"):
                await take_possession(engine)
            await take_possession(engine, fresh=True)
            await take_possession(engine)
        finally:
            await engine.dispose()


async def test_the_command_from_nothing_to_stopped(home: Path) -> None:
    port = free_port()
    fhir = f"http://127.0.0.1:{port}/fhir"
    # What `ndi serve` reads is not asked: neither its database nor its address.
    with started(home, port, NDI_DATABASE_URL="postgresql://127.0.0.1:1/ndi", NDI_HOST="0.0.0.0") as process:
        await answer(f"{fhir}/metadata", process)
        assert process.stderr is not None
        assert f"SANDBOX WITHOUT LOGIN at {fhir}" in process.stderr.readline()
        httpx2.put(f"{fhir}/Basic/1", json={"resourceType": "Basic", "id": "1", "code": {"text": "x"}})
    assert EmbeddedPostgres(home / "var" / "sandbox").running_pid() is None
    assert not (home / "var" / "keys").exists()
    assert not (home / "var" / "postgres").exists()
    with started(home, port, "--types", "Basic,Patient", "--quiet") as process:
        statement = (await answer(f"{fhir}/metadata", process)).json()
        assert [each["type"] for each in statement["rest"][0]["resource"]] == ["Basic", "Patient", "Subscription"]
        assert httpx2.get(f"{fhir}/Basic/1").status_code == 200, "kept from the time before"
        assert httpx2.get(f"{fhir}/Observation").status_code == 404


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["--types", "Patient,Obsrevation"], "'Obsrevation' is no resource type of FHIR R4; Observation?", 1),
        (["--types", ","], "--types names no type", 1),
        (["--types", "DomainResource"], "no resource type", 1),
        (["--port", "0"], "'--port'", 2),
        (["--host", "0.0.0.0"], "No such option", 2),
        (["--database", "mysql://x"], "--database takes postgresql://", 1),
        (["--database", "postgresql://ndi:hemligt@127.0.0.1:1/x"], "does not answer", 1),
    ],
)
def test_mistakes_are_one_line(home: Path, ndi: Ndi, arguments: list[str], says: str, code: int) -> None:
    given = arguments if "--port" in arguments else ["--port", str(free_port()), *arguments]
    told = ndi(code, *given)
    assert says in told
    assert told.startswith("ndi: ")
    assert told.count("\n") == 1
    assert "hemligt" not in told
    assert not (home / "var").exists()


def test_a_busy_port_is_one_line_before_anything_is_started(home: Path, ndi: Ndi) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        assert "is in use" in ndi(1, "--port", str(busy.getsockname()[1]))
    assert not (home / "var").exists()


def test_the_command_refuses_the_database_of_the_services(ndi: Ndi, database_url: str) -> None:
    told = ndi(1, "--port", str(free_port()), "--database", database_url)
    assert "holds the services' data (schema security)" in told


def test_help_has_examples(ndi: Ndi) -> None:
    told = " ".join(ndi(0, "--help").split())
    assert "WITHOUT LOGIN" in told
    assert "ndi sandbox --types Patient,Observation --fresh" in told


def test_no_setting_switches_it_on() -> None:
    assert [name for name in Settings.model_fields if "sandbox" in name] == []
