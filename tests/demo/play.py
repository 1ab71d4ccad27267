# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Runs `ndi demo` as a person would, in a folder and on ports of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
import json
import os
from pathlib import Path
import random
import subprocess
import sys
from typing import Any

from demo.processes import Processes, busy_ports, environment
from demo.set_up import PORT_OFFSETS

SECONDS = 300


def free_base_port() -> int:
    """A base port whose whole range is free."""
    while True:
        base = random.randrange(20_000, 30_000, 50)
        if not busy_ports([base + each for each in PORT_OFFSETS]):
            return base


@dataclass(frozen=True, slots=True)
class Play:
    """A demo in a folder."""

    data: Path
    base_port: int

    def command(self, *options: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "ndi", "demo", "--data", str(self.data), "--base-port", str(self.base_port),
                *options]  # fmt: skip

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """Starts it and goes on."""
        return subprocess.Popen(
            self.command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
        )

    def run(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """Runs it to its end with --json: exit code, what it printed, and the last of its standard error."""
        done = subprocess.run(
            self.command("--json", *options), capture_output=True, text=True, timeout=SECONDS, env=_environment()
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr[-1500:]

    def pid(self, name: str) -> int:
        """Process id of one of its processes."""
        if name == "postgres":
            return int((self.data / "ndi" / "postgres" / "postmaster.pid").read_text().split()[0])
        return int(json.loads((self.data / "run" / f"{name}.json").read_text())["pid"])

    def stop(self) -> None:
        """Ends what is left of it."""
        processes = Processes(self.data, environment(self.data / "ndi"))
        processes.stop_leftovers()
        processes.command("db", "stop")

    def url(self, offset: int = 0) -> str:
        """Address of a process."""
        return f"http://127.0.0.1:{self.base_port + offset}"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NDI_")}


def lines(played: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """All exchanges of all steps."""
    return [each for step in played["steps"] for each in step["exchanges"]]
