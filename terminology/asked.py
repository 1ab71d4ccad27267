# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The parameters of an operation, by POST in the body or by GET in the query."""

from collections.abc import Collection

from fhir_server.outcome import NotSupported
from fhir_server.parameters import Parameters
from fhir_server.service import Request


def parameters(request: Request, offered: Collection[str]) -> Parameters:
    """The parameters sent; those of a query are strings (https://hl7.org/fhir/R4/operations.html#request).

    Raises `NotSupported` for a parameter that is not offered: leaving one out silently would change the question.
    """
    given = request.parameters() if request.method == "POST" else Parameters()
    for name, value in request.query:
        if name not in ("_format", "_pretty"):
            given.add(name, valueString=value)
    for index, entry in enumerate(given.parameter):
        if entry["name"] not in offered:
            raise NotSupported(
                f"this parameter is not offered; offered: {', '.join(sorted(offered))}",
                expression=f"Parameters.parameter[{index}]",
                code="unknown-parameter",
            )
    return given


def boolean(given: Parameters, name: str) -> bool:
    """A flag, false if it is not sent; a query writes it as text."""
    found = given.all(name)
    if len(found) == 1 and found[0].get("valueString") in ("true", "false"):
        return bool(found[0]["valueString"] == "true")
    return given.optional(name, bool) or False
