# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The transfer service: which routes it serves. Its work is done by `worker.Worker`."""

from functools import partial

from fhir_server.context import Access
from fhir_server.service import Route, Service
from transfer import registers
from transfer.capability import CAPABILITY
from transfer.store import Engine, Registers

__all__ = ["create_service"]


def create_service(*, engine: Engine) -> Service:
    """The service on a migrated database."""
    store = Registers(engine)
    return Service(
        name="transfer",
        title="Register transfer",
        base="/transfer",
        routes=(
            Route(
                "/fhir/MeasureReport/$registers",
                partial(registers.handle, store),
                Access.person_data,
                registers.SCOPE,
                summary="Which quality registers hold what about the caller",
            ),
        ),
        description="Automated submissions to quality registers, each record exactly once; opposition and erasure.",
        capability=CAPABILITY,
    )
