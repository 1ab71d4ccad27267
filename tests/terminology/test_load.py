# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi terminology load`: files in, once, whole; and the published code systems by the same way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import gzip
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from fhir_server.commands import CommandError
from terminology.cli import app
from terminology.load import NotLoaded, files_of, load
from tests.terminology.conftest import FOODS, LOCAL, Terminology, code_system, concept_map, value

VALUE_SET = {"resourceType": "ValueSet", "url": "http://example.org/vs/foods", "status": "active"}


def write(path: Path, *resources: Any) -> Path:
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in resources).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def nothing(file: Path, done: int) -> None:
    """No progress to show."""


async def test_a_folder_twice_and_changed(terminology: Terminology, engine: AsyncEngine, tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson.gz", code_system(id="foods"), "", concept_map(id="foods"))
    (tmp_path / "deeper").mkdir()
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": VALUE_SET}, {"fullUrl": "urn:x"}]}
    write(tmp_path / "deeper" / "b.json", bundle)
    write(tmp_path / "c.ndjson", {"resourceType": "StructureDefinition", "url": "http://example.org/sd"})
    first = await load(engine, files_of(tmp_path), nothing)
    assert dict(first.new) == {"CodeSystem": 1, "ConceptMap": 1, "ValueSet": 1}
    assert dict(first.skipped) == {"StructureDefinition": 1}
    assert value(await terminology.lookup("hazel"), "display") == "Hazelnut"
    assert value(await terminology.translate("A1"), "result") is True

    again = await load(engine, files_of(tmp_path), nothing)
    assert (sum(again.new.values()), sum(again.changed.values()), sum(again.unchanged.values())) == (0, 0, 3)
    stored = await terminology.request("GET", "/CodeSystem/foods")
    assert stored["meta"]["versionId"] == "1"

    newer = [code_system(id="foods", name="Changed"), code_system(id="foods", version="2.0")]
    third = await load(engine, [write(tmp_path / "d.ndjson", *newer)], nothing)
    assert (dict(third.changed), dict(third.new)) == ({"CodeSystem": 1}, {"CodeSystem": 1})
    assert value(await terminology.lookup("nut"), "version") == "2.0"
    assert value(await terminology.lookup("nut", version="1.0"), "name") == "Changed"


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ('{"resourceType": "CodeSystem"', "line 2: this is not JSON"),
        ('["a"]', "line 2: this is no FHIR resource"),
        ({"resourceType": "CodeSystem", "url": "http://example.org/x", "status": "active"}, "CodeSystem.content"),
        (code_system(concept=[{"code": "a"}, {"code": "a"}]), "a code stands twice"),
    ],
)
async def test_a_bad_file_is_refused_as_a_whole(
    terminology: Terminology, engine: AsyncEngine, tmp_path: Path, bad: Any, text: str
) -> None:
    file = write(tmp_path / "a.ndjson", code_system(), bad)
    with pytest.raises(NotLoaded, match=text):
        await load(engine, [file], nothing)
    await terminology.lookup("hazel", status=404)


async def test_a_damaged_file(engine: AsyncEngine, tmp_path: Path) -> None:
    whole = write(tmp_path / "a.ndjson.gz", code_system()).read_bytes()
    for damaged in (whole[:-12], b"no gzip"):
        (tmp_path / "a.ndjson.gz").write_bytes(damaged)
        with pytest.raises(NotLoaded, match=r"a\.ndjson\.gz"):
            await load(engine, files_of(tmp_path), nothing)


async def test_a_load_is_logged(engine: AsyncEngine, database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        before = await connection.fetchval("SELECT count(*) FROM audit.event")
        await load(engine, [write(tmp_path / "a.json", code_system())], nothing)
        events = await connection.fetch(
            "SELECT operation, client_id FROM audit.event ORDER BY recorded DESC, id DESC LIMIT 1"
        )
        assert [tuple(row) for row in events] == [("create CodeSystem", "ndi-terminology-load")]
        assert await connection.fetchval("SELECT count(*) FROM audit.event") == before + 1
    finally:
        await connection.close()


@dataclass
class Deployment:
    """A deployment that is a database and nothing else."""

    url: str

    @contextmanager
    def database(self) -> Iterator[str]:
        yield self.url


def test_the_command(tmp_path: Path, database_url: str) -> None:
    write(tmp_path / "a.json", code_system())
    run = CliRunner().invoke(app, ["load", str(tmp_path)], obj=Deployment(database_url), catch_exceptions=False)
    assert (run.exit_code, run.stdout) == (0, "CodeSystem: 1 new, 0 changed, 0 unchanged\n")
    run = CliRunner().invoke(app, ["load", str(tmp_path)], obj=Deployment(database_url), catch_exceptions=False)
    assert run.stdout == "CodeSystem: 0 new, 0 changed, 1 unchanged\n"
    for path in (tmp_path / "none", write(tmp_path / "b.json", "{")):
        with pytest.raises(CommandError):
            CliRunner().invoke(app, ["load", str(path)], obj=Deployment(database_url), catch_exceptions=False)


async def test_the_published_code_systems(terminology: Terminology, engine: AsyncEngine, shared: Path) -> None:
    """897 code systems of HL7 Terminology; the R4 maps beside them."""
    folder = shared / "terminology" / "resources"
    files = [
        folder / "hl7.terminology.r4-7.0.1-CodeSystem.ndjson.gz",
        folder / "hl7.fhir.r4.core-4.0.1-ConceptMap.ndjson.gz",
    ]
    loaded = await load(engine, files, nothing)
    assert loaded.new["CodeSystem"] == 897
    assert loaded.new["ConceptMap"] > 70
    hl7 = "http://terminology.hl7.org/CodeSystem"
    for system, code, display in (
        (f"{hl7}/allergyintolerance-clinical", "active", "Active"),
        (f"{hl7}/v3-ActReason", "TREAT", "treatment"),
        (f"{hl7}/v3-ActReason", "HQUALIMP", "health quality improvement"),
        (f"{hl7}/consentscope", "patient-privacy", "Privacy Consent"),
        (f"{hl7}/endpoint-connection-type", "hl7-fhir-rest", "HL7 FHIR"),
    ):
        assert value(await terminology.lookup(code, system), "display") == display
    await terminology.lookup("no-such-code", f"{hl7}/v3-ActReason", status=404)
    answer = await terminology.translate(
        "male", "http://hl7.org/fhir/administrative-gender", targetsystem=f"{hl7}/v3-AdministrativeGender"
    )
    assert value(answer, "result") is True
    again = await load(engine, files[:1], nothing)
    assert (again.unchanged["CodeSystem"], sum(again.new.values())) == (897, 0)


async def test_look_ups_of_the_terminology_ecosystem(
    terminology: Terminology, engine: AsyncEngine, shared: Path, tmp_path: Path
) -> None:
    """What R4 defines of its $lookup cases; `definition` and `abstract` at the top came with R5."""
    folder = shared / "terminology" / "tx-ecosystem" / "simple"
    await load(engine, [folder / "codesystem-simple.json"], nothing)
    for case in ("simple-lookup", "simple-lookup2"):
        asked = json.loads((folder / f"{case}-request-parameters.json").read_text("utf-8"))
        expected = json.loads((folder / f"{case}-response-parameters.json").read_text("utf-8"))
        answer = await terminology.request("POST", "/CodeSystem/$lookup", json=asked)
        for name in ("display", "name", "version"):
            assert value(answer, name) == value(expected, name)
        assert _properties(answer) >= _properties(expected) - {("inactive", "false"), ("inactive", "true")}
        assert ("definition", json.dumps(value(expected, "definition"))) in _properties(answer)


def _properties(answer: dict[str, Any]) -> set[tuple[str, str]]:
    found = set()
    for each in answer["parameter"]:
        if each["name"] == "property":
            told = {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in each["part"]}
            found.add((told["code"], json.dumps(told["value"])))
    return found


async def test_a_system_beyond_its_map(terminology: Terminology) -> None:
    """A code system and a map that were never loaded together still answer each for itself."""
    await terminology.create(concept_map())
    await terminology.lookup("hazel", FOODS, status=404)
    await terminology.lookup("A1", LOCAL, status=404)
