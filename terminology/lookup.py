# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$lookup: what a code means (https://hl7.org/fhir/R4/codesystem-operation-lookup.html)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid, NotFound
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from terminology.asked import parameters
from terminology.model import Concept, System, designation_in, same_language
from terminology.store import TerminologyStore

OFFERED: Final = frozenset({"code", "system", "version", "coding", "displayLanguage", "property"})
_EXPLICIT: Final = frozenset({"url", "name", "version", "display", "designation"})
"""Properties that are told in parameters of their own."""


@dataclass(frozen=True, slots=True)
class Found:
    """A concept in the version of its code system that answers."""

    system: System
    concept: Concept

    def display(self, language: str | None = None) -> str:
        """The name in the language asked for, else the system's own; a concept without any is named by its code."""
        own = self.concept.display or self.concept.code
        if language is None or (self.system.language and same_language(self.system.language, language)):
            return own
        return designation_in(language, self.concept.designations) or own


async def lookup(store: TerminologyStore, system: str, code: str, version: str | None = None) -> Found:
    """The concept in the version asked for, else the newest. Raises `NotFound` saying which of the three is unknown."""
    versions = [each for each in await store.find(system, code) if each[0].content != "supplement"]
    if not versions:
        raise NotFound("the code system is not known here", expression="Coding.system", code="unknown-code-system")
    chosen = [each for each in versions if (each[0].version == version if version is not None else each[0].latest)]
    if not chosen:
        raise NotFound(
            "the code system is known here, not in this version", expression="Coding.version", code="unknown-version"
        )
    found, concept = chosen[0]
    if concept is None:
        raise NotFound("the code system has no such code", expression="Coding.code", code="unknown-code")
    return Found(found, concept)


async def handle(store: TerminologyStore, context: Context, request: Request) -> Answer:
    """Answer name, display, designations and properties of a concept.

    in:  code and system, version 0..1; or coding; displayLanguage 0..1 code; property 0..* code
    out: name 1..1, version 0..1, display 1..1, designation 0..* {language, use, value}, property 0..*
         {code, value, description}
    Raises `NotFound` if system, version or code is not known, `Invalid` if the question is incomplete.
    """
    given = parameters(request, OFFERED)
    system, code, version = coding_of(given)
    language = given.optional("displayLanguage", str)
    wanted = frozenset(given.values("property", str))
    found = await lookup(store, system, code, version)
    answer = Parameters().add("name", valueString=found.system.name)
    if found.system.version is not None:
        answer.add("version", valueString=found.system.version)
    answer.add("display", valueString=found.display(language))
    for parts in _designations(found.concept, wanted):
        answer.add("designation", part=parts)
    for parts in await _properties(store, found, wanted):
        answer.add("property", part=parts)
    return Answer(answer.resource())


def coding_of(given: Parameters, name: str = "coding") -> tuple[str, str, str | None]:
    """System, code and version, sent one by one or as a Coding. Raises `Invalid` unless it is one of both."""
    code, system, version = (given.optional(each, str) for each in ("code", "system", "version"))
    if given.all(name):
        if code is not None or system is not None or version is not None:
            raise Invalid(f"send code and system or {name}, not both", expression="Parameters.parameter")
        coding = given.required(name, dict)
        code, system, version = coding.get("code"), coding.get("system"), coding.get("version")
    if not all(isinstance(each, str) for each in (code, system)) or not isinstance(version, str | None):
        raise Invalid(f"both code and system are required, one by one or as {name}", expression="Parameters.parameter")
    return str(system), str(code), version


def _designations(concept: Concept, wanted: frozenset[str]) -> Iterator[list[dict[str, Any]]]:
    languages = {each.removeprefix("lang.").lower() for each in wanted if each.startswith("lang.")}
    everything = not wanted or "designation" in wanted or "*" in wanted
    for each in concept.designations:
        if everything or each.get("language", "").lower() in languages:
            parts: list[dict[str, Any]] = []
            if "language" in each:
                parts.append({"name": "language", "valueCode": each["language"]})
            if "use" in each:
                parts.append({"name": "use", "valueCoding": each["use"]})
            yield [*parts, {"name": "value", "valueString": each["value"]}]


async def _properties(store: TerminologyStore, found: Found, wanted: frozenset[str]) -> list[list[dict[str, Any]]]:
    concept = found.concept
    everything = not wanted or "*" in wanted
    properties: list[list[dict[str, Any]]] = []
    if concept.definition is not None and (everything or "definition" in wanted):
        properties.append(_property("definition", {"valueString": concept.definition}))
    if everything or wanted & {"parent", "child"}:
        near = await store.related(found.system.resource_id, concept.code, concept.parent)
        properties += [
            _property(relation, {"valueCode": code}, display)
            for relation, code, display in near
            if everything or relation in wanted
        ]
    for each in concept.properties:
        if each["code"] not in _EXPLICIT and (everything or each["code"] in wanted):
            value = {key: value for key, value in each.items() if key.startswith("value")}
            properties.append(_property(each["code"], value, _description(value)))
    return properties


def _property(code: str, value: dict[str, Any], description: str | None = None) -> list[dict[str, Any]]:
    parts: Sequence[dict[str, Any]] = [{"name": "code", "valueCode": code}, {"name": "value", **value}]
    return [*parts, {"name": "description", "valueString": description}] if description else [*parts]


def _description(value: dict[str, Any]) -> str | None:
    coding = value.get("valueCoding")
    return coding.get("display") if isinstance(coding, dict) else None
