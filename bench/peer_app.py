# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""fhirstarter over the same tables by asyncpg: what a Python developer gets today. Run by `bench.kernel_peer`.

Tuned as its documentation says: coroutines, uvloop, R4B. It validates what it reads and what it writes.
"""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
import os
import sys
from uuid import uuid4

os.environ["FHIR_SEQUENCE"] = "R4B"

import asyncpg
from fhir.resources.R4B.observation import Observation
from fhirstarter import FHIRProvider, FHIRStarter, InteractionContext
from fhirstarter.exceptions import FHIRResourceNotFoundError
import uvicorn

READ = "SELECT body FROM bench.resource WHERE type = 'Observation' AND id = $1 AND NOT deleted"
WRITE = (
    "WITH r AS (INSERT INTO bench.resource (type, id, version, last_updated, deleted, body) "
    "VALUES ('Observation', $1, 1, $2, false, $3)), h AS (INSERT INTO bench.resource_history (type, id, version, "
    "last_updated, deleted, method, body) VALUES ('Observation', $1, 1, $2, false, 'POST', $3)) SELECT 1"
)
provider = FHIRProvider()
opened: dict[str, asyncpg.Pool] = {}


@provider.read(Observation)
async def read(context: InteractionContext, id_: str) -> Observation:
    """The current version."""
    body = await opened["pool"].fetchval(READ, id_)
    if body is None:
        raise FHIRResourceNotFoundError
    return Observation.model_validate_json(body)


@provider.create(Observation)
async def create(context: InteractionContext, resource: Observation) -> str:
    """Stores it without search values: less than ours does."""
    resource.id = str(uuid4())
    await opened["pool"].execute(WRITE, resource.id, datetime.now(UTC), resource.model_dump_json().encode())
    return resource.id


def main(url: str, port: int) -> None:
    """Serves on loopback until it is ended."""

    @asynccontextmanager
    async def lifespan(app: FHIRStarter):
        async with asyncpg.create_pool(url, min_size=8, max_size=8, reset=no_reset) as opened["pool"]:
            yield

    app = FHIRStarter(lifespan=lifespan)
    app.add_providers(provider)
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False, loop="uvloop", http="httptools")


async def no_reset(connection: asyncpg.Connection) -> None:
    """The pool's reset on release would halve it."""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
