# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the service offers on Consent; the kernel makes the CapabilityStatement from it."""

from typing import Final

from fhir_server.service import Interaction

INTERACTIONS: Final[frozenset[Interaction]] = frozenset(
    {"read", "vread", "create", "update", "patch", "search", "history"}
)
"""No delete: what was in force must be told later, so a Consent ends by its status."""
SEARCH: Final[tuple[str, ...]] = ("status", "category", "date")
"""A person's search sees her own Consents; `patient` need not be given, and a number never stands in a URL."""
