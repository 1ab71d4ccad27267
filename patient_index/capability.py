# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the service says of itself beside what the kernel generates from its routes."""

from typing import Any, Final

TITLE: Final = "Patient data index"
DESCRIPTION: Final = (
    "Which actors hold what about a person: DocumentReference registered by conditional update, Patient/$locate with "
    "coverage, and the Swedish engagement index (Update, FindContent) as SOAP. Entries name holder, information type, "
    "recency and source; content stays with its holder."
)

CAPABILITY: Final[dict[str, Any]] = {
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "DocumentReference",
                    "documentation": "An entry of the index; kept as a typed row, not as a resource.",
                    "interaction": [{"code": "update"}, {"code": "search-type"}],
                    "conditionalUpdate": True,
                    "updateCreate": True,
                    "searchParam": [
                        {
                            "name": "patient",
                            "type": "reference",
                            "documentation": "patient.identifier",
                        },
                        {"name": "type", "type": "token"},
                        {"name": "category", "type": "token"},
                        {"name": "status", "type": "token", "documentation": "current only"},
                    ],
                }
            ],
        }
    ]
}
