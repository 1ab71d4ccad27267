# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi gateway …`: the operator loads message schemas and openEHR templates."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

from lxml import etree
from rich.console import Console
from rich.table import Table
import typer

from fhir_server.commands import CommandError, deployment
from fhir_server.storage.database import create_engine
from gateway.soap import NotXml, parse_xml
from gateway.store import Artifact, ArtifactStore

app = typer.Typer(name="gateway", help="The gateway's schemas and templates.", no_args_is_help=True)
schemas = typer.Typer(help="Message schemas (XSD).", no_args_is_help=True)
templates = typer.Typer(help="openEHR operational templates (OPT).", no_args_is_help=True)
app.add_typer(schemas, name="schemas")
app.add_typer(templates, name="templates")

_SCHEMA_ROOT = "{http://www.w3.org/2001/XMLSchema}schema"
_TEMPLATE_ROOT = "{http://schemas.openehr.org/v1}template"
Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, help="Files to load.")]
T = TypeVar("T")


@schemas.command("add")
def add_schemas(context: typer.Context, files: Files) -> None:
    """Load XSD files; one of the same name is replaced.

    Example: ndi gateway schemas add schemas/*.xsd
    """
    _add(context, "schema", files, _SCHEMA_ROOT, "an XML schema")


@schemas.command("list")
def list_schemas(context: typer.Context) -> None:
    """Show the XSD files that are loaded."""
    _list(context, "schema")


@templates.command("add")
def add_templates(context: typer.Context, files: Files) -> None:
    """Load OPT files; one of the same name is replaced.

    Example: ndi gateway templates add "International Patient Summary.opt"
    """
    _add(context, "template", files, _TEMPLATE_ROOT, "an openEHR operational template")


@templates.command("list")
def list_templates(context: typer.Context) -> None:
    """Show the OPT files that are loaded."""
    _list(context, "template")


def _add(context: typer.Context, kind: str, files: list[Path], root: str, expected: str) -> None:
    contents = {path.name: _checked(path, root, expected) for path in files}

    async def add(store: ArtifactStore) -> None:
        for name, content in contents.items():
            await store.add(kind, name, content)

    _run(context, add)
    typer.echo(f"{len(contents)} {kind}(s) loaded")


def _checked(path: Path, root: str, expected: str) -> bytes:
    content = path.read_bytes()
    try:
        element: etree._Element = parse_xml(content)
    except NotXml as error:
        raise CommandError(f"{path.name}: {str(error).replace('the answer', 'the file')}") from None
    if element.tag != root:
        raise CommandError(f"{path.name} is not {expected}")
    return content


def _list(context: typer.Context, kind: str) -> None:
    async def found(store: ArtifactStore) -> list[Artifact]:
        return await store.of_kind(kind)

    table = Table("name", "bytes", "SHA-256", "added")
    for each in _run(context, found):
        table.add_row(each.name, f"{each.size:,}", each.digest[:16], f"{each.added:%Y-%m-%d %H:%M}")
    Console().print(table)


def _run(context: typer.Context, work: Callable[[ArtifactStore], Awaitable[T]]) -> T:
    async def run(url: str) -> T:
        engine = create_engine(url)
        try:
            return await work(ArtifactStore(engine))
        finally:
            await engine.dispose()

    with deployment(context).database() as url:
        return asyncio.run(run(url))
