# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Finds places in a resource by the simple subset of FHIRPath (https://hl7.org/fhir/R4/fhirpatch.html).

Paths, indexes, `where(a.b = 'x' and …)`, `exists()`, `first()`, `last()`, `ofType()`, `extension('url')`. The subset is
what the specification asks of a server; anything else is refused. A place knows where it stands, so that what is
there can be replaced, moved and removed together with the id and the extensions of a primitive (`_name`).
"""

from collections.abc import Callable
from dataclasses import dataclass
import re
from typing import Any, Final

from fhir_server.outcome import NotSupported

_NAME: Final = re.compile(r"(`?)([A-Za-z]\w*)\1", re.ASCII)
_INDEXED: Final = re.compile(r"(.*)\[(\d{1,9})\]")
_CALL: Final = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_COMPARED: Final = re.compile(r"(.+?)\s*(!?=|~)\s*('(?:[^'\\]|\\.)*'|true|false|-?\d+(?:\.\d+)?)", re.DOTALL)
_STRING: Final = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)


_KINDS: Final = re.compile(
    "Base64Binary|Boolean|Canonical|Code|Date|DateTime|Decimal|Id|Instant|Integer|Markdown|Oid|PositiveInt|String|Time|"
    "UnsignedInt|Uri|Url|Uuid|Address|Age|Annotation|Attachment|CodeableConcept|Coding|ContactPoint|Count|Distance|"
    "Duration|HumanName|Identifier|Money|Period|Quantity|Range|Ratio|Reference|SampledData|Signature|Timing|"
    "ContactDetail|Contributor|DataRequirement|Expression|ParameterDefinition|RelatedArtifact|TriggerDefinition|"
    "UsageContext|Dosage|Meta"
)
"""Types a choice may have, as they end its name (https://hl7.org/fhir/R4/datatypes.html#open)."""


@dataclass(slots=True)
class Place:
    """A value and where it stands."""

    container: Any
    """The object, or the list, that holds it."""
    key: Any
    path: str
    """As fhirkit writes it, e.g. Patient.name[0].family."""
    parent: "Place | None"
    list_name: str | None = None
    """Where the container is a list: the name of that list in `parent`."""

    @property
    def value(self) -> Any:
        """What stands there; None for a primitive that has only extensions."""
        return self.container.get(self.key) if isinstance(self.container, dict) else self.container[self.key]


def places(root: Place, path: str) -> list[Place]:
    """Every place the path leads to. Raises `NotSupported` for more of FHIRPath than is taken."""
    steps = split(path)
    kind = root.value.get("resourceType")
    found = [root]
    if steps and steps[0] in (kind, "Resource", "DomainResource"):
        steps = steps[1:]
    for step in steps:
        found = _step(found, step)
    return found


def split(path: str) -> list[str]:
    """The steps of a path: split at the dots outside parentheses, quotes and backticks."""
    parts, depth, quote, current = [], 0, "", ""
    for char in path.strip():
        if quote:
            quote = "" if char == quote else quote
        elif char in "'`":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        if char == "." and depth == 0 and not quote:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()]


def name_of(step: str) -> str | None:
    """The element name, if the step is nothing else."""
    match = _NAME.fullmatch(step)
    return match.group(2) if match else None


def child_key(parent: Any, name: str) -> str:
    """The member an element name means: itself, or `deceasedBoolean` for `deceased`."""
    if name in parent or f"_{name}" in parent:
        return name
    for key in parent:
        bare = key.removeprefix("_")
        if bare.startswith(name) and _KINDS.fullmatch(bare, len(name)):
            return str(bare)
    return name


def _step(found: list[Place], step: str) -> list[Place]:
    if match := _INDEXED.fullmatch(step):
        inner, index = match.group(1), int(match.group(2))
        chosen = _step(found, inner) if inner else found
        return chosen[index : index + 1]
    if name := name_of(step):
        return [child for place in found for child in _children(place, name)]
    if match := _CALL.fullmatch(step):
        name, argument = match.group(1), match.group(2).strip()
        if name in ("first", "last") and not argument:
            return found[:1] if name == "first" else found[-1:]
        if name in ("ofType", "as") and name_of(argument):
            return [place for place in found if _is_of(place, argument)]
        if name == "extension" and (text := _STRING.fullmatch(argument)):
            url = _unescaped(text.group(1))
            inner_places = [child for place in found for child in _children(place, "extension")]
            return [place for place in inner_places if place.value.get("url") == url]
        if name == "where":
            test = _condition(argument)
            return [place for place in found if test(place)]
    raise NotSupported("a path of a patch may use names, indexes, where(), first(), last(), ofType() and extension()")


def _children(place: Place, name: str) -> list[Place]:
    if not isinstance(place.value, dict):
        # The id and the extensions of a primitive stand beside it, in `_name`.
        beside = f"_{place.key}"
        if not isinstance(place.container, dict) or beside not in place.container:
            return []
        above = "" if place.parent is None else place.parent.path
        place = Place(place.container, beside, f"{above}.{beside}", place.parent)
    value = place.value
    if not isinstance(value, dict):
        return []
    key = child_key(value, name)
    path = f"{place.path}.{key}"
    if isinstance(value.get(key), list):
        return [Place(value[key], index, f"{path}[{index}]", place, key) for index in range(len(value[key]))]
    return [Place(value, key, path, place)] if key in value or f"_{key}" in value else []


def _is_of(place: Place, kind: str) -> bool:
    key = place.list_name or str(place.key)
    if isinstance(place.value, dict) and "resourceType" in place.value:
        return bool(place.value["resourceType"] == kind)
    return key.lower().endswith(kind.lower())


def _condition(text: str) -> Callable[[Place], bool]:
    parts = re.split(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", text)
    tests = [_simple(part.strip()) for part in parts]
    return lambda place: all(test(place) for test in tests)


def _simple(text: str) -> Callable[[Place], bool]:
    if text.endswith(".exists()"):
        inner = text.removesuffix(".exists()")
        return lambda place: bool(_from(place, inner))
    match = _COMPARED.fullmatch(text)
    if match is None:
        raise NotSupported("where() takes comparisons like system = 'http://…', joined by and, and exists()")
    path, operator, wanted = match.groups()
    literal = _unescaped(wanted[1:-1]) if wanted.startswith("'") else wanted

    def test(place: Place) -> bool:
        values = [_text(each.value) for each in _from(place, path)]
        if not values:
            return False
        return (literal not in values) if operator == "!=" else values == [literal]

    return test


def _from(place: Place, path: str) -> list[Place]:
    steps = split(path)
    found = [place]
    for step in steps[1:] if steps[0] == "$this" else steps:
        found = _step(found, step)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(getattr(value, "text", value))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
