# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A process that appends to the log until it is killed, and prints the number of each event that was answered."""

import asyncio
import os
import sys

from audit.local import AuditBatcher
from tests.audit.conftest import context, read


async def main(url: str) -> None:
    batcher = AuditBatcher(url)
    await batcher.start()

    async def write(worker: int) -> None:
        number = worker
        while True:
            await batcher.append(context(), [read(reason=str(number))])
            # Unbuffered and whole: what stands in the pipe was answered.
            os.write(1, f"{number}\n".encode())
            number += 32

    await asyncio.gather(*(write(worker) for worker in range(32)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
