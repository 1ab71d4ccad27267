# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the CapabilityStatement says of the access log."""

from typing import Any, Final

CAPABILITY: Final[dict[str, Any]] = {
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "AuditEvent",
                    "documentation": "The caller's own access log, newest first.",
                    "interaction": [{"code": "search-type"}],
                    "searchParam": [
                        {
                            "name": "patient",
                            "type": "reference",
                            "documentation": "Only the caller's own; may be left out.",
                        }
                    ],
                }
            ],
        }
    ]
}
