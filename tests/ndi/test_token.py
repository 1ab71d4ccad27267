# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi token` against the running house: what the READMEs say can be pasted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
import re
import shlex
import shutil

import pytest

from ndi.cli import main
from tests.support.databases import fresh_database
from tests.support.house import EHR_REDIRECT, HouseUnderTest, running_house
from tests.support.running import free_port
from tests.support.shell import run_block

ROOT = Path(__file__).parents[2]
Token = Callable[..., Awaitable[tuple[str, str]]]

READMES = {
    "README.md": [200],
    "provider_catalog": [201, 200, 200],
    "patient_index": [201, 200, 200],
    # In the demo she can block the unit; here no unit is registered, which only the rules for blocks find out.
    "consent": [200, 200, 422],
    "audit": [200],
    # Nothing is loaded here that could be looked up.
    "terminology": [404, 200],
    # The law lets the dentist write at her own unit, and read only with the patient's consent.
    "gateway": [403, 422],
    "transfer": [200],
}
"""A README, or the folder of one, and how each of its requests is answered where the demo was not played."""

REFUSED = ("insufficient-scope", "insufficient-role", "invalid-token")


@pytest.fixture(scope="module")
async def house(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HouseUnderTest]:
    async with (
        fresh_database(server, template) as url,
        running_house(url, tmp_path_factory.mktemp("house")) as running,
    ):
        yield running


@pytest.fixture
def token(house: HouseUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Token:
    """Runs `ndi token` in the house's deployment; gives what it prints."""
    monkeypatch.setenv("NDI_ISSUER", house.base)
    monkeypatch.setenv("NDI_KEYS", str(house.folder.folder))

    async def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert await asyncio.to_thread(main, ["token", *arguments]) == code
        said = capsys.readouterr()
        # The house runs in this process and logs between.
        return "".join(line for line in said.out.splitlines() if line.startswith("ey")), said.err

    return run


async def test_a_system_gets_what_it_is_registered_for(house: HouseUnderTest, token: Token) -> None:
    text, about = await token("operator")
    assert re.fullmatch(r"valid until \d\d:\d\d:\d\d UTC: system/\*\.cruds\n", about)
    headers = {"Authorization": f"Bearer {text}"}
    answer = await house.http.post("/provider-catalog/fhir/Organization/$providers", headers=headers)
    assert answer.status_code == 200
    _, narrow = await token("operator", "--scope", "system/Organization.r system/Endpoint.r")
    assert "system/Endpoint.r system/Organization.r\n" in narrow


async def test_a_person_logs_in_at_a_client(token: Token) -> None:
    _, about = await token("ndi-portal", "--person", "astrid")
    assert "patient/*.cruds" in about
    _, about = await token("anemonen-ehr", "--person", "disa", "--redirect-uri", EHR_REDIRECT)
    assert "user/*.cruds" in about


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "no key of nobody in"),
        (["operator", "--key", "/nonexistent.jwk"], "/nonexistent.jwk: No such file"),
        (["operator", "--key", __file__], "is no JWK"),
        (["operator", "--scope", "patient/Patient.r"], "at the level system"),
        (["operator", "--person", "astrid"], "none of those registered"),
        (["ndi-portal", "--person", "nobody"], "answered 4"),
        (["anemonen-ehr", "--person", "disa"], "redirect_uri is none of those registered"),
    ],
)
async def test_refusals_are_one_line(token: Token, arguments: list[str], says: str) -> None:
    text, error = await token(*arguments, code=1)
    assert text == ""
    assert says in error
    assert error.count("\n") == 1


async def test_no_server_is_one_line(token: Token) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    for person in ([], ["--person", "astrid"]):
        _, error = await token("ndi-portal", *person, "--issuer", address, code=1)
        assert f"no token from {address}" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("name", READMES)
async def test_the_requests_of_a_readme_can_be_pasted(house: HouseUnderTest, token: Token, name: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    path = ROOT / name
    text = (path if path.is_file() else path / "README.md").read_text()
    variables = {"NDI": house.base, "TRANSFER": house.base}
    for variable, arguments in re.findall(r"(\w+)=\$\((?:\.venv/bin/)?ndi token ([^)]+)\)", text):
        variables[variable] = (await token(*shlex.split(arguments)))[0]
    assert len(variables) > 2
    requests = [
        "curl" + request
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for request in re.findall(r"^curl(.*?)(?=\n\n|\ncurl|\Z)", block, re.DOTALL | re.MULTILINE)
    ]
    assert len(requests) == len(READMES[name])
    for request, expected in zip(requests, READMES[name], strict=True):
        answer = await run_block(request.replace("-sf", "-s").rstrip() + " -w ' %{http_code}'", **variables)
        assert answer.endswith(f" {expected}"), answer
        assert not any(code in answer for code in REFUSED)
