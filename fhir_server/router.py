# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Finds what serves a method and a path, one step a segment: as fast with two thousand addresses as with two.

A list of patterns that are tried in turn took longer than the read it led to (docs/decisions/0023-hot-path.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fhir_server.outcome import MethodNotAllowed, NotFound

T = TypeVar("T")


@dataclass(slots=True)
class _Node(Generic[T]):
    named: dict[str, "_Node[T]"] = field(default_factory=dict)
    any: "_Node[T] | None" = None
    name: str = ""
    """Of the segment that leads here, where it stands for any text."""
    values: dict[str, T] = field(default_factory=dict)


class Routes(Generic[T]):
    """Values by method and path, e.g. GET /fhir/Patient/{id}. A name goes before a place for any text."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, path: str, methods: Sequence[str], value: T) -> None:
        """The first value for a method and path stays; GET answers HEAD too. Raises `ValueError`."""
        node = self._root
        for segment in _segments(path):
            if segment.startswith("{"):
                if node.any is None:
                    node.any = _Node(name=segment[1:-1])
                if node.any.name != segment[1:-1]:
                    raise ValueError(f"{path}: the place is called {node.any.name} by another address")
                node = node.any
            else:
                node = node.named.setdefault(segment, _Node())
        for method in methods:
            node.values.setdefault(method, value)
            if method == "GET":
                node.values.setdefault("HEAD", value)

    def find(self, method: str, path: str) -> tuple[T, dict[str, str]]:
        """The value and the texts of the places. Raises `NotFound`, or `MethodNotAllowed` naming those there are."""
        segments = _segments(path)
        quick = _straight(self._root, segments, method)
        if quick is not None:
            return quick
        allowed: set[str] = set()
        found = _find(self._root, segments, 0, method, allowed)
        if found is not None:
            return found
        if not allowed:
            raise NotFound("nothing is served under this address; see /fhir/metadata of the service")
        raise MethodNotAllowed("this address does not take the method", headers={"Allow": ", ".join(sorted(allowed))})


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/")


def _straight(node: _Node[T], segments: list[str], method: str) -> tuple[T, dict[str, str]] | None:
    """Names where there are names, without looking back: what nearly every request takes."""
    places: dict[str, str] = {}
    for segment in segments:
        following = node.named.get(segment)
        if following is None:
            following = node.any
            if following is None or not segment:
                return None
            places[following.name] = segment
        node = following
    value = node.values.get(method)
    return None if value is None else (value, places)


def _find(
    node: _Node[T], segments: list[str], at: int, method: str, allowed: set[str]
) -> tuple[T, dict[str, str]] | None:
    if at == len(segments):
        value = node.values.get(method)
        if value is None:
            allowed.update(node.values)
            return None
        return value, {}
    segment = segments[at]
    following = node.named.get(segment)
    if following is not None:
        found = _find(following, segments, at + 1, method, allowed)
        if found is not None:
            return found
    if node.any is not None and segment:
        found = _find(node.any, segments, at + 1, method, allowed)
        if found is not None:
            found[1][node.any.name] = segment
            return found
    return None
