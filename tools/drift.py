# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Writes the files that are made from code; with `--check` it only tells which are out of date.

- `openapi/<service>.json` from the services' routes
- the table in `docs/operations/settings.md` from the settings

`--check` also holds that no tracked file names a place of one machine, and that every program begins with its licence.
"""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import subprocess
import sys
import warnings

from ndi import assembly, settings

ROOT = Path(__file__).parents[1]
SETTINGS_PAGE = ROOT / "docs" / "operations" / "settings.md"
BEGIN, END = "<!-- begin: written by make settings -->\n", "<!-- end -->\n"

_LICENCE = "SPDX-License-" + "Identifier: EUPL-1.2"  # in two parts, or reuse takes it for this file's own
_PROGRAMS = (".py", ".sh", ".sql")
_OTHER_PROGRAMS = {"Makefile", ".ci/run"}
_PLACES = re.compile("/" + r"(?:home|Users|root|work|opt/pypi|opt/wheels)/[A-Za-z0-9_.]")


def main(check: bool) -> int:
    """Writes, or checks; answers the exit code."""
    stale = [path for path, text in generated() if not path.exists() or path.read_text() != text]
    if not check:
        for path, text in generated():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in stale:
            print(f"written: {path.relative_to(ROOT)}")
        return 0
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: make openapi")
    unknown = sorted({path.stem for path in (ROOT / "openapi").glob("*.json")} - set(assembly.openapi()))
    for name in unknown:
        print(f"openapi/{name}.json belongs to no service: remove it")
    faults = [*machine_places(), *without_licence()]
    for fault in faults:
        print(fault)
    return 1 if stale or unknown or faults else 0


def generated() -> Iterator[tuple[Path, str]]:
    """Each generated file with the text it should have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        documents = assembly.openapi()
    for name, document in documents.items():
        text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
        yield ROOT / "openapi" / f"{name}.json", text + "\n"
    page = SETTINGS_PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    yield SETTINGS_PAGE, before + BEGIN + "\n" + settings.table() + "\n" + END + after


def machine_places() -> Iterator[str]:
    """Lines of tracked text files that name a folder of one machine."""
    for name, text in _texts(ROOT):
        for number, line in enumerate(text.splitlines(), 1):
            if _PLACES.search(line):
                yield f"{name}:{number}: names a folder of one machine"


def without_licence(root: Path = ROOT) -> Iterator[str]:
    """Programs whose first lines lack the licence: REUSE.toml would cover them in silence, a copied file not."""
    for name, text in _texts(root, "--others", "--exclude-standard"):
        if (name.endswith(_PROGRAMS) or name in _OTHER_PROGRAMS) and _LICENCE not in "".join(text.splitlines()[:4]):
            yield f"{name}: begins without the line {_LICENCE}"


def _texts(root: Path, *more: str) -> Iterator[tuple[str, str]]:
    """Name and content of the text files that git tracks, and with `more` of others."""
    command = ["git", "ls-files", "-z", "--cached", *more]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        try:
            yield name, (root / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
