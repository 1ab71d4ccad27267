# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Compiles FHIRPath to Python closures. http://hl7.org/fhirpath/N1/

A term is a function of the environment; an invocation, which follows a dot, also of the collection before it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from fhir_server.validation.definitions import kind
from fhir_server.validation.fhirpath import operators
from fhir_server.validation.fhirpath.model import Node
from fhir_server.validation.fhirpath.parse import FhirPathError, Tree, Unsupported, parse

Items = list[Any]


class Outside(Protocol):
    """What an expression asks that the resource can't tell. None: it can't be told."""

    def conforms(self, node: Node, url: str) -> bool | None:
        """`conformsTo()`."""

    def member(self, node: Node, value_set: str) -> bool | None:
        """`memberOf()`."""


@dataclass(slots=True)
class Environment:
    """What an expression is evaluated in."""

    this: Items
    """`$this`, and what the first name of a path is looked up in."""
    resource: Node
    root: Node
    """`%rootResource`: the resource that holds a contained one."""
    context: Items
    resolve: Callable[[str], Node | None]
    """The resource that a reference's text points to, if it is at hand."""
    position: int = 0
    total: Items = field(default_factory=list)
    outside: Outside | None = None
    now: datetime | None = None
    """The moment of this evaluation; set at the first use."""


Term = Callable[[Environment], Items]
Invoke = Callable[[Environment, Items], Items]
Function = Callable[[Environment, Items, tuple[Term, ...]], Items]

_VARIABLES: Final = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}


@lru_cache(maxsize=4096)
def compile_term(expression: str) -> Term:
    """The function of an expression. Raises `FhirPathError`, of which `Unsupported` for what is left out here."""
    return _term(parse(expression))


def evaluate(expression: str, node: Node) -> Items:
    """The collection that an expression gives for a resource on its own. Raises `FhirPathError`."""
    return compile_term(expression)(Environment([node], node, node, [node], lambda reference: None))


def truth(items: Items) -> bool | None:
    """A collection as a condition: None if it is empty. Raises `FhirPathError` for several values."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("a single value is expected here")
    value = operators.plain(items[0])
    return value if isinstance(value, bool) else True


def _term(tree: Tree) -> Term:
    match tree.op:
        case "literal":
            value = [tree.value]
            return lambda env: value
        case "empty":
            return lambda env: []
        case "group":
            return _term(tree.parts[0])
        case "name" | "call" | "this" | "position" | "total":
            return _first(tree)
        case "variable":
            return _variable(tree.value)
        case "dot":
            if (present := _presence(tree)) is not None:
                return present
            left, invoke = _term(tree.parts[0]), _invocation(tree.parts[1])
            return lambda env: invoke(env, left(env))
        case "index":
            return _index(_term(tree.parts[0]), _term(tree.parts[1]))
        case "negative" | "positive":
            return _signed(_term(tree.parts[0]), tree.op == "negative")
        case "type":
            return _typed(tree)
        case "and" | "or" | "xor" | "implies":
            return _logic(tree.op, _term(tree.parts[0]), _term(tree.parts[1]))
    operator = operators.OPERATORS.get(tree.op)
    if operator is None:
        raise Unsupported(f"operator {tree.op}")
    left, right = _term(tree.parts[0]), _term(tree.parts[1])
    return lambda env: operator(left(env), right(env))


def _presence(tree: Tree) -> Term | None:
    """`name.exists()` and `name.empty()`, of which most invariants are made, without making the values."""
    left, right = tree.parts
    if left.op != "name" or left.value[0].isupper() or right.op != "call" or right.parts:
        return None
    if right.value not in ("exists", "empty"):
        return None
    name, wanted = left.value, right.value == "exists"
    yes, no = [wanted], [not wanted]

    def present(env: Environment) -> Items:
        for item in env.this:
            if isinstance(item, Node) and item.has(name):
                return yes
        return no

    return present


def _first(tree: Tree) -> Term:
    """A term that begins a path: looked up in `$this`. The name of a type stands for the value if it is of it."""
    if tree.op == "this":
        return lambda env: env.this
    if tree.op == "position":
        return lambda env: [env.position]
    if tree.op == "total":
        return lambda env: env.total
    invoke = _invocation(tree)
    if tree.op == "name" and tree.value[0].isupper():
        name = tree.value

        def typed(env: Environment) -> Items:
            found = [each for each in env.this if isinstance(each, Node) and each.kind and name in each.kind.ancestors]
            return found or invoke(env, env.this)

        return typed
    return lambda env: invoke(env, env.this)


def _invocation(tree: Tree) -> Invoke:
    if tree.op == "name":
        name = tree.value
        return lambda env, items: [child for item in items if isinstance(item, Node) for child in item.child(name)]
    if tree.op == "this":
        return lambda env, items: items
    if tree.op != "call":
        raise FhirPathError("a name or function is expected after a dot")
    return _call(tree)


def _call(tree: Tree) -> Invoke:
    from fhir_server.validation.fhirpath.functions import FUNCTIONS, TYPE_FUNCTIONS, sorting

    name = tree.value
    if name == "sort":
        # A minus before a key turns its order, also that of texts.
        keys = [(_term(each.parts[0]), -1) if each.op == "negative" else (_term(each), 1) for each in tree.parts]
        return sorting(keys)
    if name in TYPE_FUNCTIONS:
        if len(tree.parts) != 1:
            raise FhirPathError(f"{name}() takes the name of a type")
        typed, wanted = TYPE_FUNCTIONS[name], _type_name(tree.parts[0])
        return lambda env, items: typed(items, wanted)
    if name not in FUNCTIONS:
        raise Unsupported(f"function {name}()")
    function, least, most = FUNCTIONS[name]
    if not least <= len(tree.parts) <= most:
        raise FhirPathError(f"{name}() takes {least} to {most} arguments")
    args = tuple(_term(part) for part in tree.parts)
    return lambda env, items: function(env, items, args)


def _type_name(tree: Tree) -> str:
    if tree.op == "name":
        return _known_type(str(tree.value))
    if tree.op == "dot":
        return _known_type(f"{_plain_name(tree.parts[0])}.{_plain_name(tree.parts[1])}")
    raise FhirPathError("the name of a type is expected")


def _plain_name(tree: Tree) -> str:
    if tree.op != "name":
        raise FhirPathError("the name of a type is expected")
    return str(tree.value)


def _known_type(name: str) -> str:
    space, _, local = name.rpartition(".")
    if space == "System" or (not space and local in operators.SYSTEM):
        return name
    if space in ("", "FHIR") and kind(local) is not None:
        return name
    raise FhirPathError("there is no type of that name")


def _typed(tree: Tree) -> Term:
    op, name = tree.value
    wanted, inner = _known_type(name), _term(tree.parts[0])
    if op == "is":
        return lambda env: operators.is_type(inner(env), wanted)
    return lambda env: operators.as_type(inner(env), wanted)


def _variable(name: str) -> Term:
    match name:
        case "resource":
            return lambda env: [env.resource]
        case "rootResource":
            return lambda env: [env.root]
        case "context":
            return lambda env: env.context
    if name in _VARIABLES:
        value = [_VARIABLES[name]]
        return lambda env: value
    if name.startswith("vs-"):
        value = [f"http://hl7.org/fhir/ValueSet/{name[3:]}"]
        return lambda env: value
    if name.startswith("ext-"):
        value = [f"http://hl7.org/fhir/StructureDefinition/{name[4:]}"]
        return lambda env: value
    raise FhirPathError(f"there is no variable %{name}")


def _index(left: Term, at: Term) -> Term:
    def one(env: Environment) -> Items:
        place = at(env)
        if len(place) != 1:
            return []
        number = operators.plain(place[0])
        items = left(env)
        return [items[number]] if isinstance(number, int) and 0 <= number < len(items) else []

    return one


def _signed(inner: Term, negative: bool) -> Term:
    def signed(env: Environment) -> Items:
        items = inner(env)
        if not items:
            return []
        return operators.times(items, [-1 if negative else 1])

    return signed


def _logic(op: str, left: Term, right: Term) -> Term:
    """Three-valued: http://hl7.org/fhirpath/N1/#boolean-logic."""
    if op == "and":

        def both(env: Environment) -> Items:
            one = truth(left(env))
            if one is False:
                return [False]
            two = truth(right(env))
            return [False] if two is False else [] if one is None or two is None else [True]

        return both
    if op in ("or", "implies"):
        holds = op == "or"

        def either(env: Environment) -> Items:
            one = truth(left(env))
            if one is holds:
                return [True]
            two = truth(right(env))
            return [True] if two is True else [] if one is None or two is None else [False]

        return either

    def exclusive(env: Environment) -> Items:
        one, two = truth(left(env)), truth(right(env))
        return [] if one is None or two is None else [one is not two]

    return exclusive
