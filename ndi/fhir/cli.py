# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi fhir …`: load resources in bulk."""

from pathlib import Path
from typing import Annotated

import typer

from fhir_server.commands import CommandError
from ndi import logs
from ndi import settings as configuration

app = typer.Typer(help="Resources in bulk.", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def _fhir() -> None:
    """Keeps `load` a command of its own while it is the only one."""


@app.command(
    epilog="**Examples:** `ndi fhir load patients.ndjson` · `ndi fhir load export/ --rejected wrong.ndjson` · "
    "`zcat all.gz | ndi fhir load -` · `ndi fhir load --into provider_catalog units.ndjson.gz`"
)
def load(
    files: Annotated[list[str], typer.Argument(help="NDJSON, plain or gzipped; folders of it; - for standard input.")],
    into: Annotated[str, typer.Option(help="The service that keeps them, or the sandbox.")] = "sandbox",
    trusted: Annotated[bool, typer.Option("--trusted", help="Validate nothing; this is told and logged.")] = False,
    rejected: Annotated[
        Path | None, typer.Option(help="File for the lines that were refused: number, OperationOutcome, text.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=5000, help="Resources of one transaction.")] = 500,
    database: Annotated[str | None, typer.Option(help="With the sandbox: its database, as of `ndi sandbox`.")] = None,
) -> None:
    """Load resources under their own ids; what is there with the same content stays as it is.

    Each line is validated as a write over HTTP is. What was committed stays when it is killed: run it again.
    """
    from fhir_server.bulk.ndjson import Unreadable
    from ndi.fhir.load import STDIN, Order
    from ndi.fhir.load import load as run
    from ndi.fhir.target import target

    if STDIN in files and len(files) > 1:
        raise CommandError("- for standard input stands alone")
    found = configuration.load()
    logs.set_up(found.log_level, found.log_format)
    try:
        with target(found, into, database) as opened:
            tally = run(opened, Order(files, trusted, rejected, batch))
    except Unreadable as error:
        raise CommandError(str(error)) from None
    if tally.rejected:
        raise typer.Exit(1)
