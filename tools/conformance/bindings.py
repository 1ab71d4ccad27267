# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Required bindings over the published examples: every coded value is one of its value set, and a wrong one is refused.

https://hl7.org/fhir/R4/terminologies.html#required. Where the values stand is read from the published element table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import gzip
import json
from typing import Any

from fhir_server.validation import check
from tools.conformance.published import FHIR, examples, lines
from tools.conformance.report import Area, Row

_WRONG = "no-such-code"


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded value in a resource: the object and the key or index that hold it."""

    path: str
    holder: Any
    key: Any


def run() -> Area:
    """Each coded value as published, then replaced by a code that is none."""
    paths, kinds = _bound(), _types()
    accepted = refused = total = 0
    failures: list[str] = []
    for name, body in examples():
        resource = json.loads(body)
        found = list(_coded(resource, resource["resourceType"], paths, kinds))
        total += len(found)
        misfits = _misfits(resource)
        accepted += len(found) - len(misfits)
        failures += [f"{name}: {path} is refused" for path in misfits]
        for each in found:
            kept = each.holder[each.key]
            each.holder[each.key] = _spoilt(kept)
            if _misfits(resource):
                refused += 1
            else:
                failures.append(f"{name}: another code at {each.path} is accepted")
            each.holder[each.key] = kept
    rows = (
        Row("coded values with a required binding, as published: accepted", accepted, total),
        Row("the same, each replaced by a code that is none: refused", refused, total),
    )
    return Area("Required bindings", rows, tuple(failures))


def _misfits(resource: dict[str, Any]) -> list[str]:
    return [each.path for each in check(json.dumps(resource).encode()) if each.issue == "code-invalid"]


def _spoilt(value: Any) -> Any:
    if isinstance(value, str):
        return _WRONG
    if "coding" in value:
        return {**value, "coding": [{**each, "code": _WRONG} for each in value["coding"]]}
    return {**value, "code": _WRONG}


def _bound() -> frozenset[str]:
    """Paths whose value set is written out in the published table."""
    with gzip.open(FHIR / "required-bindings-r4.json.gz") as file:
        table = json.load(file)
    return frozenset(each["path"] for each in table["bindings"] if each["valueSet"] in table["valueSets"])


def _types() -> dict[str, str]:
    """The type of each element, or where its content is defined."""
    found: dict[str, str] = {}
    for line in lines("elements-r4.ndjson.gz"):
        row = json.loads(line)
        if "contentReference" in row:
            found[row["path"]] = row["contentReference"].removeprefix("#")
            continue
        for each in row.get("type") or ():
            code = each["code"]
            below = row["path"] if code in ("BackboneElement", "Element") else code
            if row["path"].endswith("[x]"):
                found[row["path"].removesuffix("[x]") + code[0].upper() + code[1:]] = code
            else:
                found[row["path"]] = below
    return found


def _coded(value: Any, path: str, paths: frozenset[str], kinds: dict[str, str]) -> Iterator[Coded]:
    """Every bound value below; what is contained is another resource with paths of its own."""
    for name, child in value.items():
        at = f"{path}.{name}"
        kind = kinds.get(at)
        if kind is None:
            continue
        places = [(child, index) for index in range(len(child))] if isinstance(child, list) else [(value, name)]
        for holder, key in places:
            each = holder[key]
            if at in paths and each is not None and (isinstance(each, str) or "coding" in each or "code" in each):
                yield Coded(at, holder, key)
            if isinstance(each, dict):
                below = each.get("resourceType", kind) if kind == "Resource" else kind
                yield from _coded(each, below, paths, kinds)
