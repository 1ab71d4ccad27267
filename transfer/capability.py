# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the CapabilityStatement says of the transfer service."""

from typing import Any, Final

CAPABILITY: Final[dict[str, Any]] = {
    "rest": [
        {
            "mode": "server",
            "documentation": "Outwards it is a client: it sends FHIR messages to registers ($process-message).",
            "resource": [
                {
                    "type": "MeasureReport",
                    "operation": [
                        {
                            "name": "registers",
                            "definition": "https://ndi.example/fhir/OperationDefinition/registers",
                            "documentation": "Which quality registers hold what about the caller.",
                        }
                    ],
                }
            ],
        }
    ]
}
