# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi fhir …`: load resources in bulk, keep packages of profiles."""

from pathlib import Path
from typing import Annotated, Final

from rich.console import Console
import typer

from fhir_server.commands import CommandError
from ndi import logs
from ndi import settings as configuration

_R4: Final = frozenset({"hl7.fhir.r4.core", "hl7.fhir.r4.examples", "hl7.fhir.core"})
"""R4's own definitions: the tables of the kernel hold what they ask."""

app = typer.Typer(help="Resources in bulk, packages of profiles.", no_args_is_help=True, rich_markup_mode="markdown")


package = typer.Typer(help="Packages of profiles.", no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(package, name="package")


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


@package.command(
    "add",
    epilog="**Examples:** `ndi fhir package add hl7.fhir.uv.ips-2.0.0.tgz` · `ndi fhir package add guide/output/`",
)
def add(
    paths: Annotated[list[Path], typer.Argument(help="A package (tgz), or a folder with its package.json.")],
) -> None:
    """Keep packages: `$validate` holds resources against their profiles, in processes that run too."""
    from fhir_server.validation.packages import BadPackage, Packages, read_package

    packages = Packages(configuration.load().packages_folder)
    console = Console(highlight=False, soft_wrap=True)
    for path in paths:
        try:
            found = read_package(path)
            packages.add(found)
        except BadPackage as error:
            raise CommandError(str(error)) from None
        console.print(f"{found.id}: {len(found.profiles)} profiles, {len(found.resources)} definitions", markup=False)
    here = {each.name for each in packages.installed()}
    needed = {each for kept in packages.installed() for each in kept.dependencies if each not in _R4}
    for name in sorted(needed - here):
        console.print(f"not here: {name}; what its definitions decide is not asked", markup=False)


@package.command("list")
def list_packages() -> None:
    """Show the packages that are kept and their profiles of resources."""
    from fhir_server.validation.packages import Packages

    console = Console(highlight=False, soft_wrap=True)
    for each in Packages(configuration.load().packages_folder).installed():
        console.print(f"{each.id}: {each.title}", markup=False)
        for url in each.profiles:
            console.print(f"  {url}", markup=False)


@package.command("remove", epilog="**Example:** `ndi fhir package remove hl7.fhir.uv.ips#2.0.0`")
def remove(name: Annotated[str, typer.Argument(help="NAME for all its versions, or NAME#VERSION.")]) -> None:
    """Forget packages."""
    from fhir_server.validation.packages import Packages

    if not Packages(configuration.load().packages_folder).remove(name):
        raise CommandError(f"there is no package {name}: see ndi fhir package list")
