# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What search needs of a terminology service, for :in, :not-in, :above and :below of tokens.

https://hl7.org/fhir/R4/search.html#token. The kernel knows the protocol; `ndi/assembly.py` fills it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from fhir_server.context import Context
from fhir_server.outcome import Invalid, NotSupported
from fhir_server.search.literals import TokenValue
from fhir_server.search.query import Chain, Condition, Filter, Has, Query

Codes = Sequence[tuple[str, str]]
"""Pairs of system and code."""
NEEDED: Final = frozenset({"in", "not-in", "above", "below"})
"""Modifiers of a token that a terminology service answers."""


class Terminology(Protocol):
    """Value sets and hierarchies of codes."""

    @property
    def modifiers(self) -> frozenset[str]:
        """Those of `NEEDED` that it can answer: the others are refused, and not in the CapabilityStatement."""
        ...

    async def expand(self, context: Context, value_set: str) -> Codes:
        """The codes of a value set (canonical URL, optionally |version). Raises `NotFound` if it is not known."""
        ...

    async def below(self, context: Context, system: str, code: str) -> Codes:
        """The code and all it subsumes. Raises `NotFound` if it is not known."""
        ...

    async def above(self, context: Context, system: str, code: str) -> Codes:
        """The code and all that subsume it. Raises `NotFound` if it is not known."""
        ...


async def resolved(query: Query, terminology: Terminology | None, context: Context) -> Query:
    """The query with value sets and hierarchies written out as codes.

    Raises `NotSupported` if it needs a terminology service and there is none.
    """
    if all(isinstance(each, Condition) and each.modifier is None for each in query.conditions):
        return query
    conditions = [await _resolved(each, terminology, context) for each in query.conditions]
    return replace(query, conditions=tuple(conditions))


async def _resolved(given: Filter, terminology: Terminology | None, context: Context) -> Filter:
    match given:
        case Chain():
            inner = [(kind, await _resolved(each, terminology, context)) for kind, each in given.branches]
            return replace(given, branches=tuple(inner))
        case Has():
            return replace(given, filter=await _resolved(given.filter, terminology, context))
    if given.type != "token" or given.modifier not in NEEDED:
        return given
    if terminology is None or given.modifier not in terminology.modifiers:
        raise NotSupported(
            f"{given.code}:{given.modifier} needs a terminology service that answers it, and this server has none: "
            "name the codes, separated by commas",
            code="unknown-modifier",
        )
    codes: list[tuple[str, str]] = []
    for value in given.values:
        if not isinstance(value, TokenValue):
            raise TypeError("a token parameter has token values")
        if given.modifier in ("in", "not-in"):
            codes += await terminology.expand(context, value.code or "")
        elif not value.system or value.code is None:
            raise Invalid(f"{given.code}:{given.modifier} takes system|code")
        elif given.modifier == "below":
            codes += await terminology.below(context, value.system, value.code)
        else:
            codes += await terminology.above(context, value.system, value.code)
    values = tuple(TokenValue(system, code) for system, code in dict.fromkeys(codes))
    return replace(given, modifier="not" if given.modifier == "not-in" else None, values=values)
