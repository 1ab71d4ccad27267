# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Search parameter definitions: the compact table of R4's own, the common ones, and a service's additions.

https://hl7.org/fhir/R4/searchparameter-registry.html. The table is derived by tools/derive_search_parameters.py.
"""

from collections.abc import Mapping, Sequence
import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

from fhir_server.search.expressions import Extract, compile_expression, roots_of

ParameterType = Literal["token", "string", "reference", "date", "uri", "number", "quantity", "composite"]

ANY_TARGET = "*"
SECOND: frozenset[str] = frozenset({"token", "quantity", "number", "date", "string", "reference"})
"""What the second component of a composite may be; the first is always a token, a third always a number."""
_RESOURCE = "%resource."


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite, its expression relative to the group, or to the resource (`%resource.…`)."""

    type: ParameterType
    expression: str
    extract: Extract

    def values(self, resource: Mapping[str, Any], group: Mapping[str, Any]) -> list[Any]:
        """The component's values for one group of a resource."""
        return self.extract(resource if self.expression.startswith(_RESOURCE) else group)


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One parameter of one resource type."""

    resource: str
    code: str
    type: ParameterType
    expression: str
    target: tuple[str, ...]
    extract: Extract
    components: tuple[Component, ...] = ()
    roots: frozenset[str] | None = None
    """Elements of a resource without any of which it has no values; None: not known."""

    def absent(self, resource: Mapping[str, Any]) -> bool:
        """Whether it is known at a glance that the resource has no values."""
        return self.roots is not None and self.roots.isdisjoint(resource)


@dataclass(frozen=True, slots=True)
class Definition:
    """A parameter of a service's own: all that is needed to have it extracted, stored, searched and stated.

    `target` names resource types of a reference (empty: any); `components` of a composite are pairs of type and
    expression, relative to what `expression` gives.
    """

    code: str
    type: ParameterType
    expression: str
    target: tuple[str, ...] = ()
    components: tuple[tuple[ParameterType, str], ...] = ()


COMMON: tuple[Definition, ...] = (
    Definition("_tag", "token", "Resource.meta.tag"),
    Definition("_profile", "uri", "Resource.meta.profile"),
    Definition("_security", "token", "Resource.meta.security"),
    Definition("_source", "uri", "Resource.meta.source"),
)


def parameters_for(resource: str, offered: Sequence[str | Definition]) -> dict[str, SearchParameter]:
    """The parameters a type offers and those that every type has, by code.

    Raises `KeyError` for a code that R4 does not define for the type, `UnsupportedExpression` or `ValueError` for a
    definition that cannot be served: found at start, not when a resource arrives.
    """
    found = {each.code: compiled(resource, each) for each in COMMON}
    for each in offered:
        definition = each if isinstance(each, Definition) else _defined(resource, each)
        found[definition.code] = compiled(resource, definition)
    return found


def codes_of(resource: str) -> tuple[str, ...]:
    """Every code R4 defines for the type that the kernel can serve."""
    return tuple(_table().get(resource, {}))


def resource_types() -> tuple[str, ...]:
    """Every resource type of R4 that has search parameters."""
    return tuple(_table())


def compiled(resource: str, definition: Definition) -> SearchParameter:
    """The parameter with its extractors. Raises as `parameters_for`."""
    components = tuple(
        Component(kind, expression, compile_expression(_relative(expression)))
        for kind, expression in definition.components
    )
    kinds = [each.type for each in components]
    if definition.type == "composite" and not (
        len(kinds) in (2, 3) and kinds[0] == "token" and kinds[1] in SECOND and kinds[2:] in ([], ["number"])
    ):
        raise ValueError(
            f"{resource}.{definition.code}: a composite has a token, one more simple component and perhaps a number"
        )
    return SearchParameter(
        resource,
        definition.code,
        definition.type,
        definition.expression,
        () if ANY_TARGET in definition.target else definition.target,
        compile_expression(definition.expression),
        components,
        roots_of(definition.expression),
    )


def _relative(expression: str) -> str:
    """Expressions of components start at the group or the resource; the compiler skips the first name."""
    if expression.startswith(_RESOURCE):
        return expression
    return " | ".join(f"%context.{term.strip()}" for term in expression.split("|"))


def _defined(resource: str, code: str) -> Definition:
    definition = _table().get(resource, {}).get(code)
    if definition is None:
        raise KeyError(f"{resource} has no search parameter {code}")
    return definition


@cache
def _table() -> dict[str, dict[str, Definition]]:
    text = resources.files("fhir_server.search").joinpath("definitions.csv").read_text("utf-8")
    found: dict[str, dict[str, Definition]] = {}
    for row in csv.DictReader(text.splitlines()):
        components = tuple(
            (cast(ParameterType, kind), expression)
            for kind, _, expression in (each.partition(" ") for each in row["components"].split(";") if each)
        )
        found.setdefault(row["resource"], {})[row["code"]] = Definition(
            row["code"], cast(ParameterType, row["type"]), row["expression"], tuple(row["target"].split()), components
        )
    return found
