# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The command line as people use it: a process, its output, its exit code."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import httpx2
import pytest

from ndi.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
Ndi = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ndi-cli-"))
    yield folder
    EmbeddedPostgres(folder / "var" / "postgres").stop()
    shutil.rmtree(folder)


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NDI_")}
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "160"} | more


@pytest.fixture
def ndi(home: Path) -> Ndi:
    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "ndi", *arguments],
            cwd=home, env=environment(home, **more), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def one_line(done: "subprocess.CompletedProcess[str]", code: int = 1) -> str:
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.startswith("ndi: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_help_lists_own_commands_and_those_of_services(ndi: Ndi) -> None:
    done = ndi("--help")
    assert done.returncode == 0, done.stderr
    for name in ("serve", "demo", "db", "config", "version", "security", "terminology"):
        assert f" {name} " in done.stdout
    assert "Examples" in ndi("serve", "--help").stdout


def test_version(ndi: Ndi) -> None:
    assert ndi("version").stdout.startswith("ndi 0.1.0, Python 3.")


def test_database_from_nothing_to_stopped(ndi: Ndi, home: Path) -> None:
    assert "no database" in one_line(ndi("db", "status"))
    assert ndi("db", "start").stdout.startswith("postgresql://")
    upgraded = ndi("db", "upgrade")
    assert "audit: nothing → 0001" in upgraded.stdout, upgraded.stderr
    again = ndi("db", "upgrade", "audit")
    assert again.stdout.startswith("audit: at ")
    assert again.stdout.count("\n") == 1
    assert "audit" in ndi("db", "status").stdout
    assert "audit" in ndi("db", "shell", "-c", "\\dn").stdout
    assert EmbeddedPostgres(home / "var" / "postgres").running_pid() is not None, "db start leaves it running"
    assert ndi("db", "stop").stdout == "stopped\n"
    assert ndi("db", "stop").stdout == "it was not running\n"


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["serv"], "No such command 'serv'", 2),
        (["serve", "--prot", "1"], "No such option", 2),
        (["serve", "nonsense"], "no service nonsense", 1),
        (["serve", "--port", "70000"], "NDI_PORT", 1),
        (["serve", "--host", "192.0.2.1"], "192.0.2.1 is no address of this machine", 1),
        (["db", "upgrade", "nonsense"], "no such service: nonsense", 1),
    ],
)
def test_mistakes_are_one_line(ndi: Ndi, arguments: list[str], says: str, code: int) -> None:
    assert says in one_line(ndi(*arguments), code)


def test_a_database_that_does_not_answer_is_one_line(ndi: Ndi) -> None:
    url = "postgresql://ndi:hemligt@127.0.0.1:1/ndi"
    for arguments in (["serve", "--port", str(free_port())], ["db", "upgrade"], ["db", "status"]):
        assert "hemligt" not in one_line(ndi(*arguments, NDI_DATABASE_URL=url))
    assert "not ours" in one_line(ndi("db", "stop", NDI_DATABASE_URL=url))


def test_config_show_masks_secrets(ndi: Ndi) -> None:
    done = ndi("config", "show", NDI_DATABASE_URL="postgresql://ndi:hemligt@db/ndi")
    assert "NDI_DATABASE_URL" in done.stdout
    assert "hemligt" not in done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_busy_port_is_one_line_before_anything_is_started(ndi: Ndi, home: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        assert "is in use" in one_line(ndi("serve", "--port", str(busy.getsockname()[1])))
    assert not (home / "var").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_answers_and_stops_with_its_database(home: Path, number: signal.Signals) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "ndi", "serve", "--port", str(port)],
        cwd=home, env=environment(home), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            health = await answer(f"http://127.0.0.1:{port}/health", process)
            assert health.json()["status"] == "ok"
            metadata = await answer(f"http://127.0.0.1:{port}/consent/fhir/metadata", process)
            assert metadata.json()["resourceType"] == "CapabilityStatement"
        finally:
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert EmbeddedPostgres(home / "var" / "postgres").running_pid() is None


async def answer(url: str, process: "subprocess.Popen[str]") -> httpx2.Response:
    end = time.monotonic() + 30
    async with httpx2.AsyncClient(trust_env=False) as http:
        while True:
            try:
                return await http.get(url)
            except httpx2.TransportError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.1)
