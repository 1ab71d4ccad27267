# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from fhir_server.commands import CommandError
from gateway import soap
from gateway.cli import app
from gateway.contracts import Contracts, compiled
from gateway.store import ArtifactStore
from tests.gateway.records import alert, message


async def test_what_is_loaded_comes_back_as_it_was(engine: AsyncEngine) -> None:
    store = ArtifactStore(engine)
    await store.add("schema", "a.xsd", b"<one/>")
    await store.add("schema", "a.xsd", b"<two/>")
    await store.add("template", "t.opt", b"<t/>")
    (found,) = await store.of_kind("schema")
    assert (found.name, found.size) == ("a.xsd", 6)
    assert await store.contents("schema") == {"a.xsd": b"<two/>"}


def published(shared: Path) -> dict[str, bytes]:
    folder = shared / "gateway/rivta/GetAlertInformation/schemas"
    return {path.name: path.read_bytes() for path in folder.rglob("*.xsd")}


async def test_answers_are_checked_by_the_published_schema_once_it_is_loaded(engine: AsyncEngine, shared: Path) -> None:
    store = ArtifactStore(engine)
    assert await Contracts(store).alert_information() is soap.own_schema()
    for name, content in published(shared).items():
        await store.add("schema", name, content)
    schema = await Contracts(store).alert_information()
    assert schema is not soap.own_schema()
    assert len(soap.response(message(alert()), schema)) == 1
    with pytest.raises(soap.NotTheContract):
        soap.response(message(alert().replace("20230918093000", "x")), schema)


def test_files_that_make_no_schema_leave_the_built_in_one(shared: Path) -> None:
    files = {name: content for name, content in published(shared).items() if "Responder" in name}
    assert len(files) == 1
    assert compiled(files, soap.RESPONDER) is None


class Deployed:
    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def database(self) -> Iterator[str]:
        yield self.url


async def test_the_operator_loads_and_lists_schemas(database_url: str, tmp_path: Path) -> None:
    schema = tmp_path / "description.xsd"
    schema.write_bytes((resources.files("gateway") / "schemas" / "description_2.xsd").read_bytes())
    wrong = tmp_path / "wrong.xsd"
    wrong.write_bytes(b"<x/>")
    deployed = Deployed(database_url)

    def run() -> None:
        runner = CliRunner()
        loaded = runner.invoke(app, ["schemas", "add", str(schema)], obj=deployed)
        assert (loaded.exit_code, loaded.output) == (0, "1 schema(s) loaded\n")
        assert "description.xsd" in runner.invoke(app, ["schemas", "list"], obj=deployed).output
        refused = runner.invoke(app, ["schemas", "add", str(wrong)], obj=deployed)
        assert isinstance(refused.exception, CommandError)
        assert "not an XML schema" in str(refused.exception)
        assert runner.invoke(app, ["templates", "list"], obj=deployed).exit_code == 0

    await asyncio.to_thread(run)


def test_help_shows_an_example() -> None:
    assert "Example" in CliRunner().invoke(app, ["templates", "add", "--help"]).output


@pytest.mark.parametrize("name", ["get_alert_information_2.xsd", "description_2.xsd"])
def test_schemas_come_with_the_package(name: str) -> None:
    assert (resources.files("gateway") / "schemas" / name).is_file()
