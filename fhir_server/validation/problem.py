# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What is wrong at one place of a resource, and the error that tells all of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from fhir_server.outcome import Severity, Unprocessable, issue, operation_outcome


class Problem(NamedTuple):
    """One finding. The text says what to change and never repeats a value."""

    path: str
    """FHIRPath of the element: `Patient.contact[0].name`."""
    text: str
    issue: str = "structure"
    """A code of http://hl7.org/fhir/issue-type."""
    severity: str = "error"


class InvalidResource(Unprocessable):
    """The resource breaks a rule FHIR gives its type; one issue for each place."""

    code = "invalid-resource"

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(problems[0].text + more, expression=problems[0].path)
        self.problems = tuple(problems)

    def outcome(self) -> dict[str, Any]:
        """An issue for each problem with its expression."""
        return operation_outcome(
            issue(cast(Severity, each.severity), each.issue, self.detail_code, each.text, each.path)
            for each in self.problems
        )
