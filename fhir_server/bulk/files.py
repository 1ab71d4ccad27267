# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The results of a job as files: one folder a job, one below it for each attempt, NDJSON compressed by gzip.

A file counts only when the job's row names it, which happens when all are complete and on disk; what a killed worker
left is never served and swept with the job.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
import gzip
import os
from pathlib import Path
import shutil
from typing import Any, Final
import zlib

_LEVEL: Final = 1
"""Resources become 4.3 times smaller by it, 5.0 times by the default level of gzip, in half the time."""
_CHUNK: Final = 256 * 1024
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
"""Between tokens of JSON they are only space; within strings they cannot stand."""


@dataclass(frozen=True, slots=True)
class Part:
    """A finished file, as the manifest names it."""

    kind: str
    """output, deleted or error."""
    type: str
    name: str
    count: int

    def row(self) -> dict[str, Any]:
        """The part as JSON."""
        return {"kind": self.kind, "type": self.type, "name": self.name, "count": self.count}


def line(resource: bytes) -> bytes:
    """The resource on a line of its own; numbers and order as they are."""
    return resource.translate(_LINE_BREAKS) + b"\n"


class Folder:
    """The folder of all jobs of a service."""

    def __init__(self, root: Path, service: str) -> None:
        self._root = root / service

    def attempt(self, job_id: str, number: int) -> Path:
        """Where an attempt writes; nobody but us may enter. What earlier attempts left is removed."""
        path = self._root / job_id / str(number)
        self.remove(job_id)
        path.mkdir(parents=True, mode=0o700)
        self._root.chmod(0o700)
        return path

    def file(self, job_id: str, number: int, name: str) -> Path:
        """The file of a finished job."""
        return self._root / job_id / str(number) / f"{name}.gz"

    def remove(self, job_id: str) -> None:
        """Removes all that a job left; again if need be."""
        shutil.rmtree(self._root / job_id, ignore_errors=True)


class Writer:
    """Writes the resources of one type into files of a limited number of lines."""

    def __init__(self, folder: Path, kind: str, resource_type: str, most: int) -> None:
        self._folder, self._kind, self._type, self._most = folder, kind, resource_type, most
        self._file: gzip.GzipFile | None = None
        self._count = 0
        self.parts: list[Part] = []

    async def write(self, lines: Iterable[bytes]) -> None:
        """Adds lines, off the event loop."""
        await asyncio.to_thread(self._write, list(lines))

    async def close(self) -> list[Part]:
        """Completes the last file; gives all of them. They are on disk then."""
        await asyncio.to_thread(self._close)
        return self.parts

    def abandon(self) -> None:
        """Lets go of the file that is open; it stays incomplete and unnamed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, lines: list[bytes]) -> None:
        while lines:
            if self._file is None:
                self._file = gzip.open(self._folder / f"{self._name()}.gz", "wb", compresslevel=_LEVEL)  # noqa: SIM115 - closed by _close
            room = self._most - self._count
            self._file.write(b"".join(lines[:room]))
            self._count += len(lines[:room])
            lines = lines[room:]
            if self._count == self._most:
                self._close()

    def _close(self) -> None:
        if self._file is None:
            return
        self._file.close()
        _sync(self._folder / f"{self._name()}.gz")
        self.parts.append(Part(self._kind, self._type, self._name(), self._count))
        self._file, self._count = None, 0

    def _name(self) -> str:
        prefix = "" if self._kind == "output" else f"{self._kind}-"
        return f"{prefix}{self._type}-{len(self.parts) + 1}.ndjson"


def _sync(path: Path) -> None:
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def stream(path: Path, *, plain: bool) -> AsyncIterator[bytes]:
    """The file in pieces: as it is, or decompressed."""
    opened = await asyncio.to_thread(path.open, "rb")
    inflater = zlib.decompressobj(wbits=31)
    try:
        while piece := await asyncio.to_thread(opened.read, _CHUNK):
            if not plain:
                yield piece
                continue
            while piece:  # a small piece may become a large one: at most a chunk at a time
                yield await asyncio.to_thread(inflater.decompress, piece, _CHUNK)
                piece = inflater.unconsumed_tail
        if plain:
            yield inflater.flush()
    finally:
        opened.close()
