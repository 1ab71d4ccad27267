# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Value sets that an operator has loaded, as far as they list their codes. https://hl7.org/fhir/R4/valueset.html"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fhir_server.validation.definitions import code_sets
from fhir_server.validation.fhirpath import Node

_R4: Final = "http://hl7.org/fhir/ValueSet/"


class ValueSets:
    """Loaded value sets and code systems, and those of R4's own required bindings."""

    def __init__(self) -> None:
        self._sets: dict[str, Mapping[str, Any]] = {}
        self._systems: dict[str, frozenset[str]] = {}

    def add(self, resource: Mapping[str, Any]) -> None:
        """Takes a ValueSet, or a CodeSystem that is complete."""
        url = str(resource["url"])
        if resource.get("resourceType") == "ValueSet":
            self._sets[url] = resource
        elif resource.get("content") == "complete":
            self._systems[url] = frozenset(_codes(resource.get("concept", ())))

    def holds(self, url: str, node: Node) -> bool | None:
        """Whether a code, Coding or CodeableConcept has a code of the set; None if that can't be decided."""
        value = node.value
        if isinstance(value, str):
            return self._code(url, None, value, 0)
        if not isinstance(value, dict):
            return None
        codings = value.get("coding") if node.kind is not None and node.kind.name == "CodeableConcept" else [value]
        results = [
            self._code(url, each.get("system"), each.get("code"), 0)
            for each in (codings if isinstance(codings, list) else ())
            if isinstance(each, dict)
        ]
        return True if True in results else None if None in results else False

    def _code(self, url: str, system: Any, code: Any, depth: int) -> bool | None:
        resource = self._sets.get(url.partition("|")[0])
        if resource is None:
            listed = code_sets().get(url.removeprefix(_R4)) if url.startswith(_R4) else None
            if listed is None:
                return None
            return any(code in codes for name, codes in listed.items() if system in (None, name))
        if depth > 8:
            return None
        compose = resource.get("compose", {})
        excluded = [self._part(each, system, code, depth) for each in compose.get("exclude", ())]
        included = [self._part(each, system, code, depth) for each in compose.get("include", ())]
        if True in excluded:
            return False
        if True in included:
            return None if None in excluded else True
        return None if None in included or not included else False

    def _part(self, part: Mapping[str, Any], system: Any, code: Any, depth: int) -> bool | None:
        results: list[bool | None] = [self._code(each, system, code, depth + 1) for each in part.get("valueSet", ())]
        if "system" in part:
            if system is not None and system != part["system"]:
                return False
            if "filter" in part:
                results.append(None)
            elif "concept" in part:
                results.append(any(each.get("code") == code for each in part["concept"]))
            else:
                known = self._systems.get(part["system"])
                results.append((code in known) if known is not None else None)
        return False if False in results else None if None in results or not results else True


def _codes(concepts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    pending = list(concepts)
    while pending:
        concept = pending.pop()
        yield str(concept.get("code"))
        pending += concept.get("concept", ())
