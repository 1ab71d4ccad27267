# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The command line `ndi`: its own commands, and those that each service brings."""

import asyncio
import errno
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
import os
from pathlib import Path
import platform
import shlex
import sys
from typing import Annotated, Any, Final

import asyncpg
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
import typer
from typer.exceptions import Abort, TyperException

from fhir_server.commands import CommandError
from fhir_server.outcome import FhirError
from ndi import migrate
from ndi import settings as configuration
from ndi.deployment import LocalDeployment, first_line
from ndi.embedded import EmbeddedError, EmbeddedPostgres
from ndi.fhir.cli import app as fhir
from ndi.keys import KeysError
from ndi.settings import Settings, SettingsError

_OWN: Final = frozenset({"serve", "sandbox", "token", "demo", "db", "fhir", "config", "version", "batch"})
"""Our own commands, which do not need the services' to be imported."""

app = typer.Typer(
    name="ndi",
    help="National digital infrastructure for health data.",
    epilog="Begin with **ndi demo**: it shows everything on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="The database: start, stop, upgrade, look at.", no_args_is_help=True, rich_markup_mode="markdown")
config = typer.Typer(help="The settings in use.", no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(db, name="db")
app.add_typer(fhir, name="fhir")
app.add_typer(config, name="config")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; answers the exit code: 0 done, 1 failed, 2 called in a wrong way. Errors are one line."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if not _OWN.intersection(given[:1]):
            _add_services()
        result = app(given, prog_name="ndi", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except TyperException as error:
        return _usage(error)
    except Abort:
        return _fail("stopped", 130)
    except (CommandError, EmbeddedError, KeysError, SettingsError) as error:
        return _fail(str(error))
    except FhirError as error:
        return _fail(str(error))
    except (asyncpg.PostgresError, SQLAlchemyError) as error:
        return _fail(f"the database refused: {first_line(error)}")
    except BrokenPipeError:
        # Who reads our output has seen enough: `ndi config show | head -1`. Nothing is left to be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(f"the disk is full{f': {error.filename}' if error.filename else ''}")
        if isinstance(error, ConnectionError):
            return _fail(f"no answer: {first_line(error)}")
        if error.filename is not None:
            return _fail(f"{error.filename}: {error.strerror}")
        raise


@app.callback()
def _prepare(context: typer.Context) -> None:
    if context.obj is None:
        needed = context.invoked_subcommand == "batch" or context.invoked_subcommand not in _OWN
        context.obj = LocalDeployment(_settings()) if needed else None


@app.command(epilog="**Examples:** `ndi serve` · `ndi serve --port 9000` · `ndi serve patient_index consent`")
def serve(
    services: Annotated[list[str] | None, typer.Argument(help="Services to serve; all if none is named.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (NDI_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (NDI_PORT).")] = None,
) -> None:
    """Serve all services, or those named, until Ctrl-C."""
    from ndi.processes.serve import serve as run

    unknown = sorted(set(services or ()) - set(migrate.SERVICES))
    if unknown:
        raise CommandError(f"there is no service {unknown[0]}: choose among {', '.join(migrate.SERVICES)}")
    # The services are imported when the port is known to be free.
    run(_settings(host=host, port=port), services or None, lambda *given: _assembly().build(*given))


@app.command(
    epilog="**Examples:** `ndi sandbox` · `ndi sandbox --types Patient,Observation --fresh` · "
    "`curl http://127.0.0.1:8740/fhir/metadata`"
)
def sandbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8740,
    types: Annotated[
        list[str] | None, typer.Option(help="Resource types to serve, separated by commas; all of R4 if not given.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Empty the sandbox before it starts.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
    database: Annotated[
        str | None,
        typer.Option(
            help="A PostgreSQL database of the sandbox's own. Default: the embedded one, in NDI_DATA/sandbox."
        ),
    ] = None,
) -> None:
    """Serve the FHIR kernel alone, all resource types, WITHOUT LOGIN, on this machine only; until Ctrl-C.

    For trying things out, for conformance suites and for authors of clients: invented data only. It keeps its data
    in a database of its own and refuses one that holds the services'.
    """
    from ndi.processes.sandbox import sandbox as run

    chosen = [name for each in types for name in each.replace(",", " ").split()] if types is not None else None
    if chosen == []:
        raise CommandError("--types names no type")
    run(_settings(), port=port, types=chosen, database=database, fresh=fresh, quiet=quiet)


@app.command(
    epilog="**Examples:** `TOKEN=$(ndi token operator)` · `ndi token region-norr --scope system/Organization.cu` · "
    "`PATIENT=$(ndi token ndi-portal --person astrid)`"
)
def token(
    client: Annotated[str, typer.Argument(help="client_id of a registered system.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="SMART scope to ask for; may be repeated. Default: all it may have.")
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="Log this test person in at the client, e.g. astrid or disa in the demo.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="The client's private JWK. Default: CLIENT.jwk in the key folder, or the demo's."),
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="Address of the authorization server (NDI_ISSUER).")] = None,
    redirect_uri: Annotated[
        str | None, typer.Option(help="With --person: one registered for the client. Default: the portal's.")
    ] = None,
) -> None:
    """Print a development token for a registered client, from the running authorization server.

    The token alone goes to standard output, until when and for what it is good to standard error.
    """
    from ndi import token as tokens

    found = _settings(issuer=issuer)
    file = key or tokens.key_file(found, client)
    scopes = [each for given in scope or () for each in given.split()]
    if person is None:
        issued = asyncio.run(tokens.system_token(found, client, file, scopes))
    else:
        issued = asyncio.run(tokens.person_token(found, client, file, person, scopes, redirect_uri))
    sys.stderr.write(f"{issued}\n")
    print(issued.text)


@app.command(epilog="**Examples:** `ndi demo` · `ndi demo --once` · `ndi demo --once --json | python -m json.tool`")
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the scenario instead of staying up.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the steps as JSON instead of a table.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="With --once: leave everything running at the end.")] = False,
    data: Annotated[Path, typer.Option(help="Folder for the demo's data.")] = Path("var/demo"),
    base_port: Annotated[int, typer.Option(help="First of the ports used, up to 31 above it.")] = 8700,
) -> None:
    """Play the worked example: three regions, a dentist, a patient, a register."""
    if find_spec("demo.play") is None:
        raise CommandError("this installation has no demo")
    from demo.play import run

    raise typer.Exit(run(data=data, base_port=base_port, once=once, as_json=as_json, keep=keep))


@db.command("start")
def db_start() -> None:
    """Start the embedded database and leave it running."""
    found = _settings()
    database = _embedded(found)
    LocalDeployment(found).prepare()  # the keys come before there are data
    print(database.start())


@db.command("stop")
def db_stop() -> None:
    """Stop the embedded database, whoever uses it."""
    print("stopped" if _embedded(_settings()).stop() else "it was not running")


@db.command("upgrade", epilog="**Examples:** `ndi db upgrade` · `ndi db upgrade consent audit`")
def db_upgrade(
    services: Annotated[list[str] | None, typer.Argument(help="Services to upgrade; all if none is named.")] = None,
) -> None:
    """Bring the schemas to their newest revision."""
    console = Console()
    try:
        with LocalDeployment(_settings()).server() as url, console.status("upgrading"):
            states = asyncio.run(migrate.upgrade(url, services or None))
    except ValueError as error:
        raise CommandError(str(error)) from None
    for state in states:
        what = f"at {state.head}" if state.up_to_date else f"{state.current or 'nothing'} → {state.head}"
        console.print(f"{state.service}: {what}", highlight=False)


@db.command("status")
def db_status() -> None:
    """Show where the database is and at which revision each schema stands; exit 1 if one is behind."""
    found = _settings()
    if found.database_url is None and not (found.database_folder / "PG_VERSION").exists():
        raise CommandError(f"there is no database in {found.database_folder} yet: ndi db upgrade makes it")
    with LocalDeployment(found).server() as url:
        states = asyncio.run(migrate.status(url))
        version = asyncio.run(_server_version(url))
    where = "embedded, " + str(found.database_folder) if found.database_url is None else _without_password(url)
    table = Table("schema", "revision", "newest", title=f"PostgreSQL {version} ({where})", title_justify="left")
    for state in states:
        table.add_row(state.service, state.current or "–", state.head or "–")
    Console().print(table)
    if not all(state.up_to_date for state in states):
        raise CommandError("some schemas are behind: ndi db upgrade")


@db.command("shell", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def db_shell(context: typer.Context) -> None:
    """Open psql on the database; arguments go to psql, e.g. `ndi db shell -c '\\dn'`."""
    import subprocess

    found = _settings()
    with LocalDeployment(found).server() as url:
        if found.database_url is None:
            command = _embedded(found).shell()
        else:
            command = [str(EmbeddedPostgres(found.database_folder).program("psql")), url]
        done = subprocess.run([*command, *context.args], check=False)
    raise typer.Exit(done.returncode)


@config.command("show")
def config_show() -> None:
    """Show every setting, its value (secrets masked) and what it means."""
    found = _settings()
    table = Table("setting", "value", "default", "meaning", title=f"file: {configuration.config_file() or 'none'}")
    for row in configuration.rows(found):
        changed = row.value != row.default
        table.add_row(row.name, f"[bold]{row.value}[/bold]" if changed else row.value, row.default, row.description)
    Console().print(table)


@config.command("table")
def config_table() -> None:
    """Print the table of docs/operations/settings.md."""
    print(configuration.table(), end="")


@app.command(epilog="**Example:** `ndi batch clients.txt`, with lines as `security client revoke region-norr`")
def batch(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Commands without the leading `ndi`, one a line; # begins a comment.")],
) -> None:
    """Run commands of the services from a file, in one process; the first that fails ends it."""
    _add_services()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise CommandError(f"{file}, line {number}: {error}") from None
        if words and words[0] in _OWN:
            raise CommandError(f"{file}, line {number}: {words[0]} stands for itself, not in a file")
        if words:
            app(words, prog_name="ndi", standalone_mode=False, obj=context.obj)


@app.command()
def version() -> None:
    """Show the versions of ndi, Python and the embedded PostgreSQL."""
    print(f"ndi {distribution_version('ndi')}, Python {platform.python_version()}, {_postgres_version()}")


def _settings(**overrides: Any) -> Settings:
    return configuration.load(**overrides)


def _embedded(settings: Settings) -> EmbeddedPostgres:
    if settings.database_url is not None:
        raise CommandError("NDI_DATABASE_URL is set: that database is not ours to start or stop")
    return EmbeddedPostgres(settings.database_folder)


def _postgres_version() -> str:
    try:
        return EmbeddedPostgres(Path("var/postgres")).program_version()
    except EmbeddedError:
        return "no embedded PostgreSQL"


def _assembly() -> Any:
    """`ndi.assembly`, which imports every service: only where it is needed, since that takes a while."""
    from ndi import assembly

    return assembly


def _add_services() -> None:
    if find_spec("ndi.assembly") is None:
        return
    for name, group in sorted(_assembly().command_groups().items()):
        app.add_typer(group, name=name)


async def _server_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def _without_password(url: str) -> str:
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def _usage(error: TyperException) -> int:
    show = getattr(error, "show", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError" and show is not None:
        show()
        return 2
    command = getattr(getattr(error, "ctx", None), "command_path", "ndi")
    return _fail(f"{message.rstrip('.')} (see {command} --help)", error.exit_code)


def _fail(text: str, code: int = 1) -> int:
    sys.stderr.write(f"ndi: {' '.join(text.split())}\n")
    return code
