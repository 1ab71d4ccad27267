# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Commands: what they register is what the server then uses; a second time changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import stat
from typing import Any

import pytest
from typer.testing import CliRunner

from fhir_server.commands import CommandError
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys
from identifiers.person_number import parse
from identifiers.systems import PERSONNUMMER
from security.cli import app
from security.store import SecurityStore
from tests.security.conftest import serving_authority

NUMBER = "195701032863"


class TestDeployment:
    """A deployment on the test's database."""

    __test__ = False

    def __init__(self, url: str, keys: PersonKeys, cipher: Cipher) -> None:
        self.url, self.keys, self._cipher = url, keys, cipher

    @contextmanager
    def database(self) -> Iterator[str]:
        yield self.url

    def person_keys(self) -> PersonKeys:
        return self.keys

    def cipher(self) -> Cipher:
        return self._cipher


@pytest.fixture
def run(database_url: str, keys: PersonKeys, cipher: Cipher) -> Any:
    deployment = TestDeployment(database_url, keys, cipher)

    async def run_command(*arguments: str, typed: str | None = None) -> str:
        import asyncio

        # In a thread, as a command has a loop of its own.
        result = await asyncio.to_thread(
            CliRunner().invoke, app, list(arguments), obj=deployment, input=typed, catch_exceptions=True
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run_command


def norr(key: Path, *more: str) -> list[str]:
    return [
        "client", "add", "--id", "region-norr", "--name", "Region Norr", "--organisation", "se0000000011-vg",
        "--organisation-name", "Region Norr", "--jwks", str(key), "--scope", "system/DocumentReference.cu",
        "--scope", "system/Organization.rs", "--role", "source", *more,
    ]  # fmt: skip


async def test_from_key_to_token(run: Any, tmp_path: Path, database_url: str, cipher: Cipher) -> None:
    private, public = tmp_path / "keys" / "norr.jwk", tmp_path / "norr.jwks"
    told = await run("key", "create", "--out", str(private), "--public", str(public))
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = json.loads(private.read_text())
    assert key["kid"] in told
    assert key["d"] not in told
    assert "d" not in json.loads(public.read_text())["keys"][0]
    before = private.read_bytes()
    await run("key", "create", "--out", str(private))
    assert private.read_bytes() == before

    for _ in range(2):
        await run(*norr(public))
    assert "active" in await run("client", "list")
    async with serving_authority(database_url, cipher) as authority:
        client = await authority.store.client("region-norr")
        assert client is not None
        assert client.organisation == "SE0000000011-VG"
        assert client.grants == ("client_credentials",)
        assert (await authority.token(authority.assertion(key=key))).status_code == 200
        await run("client", "revoke", "region-norr")
        assert await authority.refused(authority.assertion(key=key)) == "invalid_client"
        assert "revoked" in await run("client", "list")
        await run(*norr(private, "--redirect-uri", "http://127.0.0.1:1/back"))
        assert (await authority.token(authority.assertion(key=key))).status_code == 200
        client = await authority.store.client("region-norr")
        assert client is not None
        assert client.grants == ("client_credentials", "authorization_code")
        assert all("d" not in jwk for jwk in client.keys.values())


async def test_people(run: Any, database_url: str, keys: PersonKeys, engine: Any) -> None:
    astrid = ["person", "add", "--id", "astrid", "--name", "Astrid Exempel", "--kind", "patient", "--identifier"]
    assert NUMBER not in await run(*astrid, f"{PERSONNUMMER}|{NUMBER}")
    await run(*astrid, "-", typed=f"{PERSONNUMMER}|19570103-2863\n")
    await run(
        "person", "add", "--id", "disa", "--name", "Disa Dentström", "--kind", "staff", "--hsa-id", "SE0000000044-D1",
        "--organisation", "SE0000000044-VG", "--unit", "SE0000000044-VE1", "--profession", "dentist",
    )  # fmt: skip
    disa, found = await SecurityStore(engine).people()
    assert found.person_key == keys.of(parse(PERSONNUMMER, NUMBER))
    assert found.roles == ("patient",)
    assert (disa.unit, disa.roles) == ("SE0000000044-VE1", ("clinician",))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--id", "p", "--name", "P", "--kind", "patient"], "identifier"),
        (["--id", "p", "--name", "P", "--kind", "patient", "--identifier", NUMBER], r"system\|value"),
        (["--id", "p", "--name", "P", "--kind", "patient", "--identifier", f"{PERSONNUMMER}|{NUMBER}1"], "digits"),
        (["--id", "p q", "--name", "P", "--kind", "patient", "--identifier", f"{PERSONNUMMER}|{NUMBER}"], "letters"),
        (["--id", "p", "--name", "P", "--kind", "staff"], "HSA-id"),
        (["--id", "p", "--name", "P", "--kind", "staff", "--hsa-id", "x", "--organisation", "y", "--unit", "z"], "HSA"),
    ],
)
async def test_a_wrong_person_is_told_in_one_line(run: Any, arguments: list[str], text: str) -> None:
    with pytest.raises(CommandError, match=text) as error:
        await run("person", "add", *arguments)
    assert NUMBER not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--scope", "everything"], "scope"),
        (["--redirect-uri", "http://portal.example/back"], "https"),
        (["--redirect-uri", "https://portal.example/back#x"], "fragment"),
        (["--grant", "authorization_code"], "redirect URI"),
        (["--valid-to", "2020-01-01"], "before it begins"),
        (["--id", "a b"], "visible"),
        (["--organisation", "Norr"], "HSA-id"),
    ],
)
async def test_a_wrong_client_is_told_in_one_line(run: Any, tmp_path: Path, more: list[str], text: str) -> None:
    await run("key", "create", "--out", str(tmp_path / "k"))
    with pytest.raises(CommandError, match=text):
        await run(*norr(tmp_path / "k", *more))


@pytest.mark.parametrize(
    "content", [None, "no json", "[]", "{}", '{"keys":[]}', '{"kty":"oct","k":"eA"}', '{"keys":[5]}']
)
async def test_a_file_without_keys_is_told(run: Any, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "k").write_text(content)
    with pytest.raises(CommandError):
        await run(*norr(tmp_path / "k"))


async def test_a_file_that_is_no_key_is_not_overwritten(run: Any, tmp_path: Path) -> None:
    (tmp_path / "k").write_text("mine")
    with pytest.raises(CommandError, match="already"):
        await run("key", "create", "--out", str(tmp_path / "k"))
    assert (tmp_path / "k").read_text() == "mine"
