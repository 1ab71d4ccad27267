# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The transfer service in process: the same answers as over HTTP, without the wire."""

from collections.abc import Sequence

from fhir_server.context import Context
from transfer import registers
from transfer.client import RegisterView
from transfer.store import Engine, Registers


class LocalTransfer:
    """`TransferClient` on the service's own store."""

    def __init__(self, engine: Engine) -> None:
        self._store = Registers(engine)

    async def registers(self, context: Context) -> Sequence[RegisterView]:
        """See `TransferClient`."""
        return await registers.registers(self._store, context)
