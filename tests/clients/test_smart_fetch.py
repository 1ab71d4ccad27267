# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""smart-fetch, a bulk export client: https://github.com/smart-on-fhir/smart-fetch, in an environment of its own."""

import asyncio
from collections.abc import AsyncIterator
import gzip
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.databases import fresh_database
from tests.support.house import running_house
from tests.support.sandbox import sandbox_serving

SMART_FETCH = Path(__file__).parent / ".venv" / "bin" / "smart-fetch"
PATIENTS = 25


@pytest.fixture(autouse=True)
def installed() -> None:
    if not SMART_FETCH.exists():
        pytest.skip("smart-fetch is not installed (make machine)")


@pytest.fixture(scope="module")
async def filled(server: str) -> AsyncIterator[str]:
    """A sandbox with patients, an observation of each, and a group of the first ten."""
    entries: list[dict[str, Any]] = []
    for number in range(PATIENTS):
        patient = {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": "Ö", "given": [str(number)]}]}
        observation = {
            "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": "w"},
            "subject": {"reference": f"Patient/p{number}"},
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                      "code": "laboratory"}]}],
        }  # fmt: skip
        entries += [put(patient), put(observation)]
    member = [{"entity": {"reference": f"Patient/p{number}"}} for number in range(10)]
    entries.append(put({"resourceType": "Group", "id": "ten", "type": "person", "actual": True, "member": member}))
    async with sandbox_serving(server, ["Patient", "Observation", "Group"]) as base:
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            assert (await http.post(base, json=bundle)).status_code == 200
        yield base


def put(resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "resource": resource,
        "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
    }


async def run(*arguments: str, code: int = 0) -> str:
    """What the client says."""
    process = await asyncio.create_subprocess_exec(
        str(SMART_FETCH), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"HOME": "/nonexistent", "COLUMNS": "200"},
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == code, said.decode()
    return said.decode()


async def fetch(folder: Path, base: str, *arguments: str, code: int = 0) -> str:
    """What a bulk export by the client says; its files are in the folder."""
    return await run("bulk", "--fhir-url", base, *arguments, str(folder), code=code)


def ids(folder: Path, kind: str) -> list[str]:
    """The ids of a type's resources in the files."""
    lines = [
        line for file in folder.glob(f"{kind}.*.ndjson.gz") for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    return sorted(json.loads(line)["id"] for line in lines)


async def test_everything_and_then_what_is_new(filled: str, tmp_path: Path) -> None:
    first = tmp_path / "first"
    await fetch(first, filled, "--type", "Patient,Observation")
    assert ids(first, "Patient") == sorted(f"p{number}" for number in range(PATIENTS))
    assert ids(first, "Observation") == sorted(f"o{number}" for number in range(PATIENTS))
    async with httpx2.AsyncClient(timeout=20, trust_env=False) as http:
        changed = await http.put(f"{filled}/Patient/p3", json={"resourceType": "Patient", "id": "p3", "active": True})
    since = changed.json()["meta"]["lastUpdated"]
    second = tmp_path / "second"
    await fetch(second, filled, "--type", "Patient,Observation", "--since", since)
    assert (ids(second, "Patient"), ids(second, "Observation")) == (["p3"], [])


async def test_a_group_and_filters(filled: str, tmp_path: Path) -> None:
    group = tmp_path / "group"
    await fetch(group, filled, "--group", "ten", "--type", "Patient,Observation")
    assert ids(group, "Patient") == sorted(f"p{number}" for number in range(10))
    assert len(ids(group, "Observation")) == 10
    some = tmp_path / "some"
    await fetch(some, filled, "--type", "Patient", "--type-filter", "Patient?given=4,5")
    assert ids(some, "Patient") == ["p4", "p5"]


async def test_a_refusal_reaches_the_user(filled: str, tmp_path: Path) -> None:
    said = await fetch(tmp_path / "out", filled, "--type", "Patient", "--type-filter", "Patient?colour=red", code=1)
    assert "unknown search parameter colour" in " ".join(said.split())


async def test_with_a_login_of_smart_backend_services(server: str, template: str, tmp_path: Path) -> None:
    """It finds the token endpoint below the FHIR base, as SMART App Launch 2.2 has it, and signs with its key."""
    async with fresh_database(server, template) as url, running_house(url, tmp_path / "house") as house:
        base = f"{house.base}/provider-catalog/fhir"
        organisation = {"resourceType": "Organization", "active": True, "name": "Vårdcentralen"}
        made = await house.http.post(f"{base}/Organization", json=organisation, headers=await house.system("operator"))
        assert made.status_code == 201, made.text
        key = json.loads((house.folder.folder / "operator.jwk").read_text())
        jwks = tmp_path / "operator.jwks"
        jwks.write_text(json.dumps({"keys": [{**key, "key_ops": ["sign"]}]}))
        wanted = f"Organization/{made.json()['id']}"
        login = ("--smart-client-id", "operator", "--smart-key", str(jwks))
        assert "Vårdcentralen" in await run("single", "--fhir-url", base, *login, wanted)
        assert "without authentication" in await run("single", "--fhir-url", base, wanted, code=1)
