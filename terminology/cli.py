# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi terminology …`: load published code systems, value sets and maps."""

import asyncio
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
import typer

from fhir_server.commands import CommandError, deployment
from fhir_server.storage.database import create_engine
from terminology.load import Loaded, NotLoaded, files_of
from terminology.load import load as load_files

app = typer.Typer(help="Code systems, value sets and maps.", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def _terminology() -> None:
    """Keeps `load` a command of its own while it is the only one."""


@app.command(epilog="**Examples:** `ndi terminology load codes.json` · `ndi terminology load package/`")
def load(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A JSON or NDJSON file, also gzipped, or a folder of them.")],
) -> None:
    """Load CodeSystem, ValueSet and ConceptMap resources; what is there already is left as it is."""
    try:
        files = files_of(path)
        with deployment(context).database() as url:
            loaded = asyncio.run(_load(url, files))
    except NotLoaded as error:
        raise CommandError(str(error)) from None
    _tell(loaded)


async def _load(url: str, files: list[Path]) -> Loaded:
    engine = create_engine(url)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("loading", total=sum(file.stat().st_size for file in files))
            before = dict.fromkeys(files, 0)

            def progress(file: Path, done: int) -> None:
                bar.update(task, advance=done - before[file], description=file.name)
                before[file] = done

            return await load_files(engine, files, progress)
    finally:
        await engine.dispose()


def _tell(loaded: Loaded) -> None:
    console = Console(highlight=False)
    kinds = sorted({*loaded.new, *loaded.changed, *loaded.unchanged})
    for kind in kinds:
        new, changed, same = loaded.new[kind], loaded.changed[kind], loaded.unchanged[kind]
        console.print(f"{kind}: {new} new, {changed} changed, {same} unchanged")
    for kind, count in sorted(loaded.skipped.items()):
        console.print(f"{kind}: {count} left out, not terminology")
