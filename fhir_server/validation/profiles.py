# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Validation against profiles that an operator has loaded. https://hl7.org/fhir/R4/profiling.html

Cardinality, types, reference targets, fixed values and patterns, slicing by value, pattern, type, exists and profile,
profiles of data types and extensions, required bindings, invariants. What can't be decided with what is loaded is not
held against a resource; `Profiles.missing` names it. Structure is checked before (`validate`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.validation.bundles import Scope
from fhir_server.validation.definitions import Kind, kind
from fhir_server.validation.fhirpath import Environment, FhirPathError, Node, compile_term, node_of, truth
from fhir_server.validation.invariants import CORRECTED, ELSEWHERE, LEFT_OUT
from fhir_server.validation.problem import Problem
from fhir_server.validation.references import target_type
from fhir_server.validation.shapes import CORE, Shape, canonical, fits, shape_of
from fhir_server.validation.value_sets import ValueSets

_DEEPEST = 24


@dataclass(frozen=True, slots=True)
class Placed:
    """A value and where it stands."""

    path: str
    node: Node


class Profiles:
    """The loaded definitions. Filled once, then only read."""

    def __init__(self) -> None:
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._shapes: dict[str, Shape] = {}
        self._sets = ValueSets()
        self.missing: set[str] = set()
        """Canonical URLs and invariant keys that were needed and can't be decided."""

    def load(self, resources: Iterable[Mapping[str, Any]]) -> int:
        """Takes StructureDefinitions, ValueSets and CodeSystems; the number taken. A later one replaces an earlier."""
        taken = 0
        for resource in resources:
            url, name = resource.get("url"), resource.get("resourceType")
            if not isinstance(url, str):
                continue
            if name == "StructureDefinition":
                self._definitions[url] = resource
                self._shapes.pop(url, None)
                taken += 1
            elif name in ("ValueSet", "CodeSystem"):
                self._sets.add(resource)
                taken += 1
        return taken

    def __contains__(self, url: object) -> bool:
        return isinstance(url, str) and canonical(url) in self._definitions

    def validate(self, resource: Mapping[str, Any], url: str) -> list[Problem]:
        """What a resource breaks of a profile. Raises `KeyError` if the profile is not loaded."""
        shape = self.shape(canonical(url))
        if shape is None:
            raise KeyError(url)
        whole = dict(resource)
        node = node_of(whole, kind("Resource"))
        name = str(whole.get("resourceType"))
        if name != shape.type:
            return [Problem(name, f"the profile is for {shape.type}", "structure")]
        return list(_Run(self, Scope(whole, whole)).value(shape, Placed(name, node), 0))

    def shape(self, url: str) -> Shape | None:
        """The compiled profile, or None if it is not loaded."""
        shape = self._shapes.get(url)
        if shape is None and url in self._definitions:
            shape = self._shapes[url] = shape_of(self._definitions[url], self._definitions)
        return shape

    def holds_code(self, value_set: str, node: Node) -> bool | None:
        """Whether a coded value is in a value set; None if that can't be decided."""
        found = self._sets.holds(value_set, node)
        if found is None:
            self.missing.add(value_set)
        return found


class _Run:
    """One resource against one profile."""

    def __init__(self, profiles: Profiles, scope: Scope) -> None:
        self.profiles = profiles
        self.scope = scope

    def value(self, shape: Shape, placed: Placed, depth: int) -> Iterator[Problem]:
        """One value against the element it stands for."""
        if depth > _DEEPEST:
            return
        node = placed.node
        if shape.fixed is not None and not fits(node.value, shape.fixed, exact=True):
            yield Problem(placed.path, "give the value that the profile fixes", "value")
        if shape.pattern is not None and not fits(node.value, shape.pattern, exact=False):
            yield Problem(placed.path, "give what the profile's pattern asks for", "value")
        if shape.types and not _typed(node, shape):
            yield Problem(placed.path, f"the profile allows {', '.join(sorted(shape.types))} here", "structure")
            return
        if shape.value_set and self.profiles.holds_code(shape.value_set, node) is False:
            yield Problem(placed.path, f"use a code of the value set {shape.value_set}", "code-invalid")
        yield from self._typed_profiles(shape, placed, depth)
        yield from self._targets(shape, placed)
        yield from self._invariants(shape, placed)
        for child in shape.children.values():
            yield from self._child(child, placed, depth)

    def _child(self, child: Shape, parent: Placed, depth: int) -> Iterator[Problem]:
        values = list(_members(parent, child.name))
        path = f"{parent.path}.{child.name}"
        if not child.slices or child.min or child.max is not None:
            yield from _counted(child, len(values), path)
        for placed in values:
            yield from self.value(child, placed, depth + 1)
        if child.slices:
            yield from self._sliced(child, values, path, depth)

    def _sliced(self, child: Shape, values: list[Placed], path: str, depth: int) -> Iterator[Problem]:
        counts = dict.fromkeys(child.slices, 0)
        undecided: set[str] = set()
        for placed in values:
            chosen: str | None = None
            open_ones = False
            for name, piece in child.slices.items():
                match = self._matches(child, piece, placed, depth)
                if match is None:
                    undecided.add(name)
                    open_ones = True
                elif match:
                    chosen = name
                    break
            if chosen is not None:
                counts[chosen] += 1
                yield from self.value(child.slices[chosen], placed, depth + 1)
            elif child.closed and not open_ones:
                yield Problem(placed.path, "the profile allows none but its own slices here", "structure")
        for name, piece in child.slices.items():
            count = counts[name]
            if name in undecided and count < piece.min:
                continue
            yield from _counted(piece, count, path, name)

    def _matches(self, child: Shape, piece: Shape, placed: Placed, depth: int) -> bool | None:
        """Whether a value belongs to a slice, by all discriminators; None if that can't be decided."""
        if not child.discriminators:
            return _typed(placed.node, piece) if piece.types and child.choice else None
        result: bool | None = True
        for how, path in child.discriminators:
            one = self._discriminated(how, path, piece, placed, depth)
            if one is False:
                return False
            result = None if one is None else result
        return result

    def _discriminated(self, how: str, path: str, piece: Shape, placed: Placed, depth: int) -> bool | None:
        items = self._items(path, placed)
        if items is None:
            return None
        at = piece.at(path)
        if how == "exists":
            return None if at is None else bool(items) == (at.max != 0)
        if how == "type":
            return None if at is None or not at.types else any(_typed(each, at) for each in items)
        if how == "profile":
            return self._conforms(at, items, placed, depth)
        if path == "url" and piece.profiles:
            return any(each.value in piece.profiles for each in items)
        if how == "position":
            return None
        wanted = piece.wanted(path)
        if wanted is not None:
            exact, value = wanted
            return any(fits(each.value, value, exact=exact) for each in items)
        if at is not None and at.value_set:
            found = [self.profiles.holds_code(at.value_set, each) for each in items]
            return True if True in found else None if None in found else False
        return None

    def _conforms(self, at: Shape | None, items: list[Node], placed: Placed, depth: int) -> bool | None:
        if at is None or not at.profiles or not items:
            return None
        undecided = False
        for url in at.profiles:
            shape = self.profiles.shape(url)
            if shape is None:
                self.profiles.missing.add(url)
                undecided = True
                continue
            for node in items:
                if node.kind is not None and shape.type == node.kind.name:
                    inner = Placed(placed.path, node)
                    if next(self.value(shape, inner, depth + 1), None) is None:
                        return True
        return None if undecided else False

    def _items(self, path: str, placed: Placed) -> list[Node] | None:
        if path == "$this":
            return [placed.node]
        try:
            found = compile_term(path)(self._environment(placed.node))
        except FhirPathError:
            return None
        if "resolve()" in path and not found:
            return None
        return [each for each in found if isinstance(each, Node)]

    def _environment(self, node: Node) -> Environment:
        scope = self.scope
        return Environment([node], scope.resource_node, scope.root_node, [node], self._resolve)

    def _resolve(self, reference: str) -> Node | None:
        bundle = self.scope.root
        if bundle.get("resourceType") == "Bundle" and self.scope.bundle is None:
            inner = Scope(bundle, bundle, self.scope)
            return inner.resolve_node(reference)
        return self.scope.resolve_node(reference)

    def _typed_profiles(self, shape: Shape, placed: Placed, depth: int) -> Iterator[Problem]:
        """The profiles of the value's type: one of those loaded must hold."""
        known: list[Shape] = []
        for url in shape.profiles:
            if url.startswith(CORE) and url not in self.profiles:
                return
            found = self.profiles.shape(url)
            if found is None:
                self.profiles.missing.add(url)
                return
            if placed.node.kind is not None and found.type in placed.node.kind.ancestors:
                known.append(found)
        problems: list[Problem] = []
        for each in known:
            problems = list(self.value(each, placed, depth + 1))
            if not problems:
                return
        yield from problems

    def _targets(self, shape: Shape, placed: Placed) -> Iterator[Problem]:
        value = placed.node.value
        text = value.get("reference") if isinstance(value, dict) else None
        if not shape.targets or not isinstance(text, str):
            return
        named = target_type(text)[0]
        if named is None and (target := self._resolve(text)) is not None and target.kind is not None:
            named = target.kind.name
        allowed = {self._target_name(url) for url in shape.targets}
        if named is not None and None not in allowed and named not in allowed and "Resource" not in allowed:
            names = ", ".join(sorted(each for each in allowed if each))
            yield Problem(placed.path, f"the profile allows references to {names} here", "value")

    def _target_name(self, url: str) -> str | None:
        found = self.profiles.shape(url)
        if found is not None:
            return found.type
        if url.startswith(CORE):
            return url[len(CORE) :]
        self.profiles.missing.add(url)
        return None

    def _invariants(self, shape: Shape, placed: Placed) -> Iterator[Problem]:
        for key, severity, expression, human in shape.constraints:
            if key in ELSEWHERE or key in LEFT_OUT:
                continue
            try:
                term = compile_term(CORRECTED.get(key, expression))
            except FhirPathError:
                self.profiles.missing.add(key)
                continue
            try:
                broken = truth(term(self._environment(placed.node))) is False
            except FhirPathError:
                broken = True
            if broken:
                yield Problem(placed.path, f"{key}: {human}", "invariant", severity)


def _counted(shape: Shape, count: int, path: str, piece: str = "") -> Iterator[Problem]:
    of = f" of the slice {piece}" if piece else ""
    if count < shape.min:
        yield Problem(path, f"the profile asks for at least {shape.min}{of} here", "required")
    if shape.max is not None and count > shape.max:
        yield Problem(path, f"the profile allows at most {shape.max}{of} here", "structure")


def _typed(node: Node, shape: Shape) -> bool:
    of: Kind | None = node.kind
    return not shape.types or of is None or not shape.types.isdisjoint(of.ancestors)


def _members(parent: Placed, name: str) -> Iterator[Placed]:
    """The values of an element with their paths."""
    node = parent.node
    holder = node.value if isinstance(node.value, dict) else node.extra
    if not isinstance(holder, dict) or node.kind is None:
        return
    for json_name, kind_name in node.kind.members.get(name, ()):
        value, extra = holder.get(json_name), holder.get("_" + json_name)
        of = kind(kind_name)
        path = f"{parent.path}.{json_name}"
        if isinstance(value, list):
            extras = extra if isinstance(extra, list) else ()
            for at, each in enumerate(value):
                yield Placed(f"{path}[{at}]", node_of(each, of, extras[at] if at < len(extras) else None))
        elif value is not None or extra is not None:
            yield Placed(path, node_of(value, of, extra))
