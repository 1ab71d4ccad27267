# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Commands `ndi index …`: figures of the index for the operator."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import orjson
from rich.console import Console
from rich.table import Table
import typer

from fhir_server.commands import CommandError, deployment
from fhir_server.outcome import Unavailable
from fhir_server.storage.database import create_engine
from patient_index.store import IndexStore, Statistics

app = typer.Typer(help="The patient data index.", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def index() -> None:
    """The patient data index."""


@app.command(epilog="**Example:** `ndi index stats --json`")
def stats(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show how many persons and entries the index knows; nothing about any person."""
    with deployment(context).database() as url:
        try:
            figures = asyncio.run(_statistics(url))
        except Unavailable as error:
            raise CommandError(error.message) from None
    if as_json:
        typer.echo(orjson.dumps(asdict(figures)).decode())
        return
    table = Table("what", "count")
    table.add_row("persons", f"{figures.persons:,}")
    for status, count in sorted(figures.entries.items()):
        table.add_row(f"entries, {status}", f"{count:,}")
    for kind, count in sorted(figures.types.items()):
        table.add_row(f"current entries, {kind}", f"{count:,}")
    table.add_row("history rows", f"{figures.history:,}")
    Console().print(table)


async def _statistics(url: str) -> Statistics:
    engine = create_engine(url, size=1)
    try:
        return await IndexStore(engine).statistics()
    finally:
        await engine.dispose()
