# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the terminology offers: the search parameters by type. The kernel makes the CapabilityStatement from it."""

from collections.abc import Mapping
from typing import Final

_CANONICAL: Final = ("url", "version", "name", "title", "status", "identifier")

SEARCH: Final[Mapping[str, tuple[str, ...]]] = {
    "CodeSystem": (*_CANONICAL, "system", "code", "content-mode"),
    "ConceptMap": (*_CANONICAL, "source-system", "target-system", "source-code", "target-code"),
    "ValueSet": (*_CANONICAL, "reference"),
}
