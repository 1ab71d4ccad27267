# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Checks canonical compositions against the demo's small templates (`templates/*.json`).

A template names the composition's and the entry's archetype and, by node id, occurrences, data types and codes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, Final

TEMPLATES: Final = Path(__file__).with_name("templates")
_VALUE_KEY: Final = {"DV_TEXT": "value", "DV_CODED_TEXT": "value", "DV_DATE_TIME": "value", "DV_DURATION": "value"}
_COMPOSITION_REQUIRED: Final = ("name", "archetype_details", "language", "territory", "category", "composer", "content")
_ENTRY_REQUIRED: Final = ("name", "language", "encoding", "subject", "data")


class TemplateFault(Exception):
    """The composition breaks its template; each error says where."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


@dataclass(frozen=True, slots=True)
class Template:
    """A template of the demo."""

    id: str
    definition: Mapping[str, Any]

    @classmethod
    def read(cls, definition: object) -> "Template":
        """A template from its JSON. Raises `TemplateFault` if a part is missing."""
        parts = ("template_id", "composition", "entry", "data", "nodes")
        if not isinstance(definition, dict) or any(name not in definition for name in parts):
            raise TemplateFault([f"a template is a JSON object with {', '.join(parts)}"])
        return cls(str(definition["template_id"]), definition)

    def check(self, composition: object) -> dict[str, Any]:
        """The composition, if it holds. Raises `TemplateFault`."""
        errors: list[str] = []
        if not isinstance(composition, dict) or composition.get("_type") != "COMPOSITION":
            raise TemplateFault(["/: a COMPOSITION in canonical JSON is expected"])
        errors += [f"/{name}: is required" for name in _COMPOSITION_REQUIRED if not composition.get(name)]
        if composition.get("archetype_node_id") != self.definition["composition"]:
            errors.append(f"/archetype_node_id: {self.definition['composition']} is expected")
        content = composition.get("content")
        for number, entry in enumerate(content if isinstance(content, list) else ()):
            errors += self._entry(entry, f"/content[{number}]")
        if errors:
            raise TemplateFault(errors)
        return composition

    def _entry(self, entry: object, where: str) -> list[str]:
        if not isinstance(entry, dict) or entry.get("_type") != "EVALUATION":
            return [f"{where}: an EVALUATION is expected"]
        errors = [f"{where}/{name}: is required" for name in _ENTRY_REQUIRED if not entry.get(name)]
        if entry.get("archetype_node_id") != self.definition["entry"]:
            errors.append(f"{where}/archetype_node_id: {self.definition['entry']} is expected")
        data = entry.get("data")
        if isinstance(data, dict):
            if data.get("_type") != "ITEM_TREE" or data.get("archetype_node_id") != self.definition["data"]:
                errors.append(f"{where}/data: an ITEM_TREE {self.definition['data']} is expected")
            errors += self._items(data.get("items"), self.definition["nodes"], f"{where}/data")
        return errors

    def _items(self, items: object, nodes: Mapping[str, Any], where: str) -> list[str]:
        errors: list[str] = []
        seen: Counter[str] = Counter()
        for number, item in enumerate(items if isinstance(items, list) else ()):
            place = f"{where}/items[{number}]"
            node = str(item.get("archetype_node_id")) if isinstance(item, dict) else ""
            seen[node] += 1
            if node and node == self.definition.get("cluster"):
                errors += self._items(item.get("items"), self.definition["cluster_nodes"], place)
            elif node not in nodes:
                errors.append(f"{place}: the template has no node {node or '(none)'} here")
            else:
                errors += _element(item, nodes[node], place)
        for node, rule in nodes.items():
            if not rule["min"] <= seen[node] <= rule["max"]:
                errors.append(f"{where}: {node} ({rule['name']}) stands {rule['min']} to {rule['max']} times")
        return errors


def _element(item: Mapping[str, Any], rule: Mapping[str, Any], where: str) -> list[str]:
    value = item.get("value")
    if item.get("_type") != "ELEMENT" or not isinstance(value, dict):
        return [f"{where}: an ELEMENT with a value is expected"]
    kind = str(value.get("_type"))
    if kind not in rule["types"]:
        return [f"{where}/value: one of {', '.join(rule['types'])} is expected"]
    if not isinstance(value.get(_VALUE_KEY[kind]), str) or not value[_VALUE_KEY[kind]]:
        return [f"{where}/value: has no value"]
    if kind == "DV_CODED_TEXT":
        code = value.get("defining_code")
        terminology = code.get("terminology_id", {}).get("value") if isinstance(code, dict) else None
        if not isinstance(code, dict) or not code.get("code_string") or not terminology:
            return [f"{where}/value/defining_code: code_string and terminology_id are required"]
        if terminology == "local" and code["code_string"] not in rule.get("codes", ()):
            return [f"{where}/value/defining_code: not a code of this node"]
    return []


def bundled() -> list[Template]:
    """The templates that come with the demo."""
    return [Template.read(json.loads(path.read_text())) for path in sorted(TEMPLATES.glob("*.json"))]
