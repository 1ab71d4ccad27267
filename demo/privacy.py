# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Searches everything a run left behind for personal numbers: request lines, links, logs, metrics, stored rows.

Forms: 10 and 12 digits, hyphened, percent-encoded; in the infrastructure's own database also as bytes in hexadecimal.
The regions' databases are records of care and hold the numbers lawfully; they are not searched.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
import re

import asyncpg
import httpx2

from demo.people import PEOPLE


def forms() -> tuple[str, ...]:
    """Every written form of every person's number."""
    return tuple(dict.fromkeys(form for person in PEOPLE for form in person.written_forms()))


def pattern(written: Iterable[str]) -> re.Pattern[str]:
    """Finds any of the forms; a longer run of digits is another number."""
    alternatives = "|".join(re.escape(each) for each in sorted(written, key=len, reverse=True))
    return re.compile(rf"(?<![0-9])(?:{alternatives})(?![0-9])", re.IGNORECASE)


def in_files(files: Iterable[Path]) -> Iterator[str]:
    """Where a file holds a number: `name:line`, never the number."""
    wanted = pattern(forms())
    for file in files:
        with file.open(errors="replace") as text:
            for number, line in enumerate(text, start=1):
                if wanted.search(line):
                    yield f"{file.name}:{number}"


async def in_database(url: str) -> tuple[list[str], int]:
    """Tables of the infrastructure that hold a number in clear, and how many rows were searched."""
    written = forms()
    hexadecimal = [each.encode().hex() for each in written]
    wanted = re.compile("|".join(re.escape(each) for each in (*written, *hexadecimal)), re.IGNORECASE)
    found: list[str] = []
    searched = 0
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        for table in tables:
            async with connection.transaction(readonly=True):
                # `ONLY`: a partition is a table of its own here, its parent would give its rows twice.
                async for row in connection.cursor(f"SELECT t::text AS line FROM ONLY {table['name']} t"):
                    searched += 1
                    if wanted.search(row["line"]):
                        found.append(table["name"])
                        break
    finally:
        await connection.close()
    return found, searched


async def save_metrics(http: httpx2.AsyncClient, addresses: Iterable[str], logs: Path) -> int:
    """Writes the metrics of the processes beside their logs; answers how many offer some."""
    saved = 0
    for number, address in enumerate(addresses):
        answer = await http.get(f"{address}/metrics")
        if answer.status_code == 200:
            (logs / f"metrics-{number}.txt").write_text(answer.text)
            saved += 1
    return saved
