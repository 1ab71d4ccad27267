# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What README and CONTRIBUTING tell people to paste, pasted: in an empty folder, with an empty home."""

from collections.abc import Iterator
import os
from pathlib import Path
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from tests.support.running import free_port

ROOT = Path(__file__).parents[1]
GIT = ("git", "-c", "user.name=tour", "-c", "user.email=tour@example.org", "-c", "init.defaultBranch=main")

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(900)]


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document that carry this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """An empty folder with an empty home in it, and the work tree as it is now as a repository to clone."""
    folder = Path(tempfile.mkdtemp(prefix="ndi-tour-"))
    (folder / "home").mkdir()
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if names.returncode != 0:
        pytest.skip("not a git work tree")
    for name in filter(None, names.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "now"]):
        subprocess.run([*GIT, *command], cwd=folder / "source", check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def paste(place: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[object]:
    """Runs blocks one after another in a shell, and prints step and seconds."""
    kept = ("PATH", "LANG", "PIP_CERT", "PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "SSL_CERT_FILE",
            "HTTPS_PROXY", "NO_PROXY", "NDI_TEST_DATABASE_URL")  # fmt: skip
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"HOME": str(place / "home"), "ONCE": "1", "PORT": str(free_port() % 20000 + 20000)}

    def run(steps: list[str], folder: Path) -> None:
        for number, step in enumerate(steps, 1):
            started = time.monotonic()
            done = subprocess.run(
                ["bash", "-euc", step], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, f"{step}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            with capfd.disabled():
                print(f"\n  step {number}: {step.splitlines()[0][:60]:60} {time.monotonic() - started:6.1f} s", end="")

    yield run


def test_two_commands_of_the_readme(place: Path, paste: object) -> None:
    (clone_and_demo,) = blocks("README.md", "")[:1]
    assert callable(paste)
    paste([clone_and_demo.replace("<address of this repository>", str(place / "source"))], place)


def test_the_tour_of_contributing(place: Path, paste: object) -> None:
    subprocess.run([*GIT, "clone", "--quiet", str(place / "source"), str(place / "tour")], check=True)
    assert callable(paste)
    paste(blocks("CONTRIBUTING.md", "sh"), place / "tour")
