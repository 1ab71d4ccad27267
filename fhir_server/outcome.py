# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The one hierarchy of errors, and the OperationOutcome each is told as.

https://hl7.org/fhir/R4/operationoutcome.html. `details.coding` is a stable code of our own code system;
`details.text` and `diagnostics` say what to change. Neither ever holds personal data.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

ERROR_SYSTEM = "https://ndi.example/fhir/CodeSystem/error"

Severity = Literal["fatal", "error", "warning", "information"]


class FhirError(Exception):
    """Base of every error that a caller is told about.

    `message` tells a developer what to change; `expression` is the FHIRPath of the faulty element.
    """

    status: ClassVar[int] = 500
    issue: ClassVar[str] = "exception"
    code: ClassVar[str] = "internal-error"

    def __init__(
        self,
        message: str,
        *,
        expression: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expression = expression
        self.detail_code = code or self.code
        self.headers = dict(headers or {})
        self.entry: str | None = None
        """The entry of a Bundle that it concerns, e.g. Bundle.entry[3]."""

    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome that is sent."""
        return operation_outcome([issue("error", self.issue, self.detail_code, self.message, self.expression)])


class Malformed(FhirError):
    """The body is not JSON, not XML, or not of the announced kind."""

    status, issue, code = 400, "structure", "malformed"


class Invalid(FhirError):
    """A value or parameter is wrong."""

    status, issue, code = 400, "invalid", "invalid-value"


class Unprocessable(FhirError):
    """The resource is well formed but breaks a rule of FHIR or of the service."""

    status, issue, code = 422, "business-rule", "unprocessable"


class NotSupported(FhirError):
    """The interaction, parameter or operation is not offered."""

    status, issue, code = 400, "not-supported", "not-supported"


class MethodNotAllowed(FhirError):
    """The path exists, not for this method."""

    status, issue, code = 405, "not-supported", "method-not-allowed"


class NotFound(FhirError):
    """Nothing is known under this address, or the caller may not know of it."""

    status, issue, code = 404, "not-found", "not-found"


class Gone(FhirError):
    """The resource was deleted."""

    status, issue, code = 410, "deleted", "deleted"


class Unauthenticated(FhirError):
    """No token, or one that does not hold."""

    status, issue, code = 401, "login", "invalid-token"


class Forbidden(FhirError):
    """The caller is known and may not do this."""

    status, issue, code = 403, "forbidden", "forbidden"


class Conflict(FhirError):
    """The change meets another change."""

    status, issue, code = 409, "conflict", "conflict"


class PreconditionFailed(FhirError):
    """`If-Match` or another condition does not hold."""

    status, issue, code = 412, "conflict", "precondition-failed"


class MultipleMatches(FhirError):
    """A conditional interaction met more than one resource."""

    status, issue, code = 412, "multiple-matches", "multiple-matches"


class NotAcceptable(FhirError):
    """No answer can be given in a form that the caller accepts."""

    status, issue, code = 406, "not-supported", "not-acceptable"


class UnsupportedMediaType(FhirError):
    """The body is sent in a form that is not taken."""

    status, issue, code = 415, "not-supported", "unsupported-media-type"


class TooLarge(FhirError):
    """The body is larger or deeper than the limits."""

    status, issue, code = 413, "too-long", "too-large"


class RateLimited(FhirError):
    """The caller sent more than its share."""

    status, issue, code = 429, "throttled", "rate-limited"


class Internal(FhirError):
    """An unknown failure; the text carries a trace id and nothing else."""

    status, issue, code = 500, "exception", "internal-error"


class BadGateway(FhirError):
    """A system behind us answered with something that is not its protocol, or no source answered."""

    status, issue, code = 502, "transient", "bad-gateway"


class Unavailable(FhirError):
    """A part that must answer does not; nothing was done. Try again."""

    status, issue, code = 503, "transient", "unavailable"


class TooCostly(FhirError):
    """The database was not done with one query in the time that a query may take; nothing was done."""

    status, issue, code = 503, "too-costly", "query-too-costly"

    def __init__(self, message: str = "", **more: Any) -> None:
        super().__init__(
            message
            or "the database did not finish a query in the time it may take: ask for less at a time (a narrower "
            "search, fewer includes, _total=none, a smaller _count), or try again",
            **more,
        )


class DeadlineExceeded(FhirError):
    """The time the caller gave ran out."""

    status, issue, code = 504, "timeout", "deadline-exceeded"


ERRORS: tuple[type[FhirError], ...] = (
    Malformed, Invalid, Unprocessable, NotSupported, MethodNotAllowed, NotFound, Gone, Unauthenticated, Forbidden,
    Conflict, PreconditionFailed, MultipleMatches, NotAcceptable, UnsupportedMediaType, TooLarge, RateLimited,
    Internal, BadGateway, Unavailable, TooCostly, DeadlineExceeded,
)  # fmt: skip


def issue(
    severity: Severity,
    issue_type: str,
    code: str,
    text: str,
    expression: str | None = None,
    *,
    diagnostics: str | None = None,
) -> dict[str, Any]:
    """One `OperationOutcome.issue`."""
    built: dict[str, Any] = {
        "severity": severity,
        "code": issue_type,
        "details": {"coding": [{"system": ERROR_SYSTEM, "code": code}], "text": text},
        "diagnostics": diagnostics or text,
    }
    if expression is not None:
        built["expression"] = [expression]
    return built


def told(failure: FhirError) -> dict[str, Any]:
    """The OperationOutcome of a failure; in a Bundle every issue names its entry, in text and expression."""
    outcome = failure.outcome()
    entry = failure.entry
    if entry is None:
        return outcome
    for each in outcome["issue"]:
        each["details"]["text"] = f"{entry}: {each['details']['text']}"
        each["diagnostics"] = f"{entry}: {each['diagnostics']}"
        inner = (each.get("expression") or [""])[0]
        if inner.startswith("Parameters") or not inner:
            each["expression"] = [entry]
        else:
            # Paths begin at the resource: Organization.name and name both stand in Bundle.entry[3].resource.
            below = inner.partition(".")[2] if inner[:1].isupper() else inner
            each["expression"] = [f"{entry}.resource.{below}" if below else f"{entry}.resource"]
    return outcome


def operation_outcome(issues: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome with these issues."""
    return {"resourceType": "OperationOutcome", "issue": [dict(each) for each in issues]}


def error_from_outcome(status: int, outcome: Mapping[str, Any]) -> FhirError:
    """The error another service told us, raised again as itself: clients use this on an error answer."""
    issues = outcome.get("issue") or [{}]
    first = issues[0]
    details = first.get("details") or {}
    codings = details.get("coding") or [{}]
    code = codings[0].get("code")
    text = details.get("text") or first.get("diagnostics") or f"the service answered {status}"
    expressions = first.get("expression") or [None]
    for kind in ERRORS:
        if kind.status == status and kind.code == code:
            return kind(text, expression=expressions[0])
    for kind in ERRORS:
        if kind.status == status and kind.issue == first.get("code"):
            return kind(text, expression=expressions[0], code=code)
    for kind in ERRORS:
        if kind.status == status:
            return kind(text, expression=expressions[0], code=code)
    return BadGateway(text, code=code)
