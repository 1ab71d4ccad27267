# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The sandbox's `Terminology`: the ValueSets and CodeSystems that were put into it, and R4's own required bindings.

https://hl7.org/fhir/R4/valueset.html#compositions. The services have the terminology service for it; a sandbox has
nothing but itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import orjson
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Context
from fhir_server.outcome import NotFound, NotSupported
from fhir_server.search.terminology import NEEDED
from fhir_server.search.values import bounded
from fhir_server.storage.schema import ResourceTables
from fhir_server.validation.definitions import code_sets

_R4: Final = "http://hl7.org/fhir/ValueSet/"
_MOST: Final = 5000
"""Codes that a value set or a code may stand for in a search."""
_DEEPEST: Final = 8
"""Value sets that import each other."""

Kind = Literal["ValueSet", "CodeSystem"]
Codes = dict[tuple[str, str], None]
"""Pairs of system and code in their order."""


class SandboxTerminology:
    """`fhir_server.search.terminology.Terminology` over the resources of the sandbox."""

    modifiers: Final = NEEDED

    def __init__(self, engine: AsyncEngine, tables: ResourceTables) -> None:
        self._engine, self._tables = engine, tables

    async def expand(self, context: Context, value_set: str) -> list[tuple[str, str]]:
        """Raises `NotFound` for a value set or code system that is not here, `NotSupported` for most filters."""
        return _bounded(await self._value_set(value_set, 0))

    async def below(self, context: Context, system: str, code: str) -> list[tuple[str, str]]:
        """The code and all below it. Raises `NotFound`."""
        concept = _found(await self._concepts(system), code)
        return _bounded({(system, each): None for each in _codes([concept])})

    async def above(self, context: Context, system: str, code: str) -> list[tuple[str, str]]:
        """The code and all above it. Raises `NotFound`."""
        concepts = await self._concepts(system)
        _found(concepts, code)
        return [(system, each["code"]) for each in _walk(concepts) if code in _codes([each])]

    async def _value_set(self, url: str, depth: int) -> Codes:
        resource = await self._resource("ValueSet", url)
        if resource is None:
            listed = code_sets().get(url.partition("|")[0].removeprefix(_R4)) if url.startswith(_R4) else None
            if listed is None:
                raise NotFound("the value set is not known here", code="unknown-value-set")
            return {(system, code): None for system, codes in listed.items() for code in codes}
        if depth > _DEEPEST:
            raise NotSupported(f"value sets import each other more than {_DEEPEST} deep", code="too-deep")
        if "compose" not in resource:
            contains = _walk(resource.get("expansion", {}).get("contains", ()), "contains")
            return {(each["system"], each["code"]): None for each in contains if "system" in each and "code" in each}
        found: Codes = {}
        for part in resource["compose"].get("include", ()):
            found |= await self._part(part, depth)
        for part in resource["compose"].get("exclude", ()):
            for each in await self._part(part, depth):
                found.pop(each, None)
        return found

    async def _part(self, part: Mapping[str, Any], depth: int) -> Codes:
        """All that the part names must hold a code: its own and each value set that it imports."""
        sets = [await self._value_set(each, depth + 1) for each in part.get("valueSet", ())]
        if "system" in part:
            sets.insert(0, {(part["system"], each): None for each in await self._of_system(part)})
        return {each: None for each in sets[0] if all(each in other for other in sets)} if sets else {}

    async def _of_system(self, part: Mapping[str, Any]) -> list[str]:
        if "concept" in part:
            return [each["code"] for each in part["concept"]]
        concepts = await self._concepts(part["system"])
        found = list(_codes(concepts))
        for each in part.get("filter", ()):
            if each.get("op") not in ("is-a", "descendent-of"):
                raise NotSupported("of the filters of a value set, is-a and descendent-of are served here")
            below = set(_codes([_found(concepts, each["value"])]))
            found = [code for code in found if code in below and (each["op"] == "is-a" or code != each["value"])]
        return found

    async def _concepts(self, system: str) -> list[dict[str, Any]]:
        resource = await self._resource("CodeSystem", system)
        if resource is None:
            raise NotFound("the code system is not known here", code="unknown-code-system")
        concepts: list[dict[str, Any]] = resource.get("concept", [])
        return concepts

    async def _resource(self, kind: Kind, canonical: str) -> dict[str, Any] | None:
        """The last one written of those with this URL, and version if the canonical has one."""
        url, _, version = canonical.partition("|")
        resource, token = self._tables.resource, self._tables.token
        named = and_(token.c.type == kind, token.c.parameter == "url", token.c.code == bounded(url))
        statement = (
            select(resource.c.body)
            .join(token, and_(named, token.c.id == resource.c.id))
            .where(resource.c.type == kind, ~resource.c.deleted)
            .order_by(resource.c.last_updated.desc())
        )
        async with self._engine.connect() as connection:
            bodies = (await connection.execute(statement)).scalars().all()
        found = (orjson.loads(each) for each in bodies)
        return next((each for each in found if not version or each.get("version") == version), None)


def _walk(concepts: Iterable[Mapping[str, Any]], below: str = "concept") -> Iterator[Mapping[str, Any]]:
    for each in concepts:
        yield each
        yield from _walk(each.get(below, ()), below)


def _codes(concepts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (each["code"] for each in _walk(concepts))


def _found(concepts: Iterable[Mapping[str, Any]], code: str) -> Mapping[str, Any]:
    for each in _walk(concepts):
        if each["code"] == code:
            return each
    raise NotFound("the code is not known here", code="unknown-code")


def _bounded(codes: Codes) -> list[tuple[str, str]]:
    if len(codes) > _MOST:
        raise NotSupported(f"this stands for more than {_MOST} codes", code="too-many")
    return list(codes)
