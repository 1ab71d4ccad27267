# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A StructureDefinition as a tree of elements and slices. https://hl7.org/fhir/R4/elementdefinition.html

The snapshot is read; without one the differential, on the shape of the profile it is based on if that is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_TYPE: Final = "http://hl7.org/fhirpath/"


@dataclass(slots=True)
class Shape:
    """What a profile asks of one element."""

    name: str
    type: str = ""
    """Of the root: the type that is profiled."""
    choice: bool = False
    min: int = 0
    max: int | None = None
    """None: any number."""
    fixed: Any = None
    pattern: Any = None
    types: frozenset[str] = frozenset()
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    value_set: str = ""
    constraints: tuple[tuple[str, str, str, str], ...] = ()
    """Key, severity, expression, text."""
    discriminators: tuple[tuple[str, str], ...] = ()
    closed: bool = False
    children: dict[str, "Shape"] = field(default_factory=dict)
    slices: dict[str, "Shape"] = field(default_factory=dict)

    def at(self, path: str) -> "Shape | None":
        """The element below at the path of a discriminator."""
        found: Shape | None = self
        for step in _steps(path):
            found = found.children.get(step) if found is not None else None
        return found

    def wanted(self, path: str) -> tuple[bool, Any] | None:
        """What is fixed (True) or patterned at a path below, here or by an element above it."""
        steps = _steps(path)
        found: Shape | None = self
        for at in range(len(steps) + 1):
            if found is None:
                return None
            for exact, value in ((True, found.fixed), (False, found.pattern)):
                below = None if value is None else _below(value, steps[at:])
                if below is not None:
                    return exact, below
            if at < len(steps):
                nearer = found.children.get(steps[at])
                if nearer is None or (not nearer.children and nearer.fixed is None and nearer.pattern is None):
                    nearer = next(iter(nearer.slices.values()), nearer) if nearer is not None else None
                found = nearer
        return None


def _steps(path: str) -> list[str]:
    return [] if path == "$this" else [step for step in path.split(".") if "(" not in step and step != "$this"]


def _below(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(step) if isinstance(value, dict) else None
    return value


def canonical(url: str) -> str:
    """A canonical URL without the version."""
    return url.partition("|")[0]


def fits(value: Any, wanted: Any, *, exact: bool) -> bool:
    """Whether a value is the fixed one, or holds all that a pattern names."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict) or (exact and value.keys() != wanted.keys()):
            return False
        return all(name in value and fits(value[name], each, exact=exact) for name, each in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(value, list) or (exact and len(value) != len(wanted)):
            return False
        return all(any(fits(one, each, exact=exact) for one in value) for each in wanted)
    return type(value) is type(wanted) and bool(value == wanted)


def shape_of(definition: Mapping[str, Any], all_of: Mapping[str, Mapping[str, Any]]) -> Shape:
    """The tree of a profile."""
    chain = [definition]
    while (
        "snapshot" not in chain[-1] and (base := all_of.get(canonical(chain[-1].get("baseDefinition", "")))) is not None
    ):
        if base in chain:
            break
        chain.append(base)
    root = Shape(str(definition.get("type", "")), type=str(definition.get("type", "")))
    for each in reversed(chain):
        held = each.get("snapshot") or each.get("differential") or {}
        for element in held.get("element", ()):
            _place(root, element, str(each.get("url", "")))
    root.min, root.max = 0, None
    return root


def _place(root: Shape, element: Mapping[str, Any], url: str) -> None:
    identifier = element.get("id") or element.get("path", "")
    shape = root
    for step in identifier.split(".")[1:]:
        name, _, piece = step.partition(":")
        choice = name.endswith("[x]")
        name = name.removesuffix("[x]")
        shape = shape.children.setdefault(name, Shape(name, choice=choice))
        if piece:
            shape = shape.slices.setdefault(piece, Shape(name, choice=choice))
    _fill(shape, element, url)


def _fill(shape: Shape, element: Mapping[str, Any], url: str) -> None:
    if "min" in element:
        shape.min = int(element["min"])
    if "max" in element:
        shape.max = None if element["max"] == "*" else int(element["max"])
    for name, value in element.items():
        if name.startswith("fixed"):
            shape.fixed = value
        elif name.startswith("pattern"):
            shape.pattern = value
    if "type" in element:
        kinds = element["type"]
        names = {each["code"] for each in kinds}
        plain = not any(name.startswith(_SYSTEM_TYPE) for name in names)
        shape.types = frozenset(names) if plain else frozenset()
        shape.profiles = tuple(canonical(each) for one in kinds for each in one.get("profile", ()))
        shape.targets = tuple(canonical(each) for one in kinds for each in one.get("targetProfile", ()))
        if len(kinds) > 1 and not all(one.get("profile") for one in kinds):
            shape.profiles = ()
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        shape.value_set = canonical(binding["valueSet"])
    if "slicing" in element:
        slicing = element["slicing"]
        shape.closed = slicing.get("rules") == "closed"
        shape.discriminators = tuple((each["type"], each["path"]) for each in slicing.get("discriminator", ()))
    own = [
        (each["key"], each["severity"], each["expression"], each.get("human", ""))
        for each in element.get("constraint", ())
        if "expression" in each and not each.get("source", url).startswith(CORE)
    ]
    if own:
        shape.constraints = tuple(own)
