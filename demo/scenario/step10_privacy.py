# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Last: no personal number in a request line, a link, a log, a metric or a stored row of the infrastructure."""

from demo import privacy
from demo.scenario.stage import EHDS_OFFSET, TRANSFER_OFFSET, Step, World, check

TITLE = "No personal number in any address, log, metric or row in clear"


async def run(world: World, step: Step) -> None:
    """Searches all files of the run and all rows of the database."""
    logs = world.processes.logs
    with step.line("searches request lines, links, logs, metrics", "the demo's own files", "–") as facts:
        services = [world.url(each) for each in (0, TRANSFER_OFFSET, EHDS_OFFSET)]
        metrics = await privacy.save_metrics(world.http, services, logs)
        database_logs = world.data.joinpath("ndi", "postgres").glob("server.log*")
        files = [*(each for each in logs.rglob("*") if each.is_file()), *database_logs]
        found = list(privacy.in_files(files))
        check(not found, f"personal numbers at {found[:10]}")
        facts.update(files=len(files), bytes=sum(each.stat().st_size for each in files), metrics=metrics)
    with step.line("searches every row of the infrastructure", "database", "SQL") as facts:
        tables, rows = await privacy.in_database(world.database_url)
        check(not tables, f"personal numbers in clear in {tables}")
        facts["rows"] = rows
