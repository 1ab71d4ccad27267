# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the gateway says of itself beside what the kernel generates from its routes."""

from collections.abc import Mapping
from typing import Any, Final

_SEARCH: Final = (
    "By POST to _search alone. Answers what the caller may read, from every source that the index names: matches, a "
    "Provenance for each source, and an OperationOutcome with each source's part and what was lost in mapping."
)
CAPABILITY: Final[Mapping[str, Any]] = {
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "AllergyIntolerance",
                    "interaction": [
                        {"code": "search-type", "documentation": _SEARCH},
                        {"code": "create", "documentation": "Stored at the caller's own care unit."},
                    ],
                    "searchParam": [
                        {
                            "name": "patient.identifier",
                            "type": "token",
                            "documentation": "system|value of the person, in the form body. Required.",
                        }
                    ],
                }
            ],
        }
    ]
}
