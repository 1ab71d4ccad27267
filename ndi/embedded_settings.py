# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Settings of the embedded PostgreSQL, from the machine it runs on."""

from pathlib import Path
from typing import Final

import psutil

_MIB: Final = 1024 * 1024
_CGROUP_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_bytes() -> int:
    """What this process may use: the machine's memory, or the container's limit where that is less."""
    total = int(psutil.virtual_memory().total)
    for file in _CGROUP_LIMITS:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def render(memory: int, sockets: Path) -> str:
    """The text of `ndi.conf` for a machine with `memory` bytes and sockets in the folder `sockets`.

    A quarter of the memory, at most 2 GB, is PostgreSQL's own cache: its default of 128 MB was measured to cost
    a fifth on an index larger than that (docs/decisions/0003-embedded-database.md).
    """
    mib = memory // _MIB
    shared = max(32, min(mib // 4, 2048))
    maintenance = max(32, min(mib // 16, 512))
    return f"""\
# Written by ndi at each start: changes here are lost. Settings of your own go to the end of postgresql.conf.
listen_addresses = ''
unix_socket_directories = '{str(sockets).replace("'", "''")}'
unix_socket_permissions = 0700
max_connections = 200

shared_buffers = {shared}MB
effective_cache_size = {max(64, mib // 2)}MB
maintenance_work_mem = {maintenance}MB
work_mem = 8MB
max_wal_size = 2GB
random_page_cost = 1.1
jit = off

timezone = 'UTC'
log_timezone = 'UTC'
# Texts of errors, statements and conflicting keys may hold personal data: none of them is logged. Who sent the
# statement gets the error.
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""
