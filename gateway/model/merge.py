# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Many sources' records as one searchset Bundle (https://hl7.org/fhir/R4/search.html#outcome).

A partial answer says so: each source's part stands in an OperationOutcome, with what was lost in mapping.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid5

from fhir_server.outcome import Severity, issue, operation_outcome
from gateway.model.account import Loss, merged
from gateway.model.record import META_SOURCE, NAMESPACE, Record, hsa, pruned
from gateway.model.status import SourceStatus, extension
from gateway.model.times import is_instant, moment

AGENT_TYPES: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_CUSTODIAN: Final = {"system": AGENT_TYPES, "code": "custodian"}
_AUTHOR: Final = {"system": AGENT_TYPES, "code": "author"}
_ASSEMBLER: Final = {"system": AGENT_TYPES, "code": "assembler"}


@dataclass(frozen=True, slots=True)
class Part:
    """What one unit's records in one source system came to."""

    status: SourceStatus
    system: str
    records: tuple[Record, ...] = ()
    losses: tuple[Loss, ...] = ()
    """Losses outside the records, e.g. of the message."""


def bundle(
    parts: Sequence[Part],
    resource_type: str,
    *,
    gateway: str,
    now: datetime,
    further_issues: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The searchset: matches, what belongs to them, a Provenance per source, and the outcome."""
    matches: list[dict[str, Any]] = []
    includes: list[dict[str, Any]] = []
    issues: list[dict[str, Any]] = []
    seen: set[str] = set()
    for part in parts:
        records = [each for each in part.records if each.of_type(resource_type)]
        fresh = [each for each in records if each.of_type(resource_type)[0]["id"] not in seen]
        for record in fresh:
            for resource in record.resources:
                seen.add(resource["id"])
                (matches if resource["resourceType"] == resource_type else includes).append(resource)
        if fresh:
            includes.append(_provenance(part, fresh, gateway, now))
        issues += _issues(part, records, others=len(part.records) - len(records))
    issues += further_issues
    entries = [*(_entry(each, "match") for each in matches), *(_entry(each, "include") for each in includes)]
    if issues:
        entries.append({"resource": operation_outcome(issues), "search": {"mode": "outcome"}})
    return pruned({"resourceType": "Bundle", "type": "searchset", "total": len(matches), "entry": entries})


def _entry(resource: dict[str, Any], mode: str) -> dict[str, Any]:
    return {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource, "search": {"mode": mode}}


def _provenance(part: Part, records: Sequence[Record], gateway: str, now: datetime) -> dict[str, Any]:
    """Who answers for the records: custodian = care provider, author = care unit, assembler = gateway."""
    authored = sorted((each.authored for each in records if each.authored), key=moment)
    latest = authored[-1] if authored and is_instant(authored[-1]) else now.isoformat()
    agents = [(_CUSTODIAN, part.status.provider), (_AUTHOR, part.status.unit), (_ASSEMBLER, gateway)]
    return pruned(
        {
            "resourceType": "Provenance",
            "id": str(uuid5(NAMESPACE, f"{part.system}|{part.status.unit}|Provenance")),
            "meta": {"source": META_SOURCE + part.system},
            "target": [{"reference": f"urn:uuid:{r['id']}"} for each in records for r in each.resources],
            "occurredPeriod": {"start": authored[0], "end": authored[-1]} if authored else None,
            "recorded": latest,
            "agent": [{"type": {"coding": [kind]}, "who": {"identifier": hsa(who)}} for kind, who in agents if who],
        }
    )


_TOLD: Final[dict[str, tuple[Severity, str, str]]] = {
    "answered": ("information", "informational", "source-answered"),
    "silent": ("warning", "timeout", "source-silent"),
    "failed": ("warning", "incomplete", "source-failed"),
    "none": ("warning", "incomplete", "source-unreachable"),
}


def status_issues(part: Part) -> list[dict[str, Any]]:
    """How the part's source took part, as an issue with the status as extension."""
    severity, kind, code = _TOLD[part.status.status]
    told = issue(severity, kind, code, f"{part.status.unit_name}: {part.status.detail}")
    return [{"extension": [extension(part.status)], **told}]


def _issues(part: Part, records: Sequence[Record], *, others: int) -> list[dict[str, Any]]:
    name = part.status.unit_name
    issues = status_issues(part)
    losses = merged([*part.losses, *(loss for each in records for loss in each.losses)])
    for loss in losses:
        text = f"{name}: {loss.path}: {loss.reason}"
        times = f" ({loss.count} times)" if loss.count > 1 else ""
        issues.append(issue("information", "informational", "mapping-loss", text + times))
    if others:
        text = f"{name}: {others} alert(s) of other kinds than asked for are not part of this answer"
        issues.append(issue("information", "informational", "other-kinds", text))
    return issues
