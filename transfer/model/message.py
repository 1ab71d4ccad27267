# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The FHIR message to a register, and what its answer means.

https://hl7.org/fhir/R4/messaging.html, https://hl7.org/fhir/R4/messageheader-operation-process-message.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
import json
from typing import Any, Final
from uuid import UUID

from fhir_server.retry import retry_after
from identifiers import systems
from transfer.model.plan import Kind

EVENT_SYSTEM: Final = "https://ndi.example/fhir/CodeSystem/register-event"
RECORD_SYSTEM: Final = "https://ndi.example/fhir/NamingSystem/register-record"
PSEUDONYM_SYSTEM: Final = "https://ndi.example/fhir/NamingSystem/register-pseudonym"
VERIFICATION_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"

_HSA_URL: Final = "https://ndi.example/fhir/hsa-id/"
"""MessageHeader.source.endpoint is a url 1..1; the register answers in the same exchange and never calls it."""
_RETRIED = frozenset({401, 408, 425, 429})
"""401 too: it speaks of our token, which is renewed, not of the message."""
_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Destination:
    """The register as a message names it."""

    hsa_id: str
    address: str
    sender: str
    """HSA-id of the organisation that sends."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The record as the register knows it."""

    record_key: str
    version: int
    pseudonym: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The register accepted the message."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The register could not, or its answer does not hold; the same message goes again."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The register will never take this message."""

    reason: str


Result = Acknowledged | TryAgain | Refused


def message(
    kind: Kind,
    subject: Subject,
    content: Mapping[str, Any],
    destination: Destination,
    *,
    message_id: UUID,
    record_id: UUID,
    now: datetime,
) -> bytes:
    """The message Bundle as it is stored in the outbox and sent, byte for byte, at every attempt.

    `content` is empty for a retraction: the register needs the key of what to erase, not what it says.
    """
    record: dict[str, Any] = {
        "resourceType": "AllergyIntolerance",
        "meta": {"versionId": str(subject.version)},
        "identifier": [{"system": RECORD_SYSTEM, "value": subject.record_key}],
        **content,
        "patient": {"type": "Patient", "identifier": {"system": PSEUDONYM_SYSTEM, "value": subject.pseudonym}},
    }
    if kind is Kind.retract:
        record["verificationStatus"] = {"coding": [{"system": VERIFICATION_SYSTEM, "code": "entered-in-error"}]}
    header = {
        "resourceType": "MessageHeader",
        "id": str(message_id),
        "eventCoding": {"system": EVENT_SYSTEM, "code": kind.value},
        "destination": [
            {
                "endpoint": destination.address,
                "receiver": {"identifier": {"system": systems.HSA_ID, "value": destination.hsa_id}},
            }
        ],
        "sender": {"identifier": {"system": systems.HSA_ID, "value": destination.sender}},
        "source": {"name": "ndi", "endpoint": f"{_HSA_URL}{destination.sender}"},
        "focus": [{"reference": f"urn:uuid:{record_id}"}],
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": now.isoformat(timespec="milliseconds"),
        "entry": [
            {"fullUrl": f"urn:uuid:{message_id}", "resource": header},
            {"fullUrl": f"urn:uuid:{record_id}", "resource": record},
        ],
    }
    return json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode()


def result(status: int, headers: Mapping[str, str], body: bytes, message_id: str, now: datetime) -> Result:
    """What an answer means. Only an accepted acknowledgement of this very message ends a delivery.

    `headers`: names in lower case. MedMorph RA 1.0.0 asks that a response be validated before it is believed.
    """
    after = retry_after(headers.get("retry-after"), now)
    if status in _RETRIED or status >= 500 or status < 200 or 300 <= status < 400:
        return TryAgain(f"http-{status}", after)
    if status >= 400:
        return Refused(f"http-{status}: {_diagnostics(body)}"[:_REASON_LENGTH])
    response = _response(body)
    if response is None:
        return TryAgain("broken-answer: no message with MessageHeader.response", after)
    if response.get("identifier") != message_id:
        return TryAgain("broken-answer: the response is to another message", after)
    code = response.get("code")
    if code == "ok":
        return Acknowledged()
    if code == "transient-error":
        return TryAgain("transient-error", after)
    if code == "fatal-error":
        return Refused(f"fatal-error: {_diagnostics(body)}"[:_REASON_LENGTH])
    return TryAgain("broken-answer: unknown response code", after)


def _load(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _response(body: bytes) -> Mapping[str, Any] | None:
    bundle = _load(body)
    try:
        header = bundle["entry"][0]["resource"]
        if (bundle["resourceType"], bundle["type"], header["resourceType"]) != ("Bundle", "message", "MessageHeader"):
            return None
        response = header["response"]
    except (KeyError, IndexError, TypeError):
        return None
    return response if isinstance(response, dict) else None


def _diagnostics(body: bytes) -> str:
    """The first issue of the OperationOutcome in the answer, for the operator's list of dead letters."""
    value = _load(body)
    outcomes = [value]
    if isinstance(value, dict) and isinstance(value.get("entry"), list):
        outcomes += [each.get("resource") for each in value["entry"] if isinstance(each, dict)]
    for outcome in outcomes:
        if isinstance(outcome, dict) and outcome.get("resourceType") == "OperationOutcome":
            issues = outcome.get("issue")
            for issue in issues if isinstance(issues, list) else ():
                if isinstance(issue, dict):
                    details = issue.get("details")
                    text = issue.get("diagnostics") or (details.get("text") if isinstance(details, dict) else None)
                    if text:
                        return str(text)
    return "no reason given"
