# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Makes the virtual environment of the project: `python3.11 tools/setup.py run|dev` (make does it).

Needs nothing but Python 3.11. Every package comes by a hash in a lock file. uv, itself from the lock, installs
in seconds what takes pip most of a minute; where uv cannot (no wheel, no index it knows), pip does it.
"""

import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"run": "requirements.lock", "dev": "requirements-dev.lock"}
BUILD = "requirements-build.lock"


def main(kind: str) -> int:
    """Makes or completes the environment; answers the exit code. A second run finds its stamp and does nothing."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the one place that older versions reach
        return fail(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12 …")
    stamp, wanted = VENV / f".{kind}", fingerprint(kind)
    if any(mark.is_file() and mark.read_text() == fingerprint(made) for made, mark in stamps(kind)):
        return 0
    started = time.monotonic()
    sys.stderr.write(f"setting up {VENV.name}: {LOCKS[kind]} …\n")
    if not PYTHON.exists() and run([sys.executable, "-m", "venv", str(VENV)]):
        return fail("the virtual environment could not be made: install venv (Debian: apt install python3-venv)")
    if run([*pip(), "install", "--require-hashes", "-r", BUILD]):
        return fail(reason())
    requirements = ["--require-hashes", "-r", LOCKS[kind]]
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON), *requirements]
    if run(uv) and run([*pip(), "install", *requirements]):
        return fail(reason())
    if run([*pip(), "install", "--no-deps", "--no-build-isolation", "--editable", "."]):
        return fail(reason())
    stamp.write_text(wanted)
    sys.stderr.write(f"set up in {time.monotonic() - started:.0f} s\n")
    return 0


def stamps(kind: str) -> list[tuple[str, Path]]:
    """Environments that will do: that of developers holds all that is needed to run."""
    return [(made, VENV / f".{made}") for made in (("run", "dev") if kind == "run" else ("dev",))]


def fingerprint(kind: str) -> str:
    """Changes with what is installed, and when the folder was moved: scripts name their interpreter."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {VENV}".encode())
    for name in (BUILD, LOCKS[kind], "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def pip() -> list[str]:
    """pip of the environment, quiet."""
    return [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check"]


def run(command: list[str]) -> int:
    """Runs a command and keeps what it said for `reason`; answers its exit code."""
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        said.append(str(error))
        return 127
    said.append(done.stdout + done.stderr)
    return done.returncode


said: list[str] = []


def reason() -> str:
    """One line for what went wrong, from what the installers said."""
    text = said[-1]
    if "No space left on device" in text:
        return "the disk is full: about 700 MB are needed"
    if any(sign in text for sign in ("gcc' failed", "cc' failed", "Python.h", "error: command")) or (
        "Failed building wheel" in text and shutil.which("cc") is None
    ):
        return "a package must be compiled here: install a C compiler (Debian: apt install gcc python3-dev)"
    if any(sign in text for sign in ("NewConnectionError", "Temporary failure", "ConnectTimeout", "timed out")):
        return "the package index does not answer: check the network or PIP_INDEX_URL"
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.splitlines()
    return lines[0].strip() if lines else "the packages could not be installed"


def fail(text: str) -> int:
    """One line, and the exit code."""
    sys.stderr.write(f"setup: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] in (["run"], ["dev"]) else "run"))
