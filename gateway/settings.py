# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What deployments of the gateway set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Limits, and who the gateway is."""

    hsa_id: str = "SE0000000099-OP"
    """HSA-id of who runs the gateway: the assembler in every Provenance."""
    source_seconds: float = 3.0
    """Seconds one source may take, however slowly its bytes drip."""
    total_seconds: float = 5.0
    """Seconds a read may take in all, whatever the number of sources."""
    max_answer_bytes: int = 5_242_880
    """Bytes a source may answer."""
