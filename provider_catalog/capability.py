# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the catalogue offers: the search parameters by type. The kernel makes the CapabilityStatement from it."""

from collections.abc import Mapping
from typing import Final

SEARCH: Final[Mapping[str, tuple[str, ...]]] = {
    "Organization": ("identifier", "name", "active", "type", "partof"),
    "Endpoint": ("identifier", "name", "organization", "connection-type", "status", "payload-type"),
    "Location": ("identifier", "name", "status", "type", "partof", "organization"),
    "HealthcareService": ("identifier", "name", "active", "organization", "location", "service-type"),
}
"""Search parameters of IHE mCSD ITI-90 that this slice serves, by resource type."""
