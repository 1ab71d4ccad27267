# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Messages to the register and its answers (https://hl7.org/fhir/R4/messaging.html)."""

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
import re
from typing import Any
import uuid

EVENTS = "https://ndi.example/fhir/CodeSystem/register-event"
RECORDS = "https://ndi.example/fhir/NamingSystem/register-record"
PSEUDONYMS = "https://ndi.example/fhir/NamingSystem/register-pseudonym"

_NUMBER = re.compile(r"(?<![0-9A-Za-z-])(?:19|20)[0-9]{6}-?[0-9]{4}(?![0-9A-Za-z-])", re.ASCII)


class Rejected(Exception):
    """A message the register does not take. `status` is 400, 409 or 422."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class Message:
    """A valid message."""

    id: str
    event: str
    """upsert or retract."""
    record_key: str
    version: int
    pseudonym: str
    content: dict[str, Any]
    """The AllergyIntolerance as it came."""

    @property
    def key_hash(self) -> bytes:
        """What stays of the record key after an erasure."""
        return hashlib.sha256(self.record_key.encode()).digest()


def read(body: bytes) -> Message:
    """The message in a request body. Raises `Rejected` with what is wrong."""
    try:
        bundle = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected(400, "the body is not JSON") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        raise Rejected(400, "the body must be a Bundle of type message")
    try:
        header, record = (entry["resource"] for entry in bundle["entry"])
        if header["resourceType"] != "MessageHeader" or record["resourceType"] != "AllergyIntolerance":
            raise Rejected(422, "expected a MessageHeader and one AllergyIntolerance")
        if header["focus"] != [{"reference": bundle["entry"][1]["fullUrl"]}]:
            raise Rejected(422, "MessageHeader.focus must be the AllergyIntolerance")
        event = header["eventCoding"]["code"] if header["eventCoding"]["system"] == EVENTS else ""
        message = Message(
            id=str(uuid.UUID(header["id"])),
            event=event,
            record_key=_identifier(record["identifier"], RECORDS),
            version=int(record["meta"]["versionId"]),
            pseudonym=_identifier([record["patient"]["identifier"]], PSEUDONYMS),
            content=record,
        )
        if event not in ("upsert", "retract"):
            raise Rejected(422, "MessageHeader.eventCoding must be upsert or retract")
        if event == "upsert":
            _check(record)
        return message
    except Rejected:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Rejected(422, f"the message lacks an element or has one of another form: {error}") from None


def _check(record: Mapping[str, Any]) -> None:
    """What this register asks of a record: coded or named agent, a date, a unit, and nobody's number or name."""
    code = record.get("code") or {}
    if not code.get("coding") and not code.get("text"):
        raise Rejected(422, "AllergyIntolerance.code is mandatory")
    if not record.get("recordedDate"):
        raise Rejected(422, "AllergyIntolerance.recordedDate is mandatory")
    if not ((record.get("recorder") or {}).get("identifier") or {}).get("value"):
        raise Rejected(422, "AllergyIntolerance.recorder.identifier (the unit's HSA-id) is mandatory")
    if set(record["patient"]) - {"identifier", "type"}:
        raise Rejected(422, "this register takes pseudonyms: patient may carry an identifier and nothing else")
    if _NUMBER.search(json.dumps(record, ensure_ascii=False)):
        raise Rejected(422, "the record seems to hold a personal number; this register takes pseudonyms")


def _identifier(identifiers: list[dict[str, str]], system: str) -> str:
    for each in identifiers:
        if each.get("system") == system and each.get("value"):
            return each["value"]
    raise Rejected(422, f"an identifier of {system} is mandatory")


def outcome(severity: str, code: str, text: str) -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def acknowledgement(message: Message, effect: str, register: str) -> bytes:
    """The answer that is kept with the message and given again when it is repeated."""
    header_id, outcome_id = str(uuid.uuid4()), str(uuid.uuid4())
    header = {
        "resourceType": "MessageHeader",
        "id": header_id,
        "eventCoding": {"system": EVENTS, "code": message.event},
        "source": {"name": register, "endpoint": "https://ndi.example/fhir/hsa-id/" + register},
        "response": {"identifier": message.id, "code": "ok", "details": {"reference": f"urn:uuid:{outcome_id}"}},
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"fullUrl": f"urn:uuid:{header_id}", "resource": header},
            {"fullUrl": f"urn:uuid:{outcome_id}", "resource": outcome("information", "informational", effect)},
        ],
    }
    return json.dumps(bundle, ensure_ascii=False).encode()
