# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""_summary and _elements: parts of a resource, marked SUBSETTED (https://hl7.org/fhir/R4/search.html#summary).

The text of numbers and the order of elements stay. The table is derived by tools/derive_subsets.py.
"""

from collections.abc import Callable
import csv
from functools import cache
from importlib import resources
from typing import Any

from fhir_server.raw import dumps, loads
from fhir_server.search.query import Summary

_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
_KEPT = frozenset({"resourceType", "id", "meta"})

Subset = Callable[[str, bytes], bytes]
"""From the type and the bytes of a resource to the bytes that are sent."""


def subset(summary: Summary, elements: tuple[str, ...]) -> Subset | None:
    """What a search sends of each resource; None: all of it."""
    if elements:
        return lambda kind, body: _part(kind, body, lambda path: _stem(path) in elements)
    match summary:
        case "true":
            return lambda kind, body: _part(kind, body, lambda path: path in _table()[kind][0], deep=True)
        case "text":
            return lambda kind, body: _part(kind, body, lambda path: path == "text")
        case "data":
            return lambda kind, body: _part(kind, body, lambda path: path != "text")
        case _:
            return None


def _part(kind: str, body: bytes, wanted: Callable[[str], bool], *, deep: bool = False) -> bytes:
    resource: dict[str, Any] = loads(body)
    names = _Names(kind)
    always = _table()[kind][1]
    kept: dict[str, Any] = {}
    for name, value in resource.items():
        path = names.path(name)
        if name in _KEPT or wanted(path) or path in always:
            kept[name] = _inside(names, path, value, wanted) if deep and path not in always else value
    meta = dict(kept.get("meta") or {})
    meta["tag"] = [*meta.get("tag", ()), _SUBSETTED]
    kept["meta"] = meta
    return dumps(kept)


def _inside(names: "_Names", path: str, value: Any, wanted: Callable[[str], bool]) -> Any:
    """Below an element that the definitions of resources describe themselves (a backbone), by the same rule."""
    if isinstance(value, list):
        return [_inside(names, path, each, wanted) for each in value]
    if not isinstance(value, dict) or not names.describes(path):
        return value
    inner = {}
    for name, part in value.items():
        deeper = names.path(name, f"{path}.")
        if wanted(deeper) or name in ("id", "extension"):
            inner[name] = _inside(names, deeper, part, wanted)
    return inner


class _Names:
    """Paths as the definitions name them: `value[x]` for `valueQuantity`, `birthDate` for `_birthDate`."""

    def __init__(self, kind: str) -> None:
        self._paths = _table()[kind][0] | _table()[kind][1]

    def path(self, name: str, before: str = "") -> str:
        plain = before + name.removeprefix("_")
        if plain in self._paths:
            return plain
        for end in range(len(plain) - 1, len(before), -1):
            if plain[end].isupper() and f"{plain[:end]}[x]" in self._paths:
                return f"{plain[:end]}[x]"
        return plain

    def describes(self, path: str) -> bool:
        return any(each.startswith(path + ".") for each in self._paths)


def _stem(path: str) -> str:
    return path.removesuffix("[x]")


@cache
def _table() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    text = resources.files("fhir_server.search").joinpath("subsets.csv").read_text("utf-8")
    return {
        row["resource"]: (frozenset(row["summary"].split()), frozenset(row["always"].split()))
        for row in csv.DictReader(text.splitlines())
    }
