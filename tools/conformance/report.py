# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What an area found, printed as a table and written into docs/conformance.md between markers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
import platform
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.conformance.published import ROOT

PAGE = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- begin: written by make conformance-kernel -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: how many of how many, and how the number is to be read."""

    what: str
    passed: int
    of: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """What was held against one published set."""

    name: str
    rows: tuple[Row, ...]
    failures: tuple[str, ...] = ()
    """What is claimed and does not hold: the run fails."""
    known: tuple[str, ...] = ()
    """What is not claimed, each with its reason or effect."""

    def row(self, what: str) -> Row:
        """The line of this name. Raises `KeyError`."""
        for each in self.rows:
            if each.what == what:
                return each
        raise KeyError(what)


def show(areas: Sequence[Area]) -> None:
    """Prints the table, and what failed."""
    table = Table("area", "what", "passed", "of", "")
    for area in areas:
        for row in area.rows:
            table.add_row(area.name, escape(row.what), f"{row.passed:,}", f"{row.of:,}", escape(row.note))
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(table)
    for area in areas:
        for failure in area.failures:
            console.print(f"FAILED {area.name}: {failure}", markup=False, highlight=False)


def write(areas: Sequence[Area], page: Path = PAGE) -> None:
    """Puts the table and what is not claimed into the page, between its markers."""
    before, found, rest = page.read_text("utf-8").partition(BEGIN)
    if not found:
        raise ValueError(f"{page.name} has no place for the table: {BEGIN}")
    page.write_text(f"{before}{BEGIN}\n{chr(10).join(lines(areas))}\n{END}{rest.partition(END)[2]}", "utf-8")


def lines(areas: Iterable[Area]) -> list[str]:
    """The block of the page in Markdown."""
    areas = list(areas)
    found = [
        f"`make conformance-kernel`, {datetime.now(UTC).date().isoformat()}, Python {platform.python_version()}.",
        "",
        "| area | what | passed | of | |",
        "|---|---|---:|---:|---|",
    ]
    for area in areas:
        found += [
            f"| {area.name} | {_cell(row.what)} | {row.passed:,} | {row.of:,} | {_cell(row.note)} |"
            for row in area.rows
        ]
    for area in areas:
        if area.known:
            found += ["", f"### {area.name}: what is otherwise", "", *(f"- {each}" for each in area.known)]
    return found


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
