# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The access log as FHIR tells it: AuditEvent R4 in the form of IHE Basic Audit Log Patterns, both ways.

https://profiles.ihe.net/ITI/BALP/ 1.1: its agents (client, server, user) and entities (patient, transaction). The query
itself is not kept, since it could hold what was searched for; so the profile PatientQuery is not claimed. What BALP
has no element for stands as details of the patient entity.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import struct
from typing import Any, Final
from uuid import UUID

from audit.values import AccessLogRow
from fhir_server.outcome import Invalid
from identifiers.person_key import PersonKey
from identifiers.systems import HSA_ID

OWN_LOG_READ: Final = "access-log-read"
"""Operation under which reading one's own log is kept: an access by nobody else."""
MAX_PAGE: Final = 200

_TYPE: Final = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}
_OPERATION: Final = "https://ndi.example/fhir/CodeSystem/audit-operation"
_PURPOSE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_KIND: Final = "https://ndi.example/fhir/CodeSystem/caller-kind"
_ROLE_CLASS: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_CLIENT: Final = "https://ndi.example/fhir/NamingSystem/client"
_OUTCOME: Final = {"success": "0", "denied": "4", "failed": "8"}
_OUTCOME_BACK: Final = {code: name for name, code in _OUTCOME.items()}
_DETAILS: Final = ("ground", "reason", "law", "information_type", "decision", "count")
_POSITION: Final = struct.Struct(">q16s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the log: the row as it is told, and what only FHIR tells."""

    row: AccessLogRow
    action: str
    kind: str
    client_id: str
    trace_id: str
    decision: str | None
    person: PersonKey

    @property
    def uuid(self) -> UUID:
        """The id of the event."""
        return UUID(self.row.id)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the next holds what was recorded before."""

    recorded: datetime
    id: UUID


def is_automatic(kind: str, operation: str) -> bool:
    """Whether no person looked: a system acted by itself, or the log was only shown to the person it is about."""
    return kind == "system" or operation == OWN_LOG_READ


def write_cursor(position: Position) -> str:
    """The position as opaque text. It holds a moment and an id, nothing of the person."""
    microseconds = (position.recorded - _EPOCH) // (datetime.resolution)
    return base64.urlsafe_b64encode(_POSITION.pack(microseconds, position.id.bytes)).rstrip(b"=").decode()


def read_cursor(text: str) -> Position:
    """The position again. Raises `Invalid`.

    It needs no signature: it only narrows the caller's own log, whoever made it.
    """
    try:
        packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        microseconds, raw = _POSITION.unpack(packed)
        return Position(_EPOCH + microseconds * datetime.resolution, UUID(bytes=raw))
    except (binascii.Error, ValueError, struct.error, OverflowError):
        raise Invalid("_cursor is none that this server gave out; begin again without it") from None


def audit_event(event: Event) -> dict[str, Any]:
    """The event as AuditEvent."""
    row = event.row
    details = {**{name: getattr(row, name, None) for name in _DETAILS}, "decision": event.decision}
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": row.id,
        "type": {**_TYPE, "display": "Restful Operation"},
        "subtype": [{"system": _OPERATION, "code": row.operation}],
        "action": event.action,
        "recorded": row.recorded.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "outcome": _OUTCOME[row.outcome],
    }
    if row.purpose is not None:
        resource["purposeOfEvent"] = [{"coding": [{"system": _PURPOSE, "code": row.purpose}]}]
    resource["agent"] = list(_agents(event))
    resource["source"] = {
        "site": "ndi",
        "observer": {"display": "ndi"},
        "type": [{"system": _SOURCE, "code": "4", "display": "Application Server"}],
    }
    resource["entity"] = [
        {
            "what": {"reference": f"Patient/{event.person.hex()}"},
            "type": {"system": _ENTITY, "code": "1", "display": "Person"},
            "role": {"system": _ROLE, "code": "1", "display": "Patient"},
            "detail": [{"type": n, "valueString": str(v)} for n, v in details.items() if v is not None],
        },
        *(_holder(hsa_id) for hsa_id in row.holders),
        {
            "what": {"identifier": {"system": "https://www.w3.org/TR/trace-context", "value": event.trace_id}},
            "type": {
                "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                "code": "XrequestId",
            },
        },
    ]
    if not resource["entity"][0]["detail"]:
        del resource["entity"][0]["detail"]
    return resource


def row_of(resource: Mapping[str, Any]) -> AccessLogRow:
    """The row that an AuditEvent of ours tells. Raises `ValueError` if it is none of ours."""
    try:
        agents = {each["type"]["coding"][0]["code"]: each for each in resource["agent"]}
        client, user, organisation, unit = (agents.get(code, {}) for code in ("110153", "IRCP", "PROV", "SDLOC"))
        details = {each["type"]: each["valueString"] for each in resource["entity"][0].get("detail", ())}
        holders = tuple(
            each["what"]["identifier"]["value"]
            for each in resource["entity"]
            if each.get("role", {}).get("code") == "3"
        )
        operation = resource["subtype"][0]["code"]
        kind = client["role"][0]["coding"][0]["code"] if client else "system"
        purposes = resource.get("purposeOfEvent")
        return AccessLogRow(
            id=resource["id"],
            recorded=datetime.fromisoformat(resource["recorded"]),
            operation=operation,
            outcome=_OUTCOME_BACK[resource["outcome"]],
            organisation=_identifier(organisation),
            organisation_name=_display(organisation),
            unit=_identifier(unit),
            unit_name=_display(unit),
            user=_identifier(user),
            user_name=_display(user),
            purpose=purposes[0]["coding"][0]["code"] if purposes else None,
            ground=details.get("ground"),
            reason=details.get("reason"),
            law=details.get("law"),
            information_type=details.get("information_type"),
            holders=holders,
            count=int(details["count"]) if "count" in details else None,
            automatic=is_automatic(kind, operation),
        )
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("this is no AuditEvent of the access log") from error


def bundle(events: Sequence[Event], *, base: str, next_url: str | None) -> dict[str, Any]:
    """A page of the log as searchset."""
    resource: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if next_url is not None:
        resource["link"] = [{"relation": "next", "url": next_url}]
    resource["entry"] = [
        {
            "fullUrl": f"{base}/AuditEvent/{each.row.id}",
            "resource": audit_event(each),
            "search": {"mode": "match"},
        }
        for each in events
    ]
    if not resource["entry"]:
        del resource["entry"]
    return resource


def _agents(event: Event) -> Iterable[dict[str, Any]]:
    """BALP: the system that asked, the person who is told, and the organisation and unit on whose behalf."""
    row = event.row
    yield {
        **_agent(_DICOM, "110153", "Source Role ID", _CLIENT, event.client_id, None, requestor=False),
        "role": [{"coding": [{"system": _KIND, "code": event.kind}]}],
    }
    if row.user is not None or row.user_name is not None:
        yield _agent(_PARTICIPATION, "IRCP", "information recipient", HSA_ID, row.user, row.user_name, requestor=True)
    if row.organisation is not None or row.organisation_name is not None:
        yield _agent(
            _ROLE_CLASS, "PROV", "healthcare provider", HSA_ID, row.organisation, row.organisation_name,
            requestor=row.user is None and row.user_name is None,
        )  # fmt: skip
    if row.unit is not None or row.unit_name is not None:
        yield _agent(
            _ROLE_CLASS, "SDLOC", "service delivery location", HSA_ID, row.unit, row.unit_name, requestor=False
        )
    server = {"system": _DICOM, "code": "110152", "display": "Destination Role ID"}
    yield {"type": {"coding": [server]}, "who": {"display": "ndi"}, "requestor": False}


def _agent(
    system: str, code: str, display: str, of: str, value: str | None, name: str | None, *, requestor: bool
) -> dict[str, Any]:
    who: dict[str, Any] = {}
    if value is not None:
        who["identifier"] = {"system": of, "value": value}
    if name is not None:
        who["display"] = name
    coding = {"system": system, "code": code, "display": display}
    return {"type": {"coding": [coding]}, "who": who, "requestor": requestor}


def _holder(hsa_id: str) -> dict[str, Any]:
    return {
        "what": {"identifier": {"system": HSA_ID, "value": hsa_id}},
        "type": {"system": _ENTITY, "code": "3", "display": "Organization"},
        "role": {"system": _ROLE, "code": "3", "display": "Report"},
    }


def _identifier(agent: Mapping[str, Any]) -> str | None:
    value = agent.get("who", {}).get("identifier", {}).get("value")
    return None if value is None else str(value)


def _display(agent: Mapping[str, Any]) -> str | None:
    value = agent.get("who", {}).get("display")
    return None if value is None else str(value)
