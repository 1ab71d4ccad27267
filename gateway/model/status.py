# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How each source took part in an answer, as values and as they travel inside the answer's OperationOutcome."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

STATUS_EXTENSION: Final = "https://ndi.example/fhir/StructureDefinition/source-status"
"""Extension of an issue of the answer's OperationOutcome: the fields of `SourceStatus` as sub-extensions."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source took part in an answer."""

    unit: str
    unit_name: str
    provider: str
    status: str
    """answered, silent (nothing in time), failed (an answer that is not its protocol) or none (no endpoint)."""
    detail: str
    milliseconds: int
    count: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A merged searchset Bundle and how each source took part."""

    bundle: dict[str, Any]
    sources: tuple[SourceStatus, ...]
    complete: bool

    @classmethod
    def of(cls, bundle: dict[str, Any]) -> "Fetched":
        """From the Bundle as it travels."""
        issues = [
            issue
            for entry in bundle.get("entry", [])
            if entry.get("resource", {}).get("resourceType") == "OperationOutcome"
            for issue in entry["resource"].get("issue", [])
        ]
        told = [each for issue in issues for each in issue.get("extension", []) if each.get("url") == STATUS_EXTENSION]
        sources = tuple(_status(each) for each in told)
        return cls(bundle, sources, complete=all(each.status == "answered" for each in sources))


_NAMES: Final = {"unit_name": "unitName"}
_KINDS: Final = {"status": "Code", "milliseconds": "UnsignedInt", "count": "UnsignedInt"}


def extension(status: SourceStatus) -> dict[str, Any]:
    """The status as an extension."""
    parts = []
    for field in fields(status):
        value = getattr(status, field.name)
        if value != "":
            kind = _KINDS.get(field.name, "String")
            parts.append({"url": _NAMES.get(field.name, field.name), f"value{kind}": value})
    return {"url": STATUS_EXTENSION, "extension": parts}


def _status(told: Mapping[str, Any]) -> SourceStatus:
    values = {
        each["url"]: next(value for key, value in each.items() if key.startswith("value"))
        for each in told.get("extension", [])
    }
    return SourceStatus(
        unit=values.get("unit", ""),
        unit_name=values.get("unitName", ""),
        provider=values.get("provider", ""),
        status=values.get("status", "failed"),
        detail=values.get("detail", ""),
        milliseconds=values.get("milliseconds", 0),
        count=values.get("count", 0),
    )
