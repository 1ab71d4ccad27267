# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$validate against profiles: asked for, claimed, declared; and writes of a type that declares one."""

from collections.abc import AsyncIterator
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.app import create_app
from fhir_server.bulk.load import Line, Loader
from fhir_server.storage.load import BatchStore
from fhir_server.validation.packages import Packages, read_package
from ndi.migrate import SERVICES
from ndi.sandbox import SCHEMA, SETTINGS, NoAudit, NoLogin, sandbox_app, sandbox_service, take_possession
from tests.fhir_server.bulk.test_load import context
from tests.fhir_server.validation.published import DATA, needs_data
from tests.fhir_server.validation.test_packages import URL, archive, whole
from tests.support.running import running

JSON = {"Content-Type": "application/fhir+json"}
GOOD: dict[str, Any] = {
    "resourceType": "Patient", "name": [{"family": "Berg"}], "identifier": [{"system": "urn:own", "value": "1"}],
}  # fmt: skip
WRONG = {**GOOD, "name": [{"text": "Berg"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "packages"


@pytest.fixture
async def http(engine: AsyncEngine, tmp_path: Path, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A sandbox is not made beside the services: a schema alone is."""
    await made(engine)
    async with running(sandbox_app(engine, None, folder=tmp_path, packages=folder)) as client:
        yield client


async def made(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for name in SERVICES:
            await connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
    await take_possession(engine, fresh=True)


def add(folder: Path, tmp_path: Path) -> None:
    Packages(folder).add(read_package(archive(tmp_path / "p.tgz", whole())))


async def ask(http: httpx2.AsyncClient, path: str, body: Any = None, status: int = 200) -> list[dict[str, Any]]:
    answer = await http.post(f"/fhir/{path}", content=orjson.dumps(body) if body is not None else b"", headers=JSON)
    assert answer.status_code == status, answer.text
    issues: list[dict[str, Any]] = answer.json()["issue"]
    return issues


def parameters(resource: Any, **more: str) -> dict[str, Any]:
    given = [{"name": "profile", "valueUri": more["profile"]}] if "profile" in more else []
    given += [{"name": "mode", "valueCode": more["mode"]}] if "mode" in more else []
    return {"resourceType": "Parameters", "parameter": [*given, {"name": "resource", "resource": resource}]}


async def test_a_profile_that_is_asked_for(http: httpx2.AsyncClient, folder: Path, tmp_path: Path) -> None:
    """First unknown, then, without a new start, known."""
    (unknown,) = await ask(http, f"Patient/$validate?profile={URL}", GOOD, 400)
    assert (unknown["code"], unknown["details"]["coding"][0]["code"]) == ("not-found", "unknown-profile")
    add(folder, tmp_path)
    (fine,) = await ask(http, f"Patient/$validate?profile={URL}", GOOD)
    assert fine["severity"] == "information"
    for asked in (
        (f"Patient/$validate?profile={URL}", WRONG),
        (f"Patient/$validate?profile={URL}%7C1.0", WRONG),
        ("Patient/$validate", parameters(WRONG, profile=URL)),
        ("Patient/$validate", parameters(WRONG, profile=URL, mode="create")),
    ):
        (found,) = await ask(http, *asked)
        assert (found["severity"], found["expression"]) == ("error", ["Patient.name[0].family"])
        assert URL in found["diagnostics"]


async def test_what_a_resource_claims(http: httpx2.AsyncClient, folder: Path, tmp_path: Path) -> None:
    claiming = {**WRONG, "meta": {"profile": ["urn:nobody-has", URL]}}
    issues = await ask(http, "Patient/$validate", claiming)
    assert [(each["severity"], each["code"]) for each in issues] == [
        ("information", "informational"), ("warning", "not-found"), ("warning", "not-found"),
    ]  # fmt: skip
    add(folder, tmp_path)
    issues = await ask(http, "Patient/$validate", claiming)
    assert [(each["severity"], each["expression"]) for each in issues] == [
        ("warning", ["Patient.meta.profile[0]"]), ("error", ["Patient.name[0].family"]),
    ]  # fmt: skip


async def test_rules_of_r4_and_of_the_profile_are_told_together(
    http: httpx2.AsyncClient, folder: Path, tmp_path: Path
) -> None:
    add(folder, tmp_path)
    wrong = {**WRONG, "gender": "none"}
    issues = await ask(http, f"Patient/$validate?profile={URL}", wrong)
    assert [each["expression"] for each in issues] == [["Patient.gender"], ["Patient.name[0].family"]]
    issues = await ask(http, f"Patient/$validate?profile={URL}", {**WRONG, "name": "x"})
    assert [each["expression"] for each in issues] == [["Patient.name"]]


async def test_an_instance_is_held_against_a_profile(http: httpx2.AsyncClient, folder: Path, tmp_path: Path) -> None:
    add(folder, tmp_path)
    answer = await http.put("/fhir/Patient/p", content=orjson.dumps({**WRONG, "id": "p"}), headers=JSON)
    assert answer.status_code == 201
    (found,) = (await http.get(f"/fhir/Patient/p/$validate?mode=profile&profile={URL}")).json()["issue"]
    assert found["expression"] == ["Patient.name[0].family"]
    await ask(http, f"Patient/p/$validate?mode=profile&profile={URL}", GOOD, 400)
    await ask(http, f"Patient/$validate?mode=profile&profile={URL}", GOOD, 400)
    await ask(http, "Patient/p/$validate?mode=profile", None, 400)


async def test_a_type_that_declares_a_profile(engine: AsyncEngine, folder: Path, tmp_path: Path) -> None:
    await made(engine)
    plain = sandbox_service(["Patient"])
    service = replace(plain, operations=frozenset(), topics=(), resources=(replace(
        plain.resources[0], profiles=(URL,), operations=frozenset({"$validate"})),))  # fmt: skip
    settings = replace(SETTINGS, packages=folder)
    app = create_app(service, engine=engine, authenticator=NoLogin(), audit=NoAudit(), settings=settings)
    async with running(app) as http:
        stated = (await http.get("/fhir/metadata")).json()["rest"][0]["resource"][0]
        assert stated["supportedProfile"] == [URL]
        add(folder, tmp_path)
        refused = await http.post("/fhir/Patient", content=orjson.dumps(WRONG), headers=JSON)
        assert refused.status_code == 422
        assert refused.json()["issue"][0]["expression"] == ["Patient.name[0].family"]
        assert (await http.post("/fhir/Patient", content=orjson.dumps(GOOD), headers=JSON)).status_code == 201
        (found,) = await ask(http, "Patient/$validate", WRONG)
        assert found["severity"] == "error"
    store = BatchStore(engine, SCHEMA, audit_function=None)
    for trusted, refused_lines in ((False, 1), (True, 0)):
        loader = Loader(service, store, context=context, packages=Packages(folder), trusted=trusted)
        tally = await loader.load([Line("x", 1, orjson.dumps({**WRONG, "id": "l"}))])
        assert tally.rejected == refused_lines


@needs_data
@pytest.mark.parametrize(("guide", "count"), [("hl7se-base", 12), ("ips", 44)])
async def test_published_examples_keep_what_they_claim(
    http: httpx2.AsyncClient, folder: Path, guide: str, count: int
) -> None:
    """Through the operation, as an author of a guide would ask it; nothing of the profiles is broken."""
    Packages(folder).add(read_package(DATA / "sweden" / guide))
    files = sorted((DATA / "sweden" / guide / "examples").glob("*.json"))
    assert len(files) == count
    for file in files:
        resource = json.loads(file.read_bytes())
        kind = resource["resourceType"]
        asked = f"?profile=http://hl7.se/fhir/ig/base/StructureDefinition/SEBase{kind}" if guide == "hl7se-base" else ""
        issues = await ask(http, f"{kind}/$validate{asked}", resource)
        assert not [each for each in issues if each["severity"] == "error" and "(profile " in each["diagnostics"]], file
        assert not [each for each in issues if each["code"] == "not-found"], file
