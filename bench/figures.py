# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Writes measured figures into docs/performance.md, each table between its own markers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import os
from pathlib import Path
import platform

from bench.load import Load

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, and its rate as a share of the reference's."""

    name: str
    load: Load
    ratio: float | None
    """None for the reference itself."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One row of work that no request is made for: microseconds, and the reference's."""

    name: str
    microseconds: float
    reference: float | None
    """None for the reference itself."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of work in bulk: resources a second, and the share of the reference's."""

    name: str
    rate: float
    ratio: float | None
    """None for the reference itself."""


def write_rates(key: str, title: str, rates: Sequence[Rate]) -> None:
    """Prints a table of rates and puts it into the page."""
    lines = [*_head(title), "| what | resources/s | of reference |", "|---|---|---|"]
    for each in rates:
        ratio = "1" if each.ratio is None else f"{each.ratio:.2f}"
        lines.append(f"| {each.name} | {each.rate:,.0f} | {ratio} |")
    _put(key, lines)


def write_costs(key: str, title: str, costs: Sequence[Cost]) -> None:
    """Prints a table of costs and puts it into the page."""
    lines = [*_head(title), "| what | µs | times the reference |", "|---|---|---|"]
    for each in costs:
        times = "1" if each.reference is None else f"{each.microseconds / each.reference:.2f}"
        lines.append(f"| {each.name} | {each.microseconds:,.0f} | {times} |")
    _put(key, lines)


def write(key: str, title: str, figures: Sequence[Figure]) -> None:
    """Prints the table and puts it into the page."""
    lines = [
        *_head(title),
        "| what | requests/s | p50 ms | p99 ms | of reference |",
        "|---|---|---|---|---|",
    ]
    for each in figures:
        if each.load.errors:
            raise SystemExit(f"{each.name}: {each.load.errors} errors; the run is void")
        ratio = "1" if each.ratio is None else f"{each.ratio:.2f}"
        lines.append(f"| {each.name} | {each.load.rate:,.0f} | {each.load.p50:.2f} | {each.load.p99:.2f} | {ratio} |")
    _put(key, lines)


def write_rows(key: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table of its own columns and puts it into the page."""
    lines = [*_head(title), f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    _put(key, [*lines, *(f"| {' | '.join(each)} |" for each in rows)])


def _head(title: str) -> list[str]:
    return [
        f"### {title}",
        "",
        f"`make bench`, {datetime.now(UTC).date().isoformat()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; load average {os.getloadavg()[0]:.1f} at the end.",
        "",
    ]


def _put(key: str, lines: Sequence[str]) -> None:
    table = "\n".join(lines)
    print(table)
    start, end = f"<!-- {key} -->", f"<!-- /{key} -->"
    page = PAGE.read_text("utf-8") if PAGE.exists() else "# Performance\n"
    before, found, rest = page.partition(start)
    if found:
        page = f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}"
    else:
        page = f"{page.rstrip()}\n\n{start}\n{table}\n{end}\n"
    PAGE.write_text(page, "utf-8")
