# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""XML and JSON as one kind of tree, and a reader that keeps the account of what was read."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from gateway.model.account import Account

_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


@dataclass(frozen=True, slots=True)
class Node:
    """A named value: text, children, or both."""

    name: str
    text: str | None = None
    children: tuple["Node", ...] = ()

    def child(self, *names: str) -> "Node | None":
        """The first child along `names`, or None."""
        node: Node | None = self
        for name in names:
            node = next((each for each in node.children if each.name == name), None) if node else None
        return node

    def value(self, *names: str) -> str | None:
        """The text of the child along `names`, or None."""
        node = self.child(*names)
        return node.text if node else None


def located(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """The children with their paths: openEHR nodes carry their node id, names that repeat a position."""
    names = [f"{each.name}[{id_}]" if (id_ := each.value("archetype_node_id")) else each.name for each in node.children]
    counts = Counter(names)
    seen: Counter[str] = Counter()
    for name, each in zip(names, node.children, strict=True):
        place = f"{name}[{seen[name]}]" if counts[name] > 1 else name
        seen[name] += 1
        yield (f"{path}/{place}" if path else place), each


def leaves(node: Node, path: str = "") -> Iterator[str]:
    """Paths of everything that carries text, below and at the node."""
    if node.text is not None:
        yield path
    for place, each in located(node, path):
        yield from leaves(each, place)


def from_xml(element: etree._Element, known: frozenset[str]) -> Node:
    """An XML element as a tree; elements outside the `known` namespaces keep theirs in the name, `{namespace}name`.

    Attributes become children: `xsi:type` as `_type` with its local name, others by their own name. Comments and
    processing instructions are left out.
    """
    qualified = etree.QName(element)
    name = qualified.localname if (qualified.namespace or "") in known else str(element.tag)
    children = [
        Node("_type", value.rpartition(":")[2]) if key == _XSI_TYPE else Node(str(key), value)
        for key, value in sorted((str(key), str(value)) for key, value in element.attrib.items())
    ]
    children += [from_xml(each, known) for each in element if isinstance(each.tag, str)]
    text = ((element.text or "") + "".join(each.tail or "" for each in element)).strip()
    return Node(name, text or None, tuple(children))


def from_json(name: str, value: Any) -> Node:
    """A JSON value as a tree: lists become repeated children, numbers and booleans their JSON text.

    A blank string says nothing and FHIR allows none: it is no leaf.
    """
    if isinstance(value, Mapping):
        children: list[Node] = []
        for key, each in value.items():
            members: Sequence[Any] = each if isinstance(each, list) else [each]
            children += [from_json(str(key), member) for member in members if member is not None]
        return Node(name, None, tuple(children))
    if isinstance(value, list):
        return Node(name, None, tuple(from_json("item", each) for each in value))
    if isinstance(value, bool):
        return Node(name, "true" if value else "false")
    text = str(value)
    return Node(name, text if text.strip() else None)


class Reader:
    """A node being mapped: what is taken from it is booked as mapped."""

    def __init__(self, node: Node, account: Account, path: str = "") -> None:
        self.node, self.account, self.path = node, account, path

    def all(self, name: str) -> list["Reader"]:
        """Every child of this name."""
        return [Reader(each, self.account, place) for place, each in located(self.node, self.path) if each.name == name]

    def one(self, *names: str) -> "Reader | None":
        """The first child along `names`, or None."""
        reader: Reader | None = self
        for name in names:
            found = reader.all(name) if reader else []
            reader = found[0] if found else None
        return reader

    def peek(self, *names: str) -> str | None:
        """The text along `names` without booking it."""
        return self.node.value(*names)

    def take(self, *names: str) -> str | None:
        """The text along `names`, booked as mapped, or None."""
        reader = self.one(*names) if names else self
        if reader is None or reader.node.text is None:
            return None
        self.account.mapped(reader.path)
        return reader.node.text

    def context(self, *names: str) -> None:
        """Books the text along `names` as context."""
        reader = self.one(*names) if names else self
        if reader is not None:
            self.account.context(reader.path)

    def lost(self, reason: str, *names: str) -> None:
        """Names the leaf along `names` as lost."""
        reader = self.one(*names) if names else self
        if reader is not None:
            self.account.lost(reader.path, reason)
