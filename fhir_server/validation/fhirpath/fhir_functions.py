# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The functions that FHIR adds to FHIRPath. https://hl7.org/fhir/R4/fhirpath.html#functions"""

from collections.abc import Callable
from typing import Any, Final

from fhir_server.validation.definitions import kind
from fhir_server.validation.fhirpath import operators
from fhir_server.validation.fhirpath.engine import Environment, Items, Outside, Term
from fhir_server.validation.fhirpath.model import Node
from fhir_server.validation.fhirpath.parse import FhirPathError, Unsupported
from fhir_server.validation.narrative import check_narrative

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"


def _extension(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    url = operators.one(args[0](env))
    return [
        each
        for item in items
        if isinstance(item, Node)
        for each in item.child("extension")
        if isinstance(each.value, dict) and each.value.get("url") == url
    ]


def _has_value(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    if len(items) != 1:
        return [False]
    item = items[0]
    if not isinstance(item, Node):
        return [True]
    return [item.value is not None and not isinstance(item.value, dict)]


def _get_value(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    value = operators.plain(items[0]) if len(items) == 1 and _has_value(env, items, ())[0] else None
    return [] if value is None else [value]


def _resolve(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    found: Items = []
    for item in items:
        value = item.value if isinstance(item, Node) else item
        text = value.get("reference") if isinstance(value, dict) else value
        target = env.resolve(text) if isinstance(text, str) else None
        if target is not None:
            found.append(target)
    return found


def _html_checks(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    return [all(isinstance(text := operators.plain(each), str) and check_narrative(text) is None for each in items)]


def _type(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    found: Items = []
    for item in items:
        if isinstance(item, Node):
            space, name = "FHIR", item.kind.name if item.kind else ""
        else:
            space, name = "System", operators.system_type(item)
        found.append(_TypeInfo(space, name))
    return found


class _TypeInfo(Node):
    """What `type()` gives: namespace and name."""

    __slots__ = ("name", "space")

    def __init__(self, space: str, name: str) -> None:
        super().__init__({"namespace": space, "name": name}, None)
        self.space, self.name = space, name

    def child(self, name: str) -> list[Any]:
        """Its two properties."""
        return [self.value[name]] if name in self.value else []


def _conforms_to(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    """Of R4's own types by the type, of profiles as far as they are loaded."""
    url = operators.one(args[0](env))
    if not isinstance(url, str) or not items:
        return []
    if len(items) > 1:
        raise FhirPathError("conformsTo() takes a single value")
    node = items[0]
    if not isinstance(node, Node) or node.kind is None:
        return [False]
    if url.startswith(_CORE) and kind(name := url[len(_CORE) :]) is not None:
        return [name in node.kind.ancestors]
    return _told(env, url, lambda outside: outside.conforms(node, url))


def _member_of(env: Environment, items: Items, args: tuple[Term, ...]) -> Items:
    url = operators.one(args[0](env))
    if not isinstance(url, str) or not items:
        return []
    if len(items) > 1 or not isinstance(items[0], Node):
        raise FhirPathError("memberOf() takes one coded value")
    node = items[0]
    return _told(env, url, lambda outside: outside.member(node, url))


def _told(env: Environment, url: str, ask: Callable[[Outside], bool | None]) -> Items:
    found = None if env.outside is None else ask(env.outside)
    if found is None:
        raise Unsupported(f"{url} is not loaded")
    return [found]


FHIR: Final[dict[str, tuple[Callable[..., Items], int, int]]] = {
    "extension": (_extension, 1, 1),
    "hasValue": (_has_value, 0, 0),
    "getValue": (_get_value, 0, 0),
    "resolve": (_resolve, 0, 0),
    "htmlChecks": (_html_checks, 0, 0),
    "type": (_type, 0, 0),
    "conformsTo": (_conforms_to, 1, 1),
    "memberOf": (_member_of, 1, 1),
}
