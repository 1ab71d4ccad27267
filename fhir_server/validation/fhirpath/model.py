# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A FHIR value with its type, as FHIRPath sees it. https://hl7.org/fhir/R4/fhirpath.html

A collection is a list of `Node` (values of the resource) and of plain Python values (literals and results).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from fhir_server.validation.definitions import Kind, kind
from fhir_server.validation.fhirpath.values import Moment, Quantity, moment, time_of


class Node:
    """One value of a resource."""

    __slots__ = ("extra", "kind", "value")

    def __init__(self, value: Any, kind: Kind | None, extra: Any = None) -> None:
        self.value = value
        self.kind = kind
        self.extra = extra
        """Of a primitive value: id and extensions, from the property that begins with `_`."""

    def child(self, name: str) -> list[Any]:
        """The values of one element, in order."""
        holder = self.value if isinstance(self.value, dict) else self.extra
        if not isinstance(holder, dict) or self.kind is None:
            return []
        if name == "extension" or (name == "id" and self.kind.primitive):
            return list(_several(holder.get(name), None, kind("Extension" if name == "extension" else "string")))
        members = self.kind.members.get(name)
        if members is None:
            return []
        found: list[Any] = []
        for json_name, kind_name in members:
            value, extra = holder.get(json_name), holder.get("_" + json_name)
            if value is not None or extra is not None:
                found += _several(value, extra, kind(kind_name))
        return found

    def has(self, name: str) -> bool:
        """Whether an element stands there."""
        holder = self.value if isinstance(self.value, dict) else self.extra
        if not isinstance(holder, dict) or self.kind is None:
            return False
        if name in holder:
            return True
        members = self.kind.members.get(name, ())
        return any(json_name in holder or "_" + json_name in holder for json_name, _ in members)

    def children(self) -> list[Any]:
        """The values of all elements."""
        holder = self.value if isinstance(self.value, dict) else self.extra
        if not isinstance(holder, dict) or self.kind is None:
            return []
        names = dict.fromkeys(_member(self.kind, each) for each in holder)
        return [node for name in names if name for node in self.child(name)]

    def plain(self) -> Any:
        """The value as FHIRPath computes with it; None for a complex value and for one that has only extensions."""
        value, kind = self.value, self.kind
        if value is None or kind is None or isinstance(value, (dict, list)):
            if isinstance(value, dict) and kind is not None and "Quantity" in kind.ancestors:
                return _quantity(value)
            return None
        convert = _PLAIN.get(kind.name)
        return convert(value) if convert is not None else value


def _member(kind: Kind, name: str) -> str | None:
    if name == "resourceType":
        return None
    found = kind.elements.get(name.removeprefix("_"))
    return found[0].name if found is not None else "extension" if name == "extension" else None


def _several(value: Any, extra: Any, of: Kind | None) -> list[Node]:
    if isinstance(value, list):
        extras = extra if isinstance(extra, list) else ()
        return [
            node_of(each, of, extras[at] if at < len(extras) else None)
            for at, each in enumerate(value)
            if each is not None or (at < len(extras) and extras[at] is not None)
        ]
    if value is None and isinstance(extra, list):
        return [Node(None, of, each) for each in extra if each is not None]
    return [] if value is None and extra is None else [node_of(value, of, extra)]


def node_of(value: Any, of: Kind | None, extra: Any = None) -> Node:
    """A value of the type, which for a resource is the one it names."""
    if of is not None and of.name == "Resource" and isinstance(value, dict):
        name = value.get("resourceType")
        of = (kind(name) if isinstance(name, str) else None) or of
    return Node(value, of, extra)


def decimal_of(value: Any) -> Any:
    """A JSON number as a decimal."""
    return Decimal(str(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _moment_of(value: Any) -> Moment | Any:
    return (moment(value) or value) if isinstance(value, str) else value


def _date_time_of(value: Any) -> Moment | Any:
    found = _moment_of(value)
    return Moment("DateTime", found.parts, found.zone, found.text) if isinstance(found, Moment) else found


def _time_of(value: Any) -> Moment | Any:
    return (time_of(value) or value) if isinstance(value, str) else value


def _quantity(value: dict[str, Any]) -> Quantity | None:
    number = value.get("value")
    if not isinstance(number, (int, float, Decimal)) or isinstance(number, bool) or value.get("comparator"):
        return None
    unit = value.get("code") or value.get("unit")
    return Quantity(Decimal(str(number)), unit if isinstance(unit, str) else "1")


_PLAIN: Final[dict[str, Callable[[Any], Any]]] = {
    "decimal": decimal_of,
    "date": _moment_of,
    "dateTime": _date_time_of,
    "instant": _date_time_of,
    "time": _time_of,
}
