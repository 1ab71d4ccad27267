# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$translate: what a code is in another code system (https://hl7.org/fhir/R4/conceptmap-operation-translate.html)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid, NotFound
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from terminology.asked import boolean, parameters
from terminology.lookup import coding_of
from terminology.model import EQUIVALENCES, NO_MATCH, Element, Unmapped, canonical, reversed_equivalence
from terminology.store import MapAsked, MapRow, TerminologyStore

OFFERED: Final = frozenset(
    {
        "url", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept", "target",
        "targetsystem", "reverse",
    }
)  # fmt: skip
_MOST_MAPS: Final = 5
"""Maps that refer to each other for what they lack are followed this far."""


@dataclass(frozen=True, slots=True)
class Match:
    """One translation; `code` None says that there is none."""

    equivalence: str
    system: str | None
    version: str | None
    code: str | None
    display: str | None
    source: str
    """The map, url|version."""
    products: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be translated and into what."""

    maps: MapAsked
    codes: tuple[tuple[str, str, str | None], ...]
    """System, code, version."""
    target_system: str | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Translated:
    """Every match, best first, and whether rows were left out since they depend on other elements."""

    matches: tuple[Match, ...]
    left_out: bool


async def translate(store: TerminologyStore, asked: Asked) -> Translated:
    """Every match of every code. Raises `NotFound` if a map that is named is not known."""
    if (asked.maps.url or asked.maps.resource_id) and not await store.map_exists(asked.maps):
        raise NotFound("the map is not known here", expression="ConceptMap.url", code="unknown-map")
    matches: list[Match] = []
    left_out = False
    for system, code, version in asked.codes:
        rows = await _rows(store, asked.maps, system, code, reverse=asked.reverse, left=_MOST_MAPS)
        fitting = [row for row in rows if _fits(row, version, asked)]
        usable = [row for row in fitting if row.element is None or not row.element.depends]
        left_out = left_out or len(usable) < len(fitting)
        for match in (_match(row, code, asked.reverse) for row in usable):
            if match not in matches:
                matches.append(match)
    return Translated(tuple(sorted(matches, key=lambda match: EQUIVALENCES.index(match.equivalence))), left_out)


async def handle(store: TerminologyStore, context: Context, request: Request) -> Answer:
    """Answer whether and how a code translates.

    in:  code and system, version 0..1; or coding; or codeableConcept; url 0..1, conceptMapVersion 0..1, source 0..1,
         target 0..1, targetsystem 0..1, reverse 0..1; on an instance no url
    out: result 1..1 boolean, message 0..1, match 0..* {equivalence, concept 0..1 Coding, product 0..*, source uri}
    Raises `NotFound` for an unknown map, `Invalid` if the question is incomplete.
    """
    given = parameters(request, OFFERED)
    reverse = boolean(given, "reverse")
    url, version = _canonical(given.optional("url", str)), given.optional("conceptMapVersion", str)
    resource_id = request.path_params.get("id")
    if resource_id is not None and url[0] is not None:
        raise Invalid("the map is named by the address: leave url out", expression="Parameters.parameter")
    source, target = (_canonical(given.optional(name, str))[0] for name in ("source", "target"))
    if reverse:
        source, target = target, source
    asked = Asked(
        maps=MapAsked(url[0], version or url[1], resource_id, source, target),
        codes=_codes(given),
        target_system=given.optional("targetsystem", str),
        reverse=reverse,
    )
    found = await translate(store, asked)
    result = any(match.equivalence not in NO_MATCH for match in found.matches)
    answer = Parameters().add("result", valueBoolean=result)
    if found.left_out:
        answer.add("message", valueString="Some rows hold only together with other elements and were left out.")
    elif not result:
        answer.add("message", valueString="No map that is loaded here translates the code.")
    for match in found.matches:
        answer.add("match", part=_parts(match))
    return Answer(answer.resource())


async def _rows(
    store: TerminologyStore, maps: MapAsked, system: str, code: str, *, reverse: bool, left: int
) -> list[MapRow]:
    rows = await store.map_rows(maps, system, code, reverse=reverse)
    if reverse:
        return rows
    for row in await store.unmapped(maps, system, code):
        if row.unmapped is None or row.unmapped.mode != "other-map":
            rows.append(row)
        elif row.unmapped.url is not None and left > 1:
            url, version = _canonical(row.unmapped.url)
            rows += await _rows(store, MapAsked(url, version), system, code, reverse=False, left=left - 1)
    return rows


def _fits(row: MapRow, version: str | None, asked: Asked) -> bool:
    entry: Element | Unmapped | None = row.element or row.unmapped
    if entry is None:
        return False
    other = entry.source_system if asked.reverse else entry.target_system
    if asked.target_system is not None and other != asked.target_system:
        return False
    if version is None or row.element is None:
        return True
    stated = row.element.target_version if asked.reverse else row.element.source_version
    return stated is None or stated == version


def _match(row: MapRow, code: str, reverse: bool) -> Match:
    source = canonical(row.map_url, row.map_version)
    element, unmapped = row.element, row.unmapped
    if element is not None:
        if reverse:
            equivalence = reversed_equivalence(element.equivalence)
            return Match(
                equivalence, element.source_system, element.source_version, element.source_code,
                element.source_display, source,
            )  # fmt: skip
        return Match(
            element.equivalence, element.target_system, element.target_version, element.target_code,
            element.target_display, source, element.products,
        )  # fmt: skip
    if unmapped is None:
        raise ValueError("a row of a map has an element or an unmapped part")
    # R4 gives unmapped no equivalence; that they are related is all a group says of a code it does not list.
    if unmapped.mode == "provided":
        return Match("relatedto", unmapped.target_system, unmapped.target_version, code, None, source)
    return Match("relatedto", unmapped.target_system, unmapped.target_version, unmapped.code, unmapped.display, source)


def _codes(given: Parameters) -> tuple[tuple[str, str, str | None], ...]:
    if not given.all("codeableConcept"):
        return (coding_of(given),)
    if any(given.all(name) for name in ("code", "system", "version", "coding")):
        raise Invalid("send one of code, coding and codeableConcept", expression="Parameters.parameter")
    codings = given.required("codeableConcept", dict).get("coding")
    if not isinstance(codings, list) or not codings:
        raise Invalid("the codeableConcept has no coding", expression="Parameters.parameter")
    return tuple(coding_of(Parameters([{"name": "coding", "valueCoding": each}])) for each in codings)


def _canonical(text: str | None) -> tuple[str | None, str | None]:
    url, _, version = (text or "").partition("|")
    return url or None, version or None


def _parts(match: Match) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.code is not None:
        given = {"system": match.system, "version": match.version, "code": match.code, "display": match.display}
        parts.append({"name": "concept", "valueCoding": {key: value for key, value in given.items() if value}})
    parts += [{"name": "product", "part": _product(each)} for each in match.products]
    return [*parts, {"name": "source", "valueUri": match.source}]


def _product(product: dict[str, Any]) -> Iterable[dict[str, Any]]:
    coding = {"system": product.get("system"), "code": product["value"], "display": product.get("display")}
    return [
        {"name": "element", "valueUri": product["property"]},
        {"name": "concept", "valueCoding": {key: value for key, value in coding.items() if value}},
    ]
