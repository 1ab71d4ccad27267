# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The work of `ndi fhir load`: progress while it runs, what was refused, a summary by type."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
import gc
import os
from pathlib import Path
import sys
import time
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fhir_server.bulk.load import Line, Loader, Rejected, Tally
from fhir_server.bulk.ndjson import files_of, lines, stream_lines
from fhir_server.context import Caller, CallerKind, Context
from fhir_server.storage.load import BatchStore
from ndi.fhir.target import Target

STDIN: Final = "-"
_SHOWN: Final = 5
_TRUSTED: Final = "TRUSTED LOAD: nothing is validated; what is wrong in the files will be wrong in the store"
_LOADER: Final = Caller(
    client_id="ndi-fhir-load",
    kind=CallerKind.system,
    scopes=frozenset({"system/*.cruds"}),
    roles=frozenset({"operator"}),
    purpose="HOPERAT",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be loaded, and how."""

    paths: Sequence[str]
    trusted: bool
    rejected: Path | None
    batch: int


def load(target: Target, order: Order) -> Tally:
    """Loads and tells what was done. Raises `Unreadable`."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    if order.trusted:
        errors.print(_TRUSTED, style="bold white on red")
    with ExitStack() as stack:
        refused = stack.enter_context(_refusing(order.rejected, errors))
        progress = stack.enter_context(_progress(errors))
        tune()
        began = time.monotonic()
        tally = asyncio.run(_load(target, order, refused, progress))
    _tell(tally, time.monotonic() - began, order)
    return tally


def tune() -> None:
    """Sets this process up for one long piece of work in two threads; each was measured to save a fifth of the time.

    What was made until now stays: the collector need not look at it, nor as often. And the thread that writes waits for
    the one that reads half a millisecond at each statement, not five.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(0.0005)


async def _load(target: Target, order: Order, refused: Any, progress: Progress) -> Tally:
    store = BatchStore(target.engine, target.service.name, audit_function=target.audit_function)
    loader = Loader(
        target.service, store, context=_context, packages=target.packages, trusted=order.trusted, batch=order.batch,
        rejected=refused,
    )  # fmt: skip
    try:
        return await loader.load(_lines(order.paths, loader, progress))
    finally:
        await target.engine.dispose()


def _lines(paths: Sequence[str], loader: Loader, progress: Progress) -> Iterator[Line]:
    if list(paths) == [STDIN]:
        task, given = progress.add_task("standard input", total=None, rate=""), _stdin()
    else:
        files = files_of([Path(each) for each in paths])
        total = sum(file.stat().st_size for file in files)
        task = progress.add_task(files[0].name, total=total, rate="")
        given = lines(files, lambda done: progress.update(task, completed=done))
    began, told = time.monotonic(), 0.0
    for line in given:
        now = time.monotonic()
        if now - told > 0.2:
            told = now
            done = loader.tally.stored + loader.tally.rejected
            progress.update(task, description=Path(line.source).name, rate=f"{done / max(now - began, 0.2):,.0f}/s")
        yield line


def _stdin() -> Iterator[Line]:
    yield from stream_lines("standard input", sys.stdin.buffer)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        yield bar


@contextmanager
def _refusing(file: Path | None, console: Console) -> Iterator[Any]:
    """What hears of each refused line: the first few are shown, all are kept in the file, with their text."""
    shown = 0
    # Readable by its owner alone: the lines hold what the resources hold.
    opened = None if file is None else os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

    def heard(each: Rejected) -> None:
        nonlocal shown
        shown += 1
        first = each.outcome["issue"][0]
        if shown <= _SHOWN:
            where = f" ({first['expression'][0]})" if first.get("expression") else ""
            console.print(f"{each.line.source}:{each.line.number}: {first['diagnostics']}{where}", markup=False)
        elif shown == _SHOWN + 1:
            console.print(f"… and more: {'see ' + str(file) if file else '--rejected FILE keeps them'}", markup=False)
        if opened is not None:
            told = {"file": each.line.source, "line": each.line.number, "outcome": each.outcome}
            text = each.line.body.decode(errors="replace")
            opened.write(orjson.dumps({**told, "text": text}, option=orjson.OPT_APPEND_NEWLINE))
            opened.flush()

    try:
        yield heard
    finally:
        if opened is not None:
            opened.close()


def _tell(tally: Tally, seconds: float, order: Order) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for kind in sorted({*tally.new, *tally.changed, *tally.same}):
        console.print(f"{kind}: {tally.new[kind]} new, {tally.changed[kind]} changed, {tally.same[kind]} unchanged")
    if tally.rejected:
        console.print(f"rejected: {tally.rejected}{f', kept in {order.rejected}' if order.rejected else ''}")
    rate = (tally.stored + tally.rejected) / max(seconds, 0.001)
    console.print(f"{tally.stored + tally.rejected:,} lines in {seconds:.1f} s, {rate:,.0f}/s")


def _context() -> Context:
    return Context(_LOADER, "", datetime.now(UTC), float("inf"), os.urandom(16).hex(), clock=lambda: 0.0)
