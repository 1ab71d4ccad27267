# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Rules that the definitions hold as text only, by type.

https://hl7.org/fhir/R4/datatypes.html#Attachment, #Coding, https://hl7.org/fhir/R4/references.html#canonical
"""

from collections import Counter
from collections.abc import Callable
import re
from typing import Any, Final

from fhir_server.validation.bundles import bundle_problems
from fhir_server.validation.canonicals import search_parameter, structure_definition
from fhir_server.validation.definitions import Kind
from fhir_server.validation.problem import Problem

Rule = Callable[[dict[str, Any]], list[Problem]]

_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.\-]*:\S+", re.IGNORECASE | re.ASCII)
_SPACE: Final = re.compile(r"\s+")


def _absolute(value: Any) -> bool:
    return not isinstance(value, str) or value.startswith(("http://", "https://")) or bool(_ABSOLUTE.fullmatch(value))


def _attachment(value: dict[str, Any]) -> list[Problem]:
    """`size` counts the bytes before base64. With a URL and no data it can't be checked."""
    data, size = value.get("data"), value.get("size")
    if not isinstance(data, str) or not isinstance(size, int):
        return []
    plain = _SPACE.sub("", data)
    length = len(plain) * 3 // 4 - (len(plain) - len(plain.rstrip("=")))
    return [] if length == size else [Problem("size", "give the number of bytes of data before base64", "value")]


def _coding(value: dict[str, Any]) -> list[Problem]:
    if _absolute(value.get("system")):
        return []
    return [Problem("system", "name the code system by its absolute URI", "value")]


def _included(value: dict[str, Any]) -> list[Problem]:
    """`ValueSet.compose.include` and `exclude`."""
    if _absolute(value.get("system")):
        return []
    return [Problem("system", "name the code system by its absolute URI, a contained one too", "value")]


def _canonical(value: dict[str, Any]) -> list[Problem]:
    if _absolute(value.get("url")):
        return []
    return [Problem("url", "the canonical URL of a definition is absolute", "value")]


def _code_system(value: dict[str, Any]) -> list[Problem]:
    found = _canonical(value)
    if "supplements" in value and value.get("content") != "supplement":
        found.append(Problem("content", "a code system that supplements another has the content supplement", "value"))
    if _repeats(value):
        found.append(Problem("concept", "csd-1: a code stands twice; define each once", "invariant"))
    return found


def _repeats(code_system: dict[str, Any]) -> bool:
    seen: set[str] = set()
    pending = [code_system]
    while pending:
        concepts = pending.pop().get("concept")
        for each in concepts if isinstance(concepts, list) else ():
            if isinstance(each, dict):
                code = each.get("code")
                if isinstance(code, str):
                    if code in seen:
                        return True
                    seen.add(code)
                pending.append(each)
    return False


def unreferenced(resource: dict[str, Any]) -> list[Problem]:
    """dom-3: a contained resource is referred to from elsewhere in the resource, or refers to the resource."""
    held = resource.get("contained")
    found = []
    outside = _fragments(resource)
    for at, each in enumerate(held if isinstance(held, list) else ()):
        if not isinstance(each, dict):
            continue
        name = each.get("id")
        if not isinstance(name, str):
            found.append(
                Problem(f"contained[{at}]", "give a contained resource an id that is referred to", "invariant")
            )
        elif outside[f"#{name}"] <= _fragments(each)[f"#{name}"] and not _fragments(each)["#"]:
            text = "dom-3: refer to the contained resource from elsewhere in the resource, or leave it out"
            found.append(Problem(f"contained[{at}]", text, "invariant"))
    return found


def _fragments(value: Any) -> Counter[str]:
    """How often each text that begins with # stands below."""
    found: Counter[str] = Counter()
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending += each.values()
        elif isinstance(each, list):
            pending += each
        elif isinstance(each, str) and each[:1] == "#":
            found[each] += 1
    return found


_RULES: Final[dict[str, Rule]] = {
    "Attachment": _attachment,
    "Bundle": bundle_problems,
    "CodeSystem": _code_system,
    "Coding": _coding,
    "ValueSet.compose.include": _included,
}


_DEFINITIONS: Final[dict[str, Rule]] = {
    "SearchParameter": search_parameter,
    "StructureDefinition": structure_definition,
}


def rule_of(of: Kind) -> Rule | None:
    """The rule of a type, if there is one. A resource with url and status is a definition."""
    rule = _RULES.get(of.name)
    if rule is None and of.resource and {"url", "status", "version"} <= of.elements.keys():
        own = _DEFINITIONS.get(of.name)
        return _canonical if own is None else lambda value: [*_canonical(value), *own(value)]
    return rule
