# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Rules of code systems and maps: which version is meant, in which words a concept is shown. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import re
from typing import Any, Final

from fhir_server.outcome import Unprocessable

Json = dict[str, Any]

EQUIVALENCES: Final = (
    "equal", "equivalent", "wider", "subsumes", "narrower", "specializes", "inexact", "relatedto",
    "unmatched", "disjoint",
)  # fmt: skip
"""ConceptMapEquivalence (https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html), best first."""

NO_MATCH: Final = frozenset({"unmatched", "disjoint"})
_REVERSED: Final = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
_DISPLAY_USES: Final = frozenset({"display", "preferredForLanguage", "900000000000013009"})
"""Designation uses that name a concept as people say it; the last is SNOMED CT's synonym."""


@dataclass(frozen=True, slots=True)
class System:
    """One version of a code system."""

    resource_id: str
    url: str
    version: str | None
    name: str
    content: str
    language: str | None
    latest: bool


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept as its code system defines it."""

    code: str
    display: str | None
    definition: str | None
    parent: str | None
    """Code of the concept it stands under in the resource."""
    designations: tuple[Json, ...] = ()
    properties: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """One row of a map: a source code and one target, or none."""

    source_system: str
    source_version: str | None
    source_code: str
    source_display: str | None
    target_system: str | None
    target_version: str | None
    target_code: str | None
    target_display: str | None
    equivalence: str
    depends: bool = False
    """The row holds only where another element has a certain value."""
    products: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmapped:
    """What a group says of codes it has no row for."""

    source_system: str
    target_system: str | None
    target_version: str | None
    mode: str
    """provided, fixed or other-map."""
    code: str | None
    display: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class MapContent:
    """The rows of a ConceptMap."""

    elements: list[Element] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)


def version_key(version: str | None) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people number them: 10 after 9, a pre-release before its release, none first."""
    if version is None:
        return ()
    parts = re.findall(r"[0-9]+|[A-Za-z]+", version)
    # A word sorts below the end of the version (1.0.0-beta < 1.0.0), a number above it (1.0 < 1.0.1).
    return (*((2, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts), (1, 0, ""))


def latest(versions: Mapping[str, str | None]) -> str:
    """The resource id of the newest version among resource id → version; the greater id decides between equals."""
    return max(versions, key=lambda resource_id: (version_key(versions[resource_id]), resource_id))


def concepts_of(resource: Mapping[str, Any]) -> list[Concept]:
    """Every concept of a CodeSystem with its parent. Raises `Unprocessable` if a code stands twice."""
    found: dict[str, Concept] = {}
    for concept, parent in _walk(resource.get("concept", ()), None):
        code = concept["code"]
        if code in found:
            raise Unprocessable("a code stands twice", expression="CodeSystem.concept", code="duplicate-code")
        found[code] = Concept(
            code=code,
            display=concept.get("display"),
            definition=concept.get("definition"),
            parent=parent,
            designations=tuple(concept.get("designation", ())),
            properties=tuple(concept.get("property", ())),
        )
    return list(found.values())


def map_content(resource: Mapping[str, Any]) -> MapContent:
    """Every row of a ConceptMap; groups without source system say nothing we could look up."""
    content = MapContent()
    for group in resource.get("group", ()):
        source = group.get("source")
        if source is None:
            continue
        target, version = group.get("target"), group.get("targetVersion")
        for element in group.get("element", ()):
            content.elements.extend(_elements(group, element, source, target, version))
        unmapped = group.get("unmapped")
        if unmapped is not None:
            content.unmapped.append(
                Unmapped(
                    source,
                    target,
                    version,
                    unmapped["mode"],
                    unmapped.get("code"),
                    unmapped.get("display"),
                    unmapped.get("url"),
                )
            )
    return content


def designation_in(language: str, designations: Sequence[Json]) -> str | None:
    """The designation to show in `language` (BCP 47): the same language, else the same without region; or None."""
    wanted = language.lower()
    ranked: list[tuple[int, int, int]] = []
    for index, each in enumerate(designations):
        given = each.get("language", "").lower()
        if given != wanted and given.partition("-")[0] != wanted.partition("-")[0]:
            continue
        use = each.get("use", {}).get("code")
        ranked.append((given != wanted, use is not None and use not in _DISPLAY_USES, index))
    return designations[min(ranked)[2]]["value"] if ranked else None


def same_language(one: str, other: str) -> bool:
    """Whether two tags name one language, regions aside."""
    return one.lower().partition("-")[0] == other.lower().partition("-")[0]


def reversed_equivalence(equivalence: str) -> str:
    """What the target says of the source: wider becomes narrower."""
    return _REVERSED.get(equivalence, equivalence)


def canonical(url: str, version: str | None) -> str:
    """`url|version`."""
    return url if version is None else f"{url}|{version}"


def _walk(concepts: Iterable[Json], parent: str | None) -> Iterator[tuple[Json, str | None]]:
    for concept in concepts:
        yield concept, parent
        yield from _walk(concept.get("concept", ()), concept["code"])


def _elements(group: Json, element: Json, source: str, target: str | None, version: str | None) -> Iterator[Element]:
    if "code" not in element:
        return
    for each in element.get("target", ()):
        yield Element(
            source_system=source,
            source_version=group.get("sourceVersion"),
            source_code=element["code"],
            source_display=element.get("display"),
            target_system=target,
            target_version=version,
            target_code=each.get("code"),
            target_display=each.get("display"),
            equivalence=each["equivalence"],
            depends=bool(each.get("dependsOn")),
            products=tuple(each.get("product", ())),
        )
