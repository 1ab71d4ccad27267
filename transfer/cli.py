# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi transfer …`: registers, how their work stands, dead letters."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
import json
from typing import Annotated, TypeVar

from rich.console import Console
from rich.table import Table
import typer

from fhir_server.commands import CommandError, deployment
from fhir_server.outcome import Invalid
from transfer.model import register as model
from transfer.model.variables import DEFAULT_REQUIRED
from transfer.store import Counts, DeadLetter, Registers, at
from transfer.turn import WorkerSettings

T = TypeVar("T")

app = typer.Typer(name="transfer", help="Submissions to quality registers.", no_args_is_help=True)
register = typer.Typer(name="register", help="The registers that are submitted to.", no_args_is_help=True)
app.add_typer(register)


@register.command("add")
def add(
    context: typer.Context,
    hsa_id: Annotated[str, typer.Option("--id", help="HSA-id of the register.")],
    name: Annotated[str, typer.Option("--name", help="Its name, as people see it.")],
    address: Annotated[str, typer.Option("--address", help="Base address; messages go to $process-message under it.")],
    purpose_sv: Annotated[str, typer.Option("--purpose-sv", help="What it is for, in Swedish (PDL 7:4).")],
    purpose_en: Annotated[str, typer.Option("--purpose-en", help="What it is for, in English.")],
    information_type: Annotated[
        list[str] | None, typer.Option(help="Information type it gets; may be repeated.")
    ] = None,
    require: Annotated[list[str] | None, typer.Option(help="Variable it takes no record without; repeatable.")] = None,
) -> None:
    """Add a register, or change one. Running workers take it up by themselves.

    Example: ndi transfer register add --id SE0000000055-REG --name Allergiregistret --address https://register.example
    --purpose-sv "Bättre allergivård" --purpose-en "Better allergy care"
    """
    try:
        made = model.register(
            hsa_id,
            name,
            address,
            tuple(information_type or ("alert",)),
            tuple(require or DEFAULT_REQUIRED),
            purpose_sv,
            purpose_en,
        )
    except Invalid as error:
        raise CommandError(error.message) from None
    _with(context, lambda registers: registers.save(made))
    typer.echo(f"{made.hsa_id} {made.name}: {', '.join(made.information_types)} to {made.address}")


@app.command()
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show how each register's work stands, and the dead letters with their reasons. No person is shown.

    Example: ndi transfer status --json
    """
    counts, letters = _with(context, _state)
    if as_json:
        value = {"registers": [asdict(each) for each in counts], "deadLetters": [asdict(each) for each in letters]}
        typer.echo(json.dumps(value, default=datetime.isoformat, ensure_ascii=False))
        return
    console = Console()
    for each in counts:
        console.print(_counts(each))
    if letters:
        console.print(_letters(letters))


@app.command()
def retry(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(help="Dead letters to send again.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters, and all events that had ended.")] = False,
) -> None:
    """Send dead letters again once their cause is mended. One that a newer delivery overtook is cancelled instead.

    Example: ndi transfer retry 17 18 · ndi transfer retry --all
    """
    if everything == bool(ids):
        raise CommandError("name the dead letters, or say --all")
    limit = WorkerSettings().delivery_attempts

    async def do(registers: Registers) -> tuple[int, int, int]:
        return await registers.retry(ids=None if everything else ids, now=datetime.now(UTC), attempts=limit)

    queued, cancelled, events = _with(context, do)
    typer.echo(f"{queued} queued, {cancelled} cancelled as overtaken, {events} events revived")


async def _state(registers: Registers) -> tuple[list[Counts], list[DeadLetter]]:
    return await registers.counts(), await registers.dead_letters()


def _counts(each: Counts) -> Table:
    table = Table("what", "state", "count", title=f"{each.register.name} ({each.register.hsa_id})")
    for what, states in (("records", each.records), ("deliveries", each.deliveries), ("events", each.events)):
        for state, count in sorted(states.items()):
            table.add_row(what, state, f"{count:,}")
    table.add_row("records", "in quarantine", f"{each.quarantined:,}")
    table.add_row("erasures", "under way", f"{each.erasures_open:,}")
    table.add_row(
        "oldest unsettled", "", "–" if each.oldest_open is None else each.oldest_open.isoformat("T", "seconds")
    )
    for reason in each.reasons:
        table.add_row(f"events of {reason.unit}", f"{reason.state}: {reason.reason}", f"{reason.count:,}")
    return table


def _letters(letters: list[DeadLetter]) -> Table:
    table = Table("id", "register", "record", "version", "kind", "attempts", "reason", title="Dead letters")
    for each in letters:
        table.add_row(
            str(each.id), each.register, each.record_key, str(each.version), each.kind, str(each.attempts), each.reason
        )
    return table


def _with(context: typer.Context, do: Callable[[Registers], Awaitable[T]]) -> T:
    """Runs `do` on the deployment's database."""

    async def run(url: str) -> T:
        async with at(url) as registers:
            return await do(registers)

    with deployment(context).database() as url:
        return asyncio.run(run(url))
