# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""NDJSON as it is read from files and streams, plain or gzipped, a line at a time."""

from collections.abc import Callable, Iterator, Sequence
import gzip
from pathlib import Path
from typing import IO, Final, cast
import zlib

from fhir_server.bulk.load import Line

NAMES: Final = ("*.ndjson", "*.ndjson.gz")
LONGEST: Final = 32 * 1024 * 1024
"""Bytes of one line; a longer one is handed on cut short, so that it is refused and nothing else is lost."""
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


class Unreadable(Exception):
    """A file that is not there, or damaged. The text names it."""


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those of folders and their subfolders, by name. Raises `Unreadable` if there are none."""
    found: list[Path] = []
    for path in paths:
        here = sorted({each for name in NAMES for each in path.rglob(name)}) if path.is_dir() else [path]
        if not here:
            raise Unreadable(f"{path}: no NDJSON file there")
        found += here
    for path in found:
        if not path.is_file():
            raise Unreadable(f"{path}: no such file")
    return found


def lines(files: Sequence[Path], read: Callable[[int], None]) -> Iterator[Line]:
    """Every line of the files that is not blank; `read` hears how many bytes of all files are done."""
    before = 0
    for file in files:
        with file.open("rb") as opened:
            for line in stream_lines(str(file), opened):
                read(before + opened.tell())
                yield line
        before += file.stat().st_size
        read(before)


def stream_lines(name: str, opened: IO[bytes]) -> Iterator[Line]:
    """Every line of one stream that is not blank; it is told by its first bytes whether it is gzipped."""
    start = opened.peek(2)[:2] if hasattr(opened, "peek") else b""
    plain = cast(IO[bytes], gzip.GzipFile(fileobj=opened)) if start == _GZIP else opened
    number = 0
    try:
        while body := plain.readline(LONGEST):
            number += 1
            if len(body) == LONGEST and not body.endswith(b"\n"):
                while (rest := plain.readline(LONGEST)) and not rest.endswith(b"\n"):
                    pass
            body = (body.removeprefix(_BOM) if number == 1 else body).strip()
            if body:
                yield Line(name, number, body)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise Unreadable(f"{name}: damaged after line {number}; what came before is loaded") from None
