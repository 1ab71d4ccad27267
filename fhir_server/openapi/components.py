# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the descriptions share: control parameters, headers, the forms of resources and of errors."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from fhir_server.context import ErrorFormat
from fhir_server.outcome import Invalid
from fhir_server.validation.definitions import Element, code_sets, kind

_DATE: Final = r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+\-](0[0-9]|1[0-3]):[0-5][0-9])"
_PATTERNS: Final[Mapping[str, str]] = {
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "code": r"[^\s]+( [^\s]+)*",
    "date": _DATE + ")?)?",
    "dateTime": f"{_DATE}({_TIME})?)?)?",
    "instant": r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])" + _TIME,
}
"""Of primitives, as https://hl7.org/fhir/R4/datatypes.html has them, in what regular expressions everywhere share."""
_MOST_CODES: Final = 40


def _query(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _header(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string", **schema}}


CONTROLS: Final[Mapping[str, dict[str, Any]]] = {
    each["name"]: each
    for each in (
        _query("_count", "Entries of a page", type="integer", minimum=0),
        _query("_cursor", "Where the page begins, from the link `next`", type="string"),
        _query("_total", "Whether to count all matches", type="string", enum=["none", "estimate", "accurate"]),
        _query("_sort", "Parameters by which to order, - before one for descending", type="string", minLength=1),
        _query(
            "_summary", "Which parts of the resources", type="string", enum=["true", "false", "text", "data", "count"]
        ),
        _query("_elements", "Which elements of the resources", type="string", pattern="^[A-Za-z]+(,[A-Za-z]+)*$"),
        _query("_format", "The form of the answer", type="string", enum=["json", "application/fhir+json"]),
        _query("_pretty", "Indented", type="string", enum=["true", "false"]),
        _query("_since", "Only what changed from this moment on", type="string", format="date-time"),
        _query("_at", "Only what was current at some moment of the period", type="string"),
        _query("_type", "Types, separated by commas", type="string"),
        _query("_typeFilter", "Type?search, percent-encoded", type="string"),
        _query("_outputFormat", "The form of the files", type="string", enum=["application/fhir+ndjson"]),
        _query("start", "The first day of care", type="string", format="date"),
        _query("end", "The last day of care", type="string", format="date"),
        _query(
            "mode",
            "What the resource is to be checked for",
            type="string",
            enum=["create", "update", "delete", "profile"],
        ),
        _query("profile", "Canonical URL of a profile to hold the resource against", type="string", format="uri"),
    )
}
HEADERS: Final[Mapping[str, dict[str, Any]]] = {
    each["name"]: each
    for each in (
        _header("If-Match", 'The version to change: W/"3"', pattern=r'^(W/)?"[0-9]{1,18}"$|^\*$'),
        _header("If-None-Match", 'The version that is known: W/"3"', pattern=r'^(W/)?"[0-9]{1,18}"$|^\*$'),
        _header("If-Modified-Since", "The moment from which a change is of interest"),
        _header("If-None-Exist", "Search parameters that a resource to be created is known by"),
        _header(
            "Prefer",
            "return=minimal, return=representation, handling=strict, handling=lenient, respond-async",
            pattern="^(return=(minimal|representation)|handling=(strict|lenient)|respond-async)$",
        ),
    )
}

OUTCOME: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["severity", "code", "details", "diagnostics"],
                "properties": {
                    "severity": {"enum": ["fatal", "error", "warning", "information"]},
                    "code": {"type": "string"},
                    "details": {"type": "object", "required": ["coding", "text"]},
                    "diagnostics": {"type": "string", "minLength": 1},
                    "expression": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}


def resource_schema(name: str) -> dict[str, Any] | None:
    """The elements of a resource type, one level deep: what is below is data types, which the specification shows."""
    of = kind(name)
    if of is None:
        return None
    properties: dict[str, Any] = {"resourceType": {"const": name}}
    required = ["resourceType"]
    for json_name, (element, type_name) in of.elements.items():
        one = _value(element, type_name)
        properties[json_name] = {"type": "array", "items": one, "minItems": 1} if element.many else one
        if element.min and len(of.members[element.name]) == 1:
            required.append(json_name)
    return {
        "type": "object",
        "externalDocs": {"url": f"https://hl7.org/fhir/R4/{name.lower()}.html"},
        "required": required,
        "properties": properties,
    }


def _value(element: Element, type_name: str) -> dict[str, Any]:
    match type_name:
        case "boolean":
            return {"type": "boolean"}
        case "integer" | "positiveInt" | "unsignedInt":
            return {"type": "integer"}
        case "decimal":
            return {"type": "number"}
        case "Resource":
            return {"type": "object", "required": ["resourceType"]}
        case _ if type_name[0].islower():
            codes = _codes(element)
            if 0 < len(codes) <= _MOST_CODES:
                return {"type": "string", "enum": codes}
            pattern = _PATTERNS.get(type_name)
            return {"type": "string", **({"pattern": f"^({pattern})$"} if pattern else {"minLength": 1})}
        case _:
            return {"type": "object", "minProperties": 1, "description": type_name}


def _codes(element: Element) -> list[str]:
    """The codes of a required binding."""
    return sorted(code for codes in code_sets().get(element.codes, {}).values() for code in codes)


def error_form(told: ErrorFormat) -> tuple[str, dict[str, Any]]:
    """The media type and the schema of a protocol's own errors, read off one."""
    sample = told(Invalid("an example"), "0" * 32)
    media = sample.media_type.partition(";")[0]
    if not media.endswith("json") or not isinstance(sample.body, bytes):
        return media, {"type": "string"}
    return media, {"type": "object", "required": sorted(orjson.loads(sample.body))}
