# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The demo's processes: started, waited for, killed, and found again after a run that was itself killed.

Each process has a log file and a pid file with its start time, so that only processes we started are ever ended.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import httpx2
import psutil

START_SECONDS = 40.0
STOP_SECONDS = 8.0


class ProcessError(Exception):
    """A process did not do what it was started for; the text is one line that says where to look."""


def busy_ports(ports: Sequence[int]) -> list[int]:
    """The ports that something listens on."""
    busy = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                busy.append(port)
    return busy


class Processes:
    """Everything one demo has started. `folder` keeps pid files (`run/`) and logs (`logs/`)."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._run, self.logs, self._environment = folder / "run", folder / "logs", dict(environment)
        for each in (self._run, self.logs):
            each.mkdir(parents=True, exist_ok=True)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, arguments: Sequence[str], **environment: str) -> None:
        """Starts `python -m <arguments>` in a session of its own, so that Ctrl-C reaches only us."""
        with (self.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._environment, **environment},
                start_new_session=True,
            )
        self._children[name] = child
        born = psutil.Process(child.pid).create_time()
        (self._run / f"{name}.json").write_text(json.dumps({"pid": child.pid, "born": born}))

    def command(self, *arguments: str, given: str | None = None, **environment: str) -> str:
        """Runs `ndi <arguments>` to its end and gives its output; `given` goes to its input. Raises `ProcessError`."""
        done = subprocess.run(
            [sys.executable, "-m", "ndi", *arguments],
            input=given,
            capture_output=True,
            text=True,
            env={**self._environment, **environment},
            check=False,
            timeout=180,
        )
        with (self.logs / "commands.log").open("a") as log:
            log.write(f"ndi {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ProcessError(f"ndi {' '.join(arguments[:3])}: {reason[0].removeprefix('ndi: ')}")
        return done.stdout

    async def healthy(self, name: str, url: str, ready: Callable[[httpx2.Response], bool] | None = None) -> None:
        """Returns when `url` answers 200 and is `ready`. Raises `ProcessError` if it ends or takes too long."""
        until = time.monotonic() + START_SECONDS
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
            while time.monotonic() < until:
                child = self._children[name]
                if child.poll() is not None:
                    raise ProcessError(f"{name} ended with code {child.returncode}: {self._last_line(name)}")
                try:
                    answer = await http.get(url)
                    if answer.status_code == 200 and (ready is None or ready(answer)):
                        return
                except httpx2.HTTPError:
                    pass  # not up yet
                await asyncio.sleep(0.05)
        raise ProcessError(f"{name} does not answer at {url}; see {self.logs / f'{name}.log'}")

    def pid(self, name: str) -> int:
        """The process id."""
        return self._children[name].pid

    def alive(self, name: str) -> bool:
        """Whether the process runs."""
        return name in self._children and self._children[name].poll() is None

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal; SIGKILL is waited for."""
        child = self._children[name]
        child.send_signal(number)
        if number is signal.SIGKILL:
            child.wait(STOP_SECONDS)

    def stop_all(self) -> None:
        """Ends everything this run has started, those who use the others first."""
        children = dict(reversed(self._children.items()))
        for child in children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.terminate()
        until = time.monotonic() + STOP_SECONDS
        for name, child in children.items():
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_SECONDS)
            (self._run / f"{name}.json").unlink(missing_ok=True)
        self._children.clear()

    def stop_leftovers(self) -> int:
        """Ends what an earlier run left behind, by its pid files; answers how many processes that were."""
        found: list[psutil.Process] = []
        for file in sorted(self._run.glob("*.json")):
            try:
                known = json.loads(file.read_text())
                process = psutil.Process(int(known["pid"]))
                if abs(process.create_time() - float(known["born"])) < 1:
                    found.append(process)
            except (psutil.NoSuchProcess, ValueError, KeyError):
                pass  # gone, or the file was cut off: nothing of ours runs under that number
            file.unlink()
        for process in found:
            _quietly(process.resume)
            _quietly(process.terminate)
        _, left = psutil.wait_procs(found, timeout=STOP_SECONDS)
        for process in left:
            _quietly(process.kill)
        psutil.wait_procs(left, timeout=STOP_SECONDS)
        return len(found)

    def _last_line(self, name: str) -> str:
        lines = (self.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"


def _quietly(what: Callable[[], None]) -> None:
    try:
        what()
    except psutil.NoSuchProcess:
        pass  # it went by itself


def environment(data: Path) -> dict[str, str]:
    """Our own environment without what would lead the demo's `ndi` elsewhere, and with the demo's data folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NDI_")}
    return {**inherited, "NDI_DATA": str(data), "PYTHONUNBUFFERED": "1"}
