# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `terminology`."""

from dataclasses import dataclass
from typing import Protocol

import httpx2

from fhir_server.context import Context
from fhir_server.outcome import NotFound
from fhir_server.parameters import Parameters
from fhir_server.remote import invoke


@dataclass(frozen=True, slots=True)
class Coded:
    """A code with its display."""

    system: str
    code: str
    display: str | None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Translation:
    """One match of a ConceptMap."""

    equivalence: str
    """ConceptMapEquivalence code: equivalent, wider, narrower …"""
    target: Coded
    map: str
    """Canonical URL of the map, with its version after a bar if it has one."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The codes one step above and below a concept in its code system."""

    parents: tuple[str, ...]
    children: tuple[str, ...]


class TerminologyClient(Protocol):
    """How other services ask about codes."""

    async def lookup(self, context: Context, system: str, code: str) -> Coded | None:
        """The concept, or None if the system or the code is not known."""
        ...

    async def neighbours(self, context: Context, system: str, code: str) -> Neighbours | None:
        """The concept's place in the hierarchy, or None if the system or the code is not known."""
        ...

    async def translate(
        self, context: Context, system: str, code: str, target_system: str, url: str | None = None
    ) -> tuple[Translation, ...]:
        """Matches from any loaded ConceptMap into `target_system`, or from the one with `url`, best first.

        Empty if there are none; rows that say there is no translation (unmatched, disjoint) are no matches.
        """
        ...


class HttpTerminology:
    """`TerminologyClient` over HTTP, on the caller's behalf."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: the terminology's FHIR base, e.g. http://127.0.0.1:8700/terminology/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def lookup(self, context: Context, system: str, code: str) -> Coded | None:
        """See `TerminologyClient`."""
        asked = Parameters().add("system", valueUri=system).add("code", valueCode=code)
        try:
            found = await invoke(self._http, context, f"{self._base}/CodeSystem/$lookup", asked)
        except NotFound:
            return None
        return Coded(system, code, found.required("display", str), found.optional("version", str))

    async def neighbours(self, context: Context, system: str, code: str) -> Neighbours | None:
        """See `TerminologyClient`."""
        asked = Parameters().add("system", valueUri=system).add("code", valueCode=code)
        asked.add("property", valueCode="parent").add("property", valueCode="child")
        try:
            found = await invoke(self._http, context, f"{self._base}/CodeSystem/$lookup", asked)
        except NotFound:
            return None
        told = [Parameters(each.get("part", ())) for each in found.all("property")]
        near = [(each.required("code", str), each.required("value", str)) for each in told]
        return Neighbours(
            tuple(code for relation, code in near if relation == "parent"),
            tuple(code for relation, code in near if relation == "child"),
        )

    async def translate(
        self, context: Context, system: str, code: str, target_system: str, url: str | None = None
    ) -> tuple[Translation, ...]:
        """See `TerminologyClient`."""
        asked = Parameters().add("system", valueUri=system).add("code", valueCode=code)
        asked.add("targetsystem", valueUri=target_system)
        if url is not None:
            asked.add("url", valueUri=url)
        try:
            found = await invoke(self._http, context, f"{self._base}/ConceptMap/$translate", asked)
        except NotFound:
            return ()
        matches = [_translation(each) for each in found.parts("match")]
        return tuple(each for each in matches if each is not None)


def _translation(told: Parameters) -> Translation | None:
    equivalence = told.required("equivalence", str)
    if equivalence in ("unmatched", "disjoint") or not told.all("concept"):
        return None
    concept = told.required("concept", dict)
    if not isinstance(concept.get("system"), str):
        return None
    target = Coded(concept["system"], concept["code"], concept.get("display"), concept.get("version"))
    return Translation(equivalence, target, told.required("source", str))
