# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""`ndi demo`: sets the stage, plays the nine steps, checks each, and stays up to be clicked through."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
import json
from pathlib import Path
import sys
import time

import httpx2
from rich.console import Console

from demo.people import ASTRID, DISA
from demo.processes import ProcessError, Processes, busy_ports, environment
from demo.recorder import Recorder
from demo.scenario import (
    step0_prepare,
    step1_regions,
    step2_document,
    step3_existence,
    step4_consent,
    step5_block,
    step6_silence,
    step7_register,
    step8_write,
    step9_log,
    step10_privacy,
)
from demo.scenario.portal_api import Portal, PortalError
from demo.scenario.stage import Failed, World
from demo.set_up import PORT_OFFSETS, SetUp, SetUpError
from demo.table import Board, as_data
from demo.tokens import LoginFailed, SystemLogin

STEPS = (
    step0_prepare, step1_regions, step2_document, step3_existence, step4_consent, step5_block, step6_silence,
    step7_register, step8_write, step9_log, step10_privacy,
)  # fmt: skip
WIDTH = 150
"""Columns of the table where it goes into a file."""
_EXPECTED = (Failed, ProcessError, SetUpError, PortalError, LoginFailed, httpx2.HTTPError, OSError, TimeoutError)


def run(*, data: Path, base_port: int, once: bool, as_json: bool, keep: bool) -> int:
    """Plays the worked example; answers the exit code: 0 only if every step was checked and held.

    `data`: folder of database, keys and logs, used again by the next run. `once`: end after the scenario; `keep`:
    then leave everything running. `as_json`: print the steps as data, the table goes to standard error.
    """
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    folder = data.absolute()
    try:
        processes = Processes(folder, environment(folder / "ndi"))
        processes.stop_leftovers()
        busy = busy_ports([base_port + each for each in PORT_OFFSETS])
        if busy:
            others = f" and {len(busy) - 1} more" if len(busy) > 1 else ""
            return _fail(f"port {busy[0]}{others} in use: stop what listens there, or choose another --base-port")
        return asyncio.run(_play(SetUp(folder, base_port, processes), console, once=once, as_json=as_json, keep=keep))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _fail(f"{error.filename or folder}: {error.strerror or error}")


async def _play(stage: SetUp, console: Console, *, once: bool, as_json: bool, keep: bool) -> int:
    error: str | None = None
    begin, ready = time.monotonic(), 0.0
    for old in stage.processes.logs.glob("*"):
        old.unlink()
    try:
        with Board(console) as board:
            try:
                await stage.start(board.say)
                ready = time.monotonic() - begin
                await _scenario(stage, board)
            except _EXPECTED as failure:
                error = " ".join(str(failure).split()) or type(failure).__name__
        seconds = time.monotonic() - begin
        if as_json:
            facts = as_data(board.steps, seconds=seconds, ready_seconds=ready, error=error)
            print(json.dumps(facts, ensure_ascii=False, indent=1))
        if error is None and not as_json:
            console.print(f"Every step was checked and held. {seconds:.1f} s, of which {ready:.1f} s to start.")
        if not once and error is None:
            await _stay(stage, console)
    finally:
        if not (once and keep and error is None):
            stage.processes.stop_all()
            if stage.database_url:
                stage.stop_database()
    return 0 if error is None else _fail(f"{error} (logs in {stage.processes.logs})")


async def _scenario(stage: SetUp, board: Board) -> None:
    """The steps in their order; the first that fails ends it."""
    recorder = Recorder(stage.processes.logs)
    async with AsyncExitStack() as stack:
        http, browser = [await stack.enter_async_context(recorder.client()) for _ in range(2)]
        operator = SystemLogin(http, stage.url(), "operator", stage.key("operator"), "system/*.cruds")
        await stage.furnish(http, operator)
        world = World(
            data=stage.data,
            base_port=stage.base_port,
            processes=stage.processes,
            http=http,
            database_url=stage.database_url,
            staff_secret=stage.staff_secret,
            start_region=stage.start_region,
            start_transfer=stage.start_transfer,
            patient=Portal(browser, stage.url(), ASTRID.login),
            operator=operator,
            began=datetime.now(UTC).isoformat(),
        )
        for number, module in enumerate(STEPS):
            await module.run(world, board.step(number, module.TITLE))


async def _stay(stage: SetUp, console: Console) -> None:
    """Says where everything is and waits for Ctrl-C."""
    console.print(
        f"\nThe network is up until Ctrl-C.\n"
        f"  patient      {stage.url()}/login?as=patient   as {ASTRID.name}\n"
        f"  clinician    {stage.url()}/login?as=staff     as {DISA.name}\n"
        f"  tokens       {stage.url()}/oauth2/token, keys at {stage.url()}/oauth2/jwks\n"
        f"  regions      norr {stage.url(21)}, mitt {stage.url(22)}, syd {stage.url(23)}, clinic {stage.url(24)}\n"
        f"  register     {stage.url(31)}\n"
        f"  logs         {stage.processes.logs}\n"
    )
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        console.print("stopping")


def _fail(text: str) -> int:
    print(f"ndi demo: {text}", file=sys.stderr)
    return 1
