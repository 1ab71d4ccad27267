# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Entries, coverage and changes as parts of Parameters, written by the operations and read by the HTTP client."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir_server.parameters import Parameters
from fhir_server.resource import instant
from identifiers.person_number import PersonIdentifier
from patient_index.values import Coverage, Entry
from provider_catalog.client import ResolvedEndpoint

Part = dict[str, Any]


def entry_parts(entry: Entry) -> list[Part]:
    """The parts of an `entry` parameter."""
    parts: list[Part] = [
        {"name": "id", "valueId": entry.id},
        {"name": "person", "valueId": entry.person.hex()},
        {"name": "custodian", "valueString": entry.custodian},
        {"name": "unit", "valueString": entry.unit},
        {"name": "informationType", "valueCode": entry.information_type},
        {"name": "sourceSystem", "valueString": entry.source_system},
        {"name": "businessObject", "valueString": entry.business_object},
    ]
    optional: tuple[tuple[str, str, object | None], ...] = (
        ("custodianName", "valueString", entry.custodian_name),
        ("unitName", "valueString", entry.unit_name),
        ("mostRecent", "valueDateTime", _moment(entry.most_recent)),
        ("items", "valueUnsignedInt", entry.items),
        ("periodStart", "valueDateTime", _moment(entry.period_start)),
        ("periodEnd", "valueDateTime", _moment(entry.period_end)),
    )
    parts += [{"name": name, kind: value} for name, kind, value in optional if value is not None]
    if entry.endpoint is not None:
        parts.append({"name": "endpoint", "part": endpoint_parts(entry.endpoint)})
    return parts


def endpoint_parts(endpoint: ResolvedEndpoint) -> list[Part]:
    """The parts of an `endpoint` part."""
    return [
        {"name": "address", "valueUrl": endpoint.address},
        {"name": "connectionType", "valueCode": endpoint.connection_type},
        {"name": "logicalAddress", "valueString": endpoint.logical_address},
        {"name": "unit", "valueString": endpoint.unit},
        *({"name": "path", "valueString": each} for each in endpoint.path),
    ]


def coverage_parts(coverage: Coverage) -> list[Part]:
    """The parts of `coverage`."""
    return [
        {"name": "connected", "valueUnsignedInt": coverage.connected},
        {"name": "notConnected", "valueUnsignedInt": coverage.not_connected},
        *({"name": "notConnectedName", "valueString": each} for each in coverage.not_connected_names),
    ]


def identifier_value(identifier: PersonIdentifier) -> Mapping[str, str]:
    """The identifier as a FHIR Identifier."""
    return {"system": identifier.system, "value": identifier.value}


def read_endpoint(given: Parameters) -> ResolvedEndpoint:
    """An endpoint from its parts."""
    return ResolvedEndpoint(
        address=given.required("address", str),
        connection_type=given.required("connectionType", str),
        logical_address=given.required("logicalAddress", str),
        unit=given.required("unit", str),
        path=given.values("path", str),
    )


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)
