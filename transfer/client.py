# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `transfer`: which registers there are and what they got about the person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import httpx2

from fhir_server.context import Context
from fhir_server.parameters import Parameters
from fhir_server.remote import invoke


@dataclass(frozen=True, slots=True)
class RegisterView:
    """A quality register as the patient sees it."""

    hsa_id: str
    name: str
    purpose_sv: str
    purpose_en: str
    records: int
    """Records about the calling person that the register has acknowledged and not erased."""
    opted_out: bool
    last_delivery: datetime | None
    erased_at: datetime | None


class TransferClient(Protocol):
    """How the portal asks."""

    async def registers(self, context: Context) -> Sequence[RegisterView]:
        """Every register with what it holds about the calling patient. Raises `Forbidden` for anyone else."""
        ...


class HttpTransfer:
    """`TransferClient` over HTTP, on the caller's behalf."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: the service's FHIR base, e.g. http://127.0.0.1:8710/transfer/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def registers(self, context: Context) -> Sequence[RegisterView]:
        """See `TransferClient`."""
        answer = await invoke(self._http, context, f"{self._base}/MeasureReport/$registers", Parameters())
        return [_view(each) for each in answer.parts("register")]


def _view(parts: Parameters) -> RegisterView:
    return RegisterView(
        hsa_id=parts.required("hsaId", str),
        name=parts.required("name", str),
        purpose_sv=parts.required("purposeSv", str),
        purpose_en=parts.required("purposeEn", str),
        records=parts.required("records", int),
        opted_out=parts.required("optedOut", bool),
        last_delivery=parts.optional("lastDelivery", datetime),
        erased_at=parts.optional("erasedAt", datetime),
    )
