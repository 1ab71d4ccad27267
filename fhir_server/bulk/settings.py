# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Limits of the work that is ordered now and fetched later."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """What deployments set."""

    folder: Path
    """Where results are kept until they expire; all processes that serve a service share it."""
    expiry: float = 86_400.0
    """Seconds a finished job's results can be fetched."""
    jobs_per_client: int = 2
    """Jobs of one client that may wait or be worked at once."""
    statement: float = 3_600.0
    """Seconds one statement of a job may take."""
    rows_per_file: int = 100_000
    poll: float = 2.0
    """Seconds after which a worker looks for jobs that another process took in."""
    attempts: int = 3
    """How often a job is begun before it is given up: one that kills its worker must not do so for ever."""
