# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The resource types the terminology keeps: for the routes and for loading files alike."""

from typing import Any, Final

from fhir_server.context import Access, Context
from fhir_server.outcome import Unprocessable
from fhir_server.service import Interaction, ResourceType
from terminology.capability import SEARCH
from terminology.model import EQUIVALENCES, concepts_of
from terminology.store import write_code_system, write_concept_map

WRITERS: Final = frozenset({"operator"})
_INTERACTIONS: Final[frozenset[Interaction]] = frozenset({"read", "vread", "create", "update", "search", "history"})
_WITHIN: Final = {"CodeSystem": write_code_system, "ConceptMap": write_concept_map}
_MODES: Final = ("provided", "fixed", "other-map")


async def prepare(context: Context, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource as it is. Raises `Unprocessable` if it cannot be asked about: no url, a code twice."""
    kind = resource["resourceType"]
    if not resource.get("url"):
        raise Unprocessable("a canonical resource has a url", expression=f"{kind}.url", code="url-missing")
    if kind == "CodeSystem":
        concepts_of(resource)
    elif kind == "ConceptMap":
        _check_map(resource)
    return resource


def _check_map(resource: dict[str, Any]) -> None:
    for number, group in enumerate(resource.get("group", ())):
        unmapped = group.get("unmapped")
        if unmapped is not None and unmapped["mode"] not in _MODES:
            raise Unprocessable(
                f"the mode is one of {', '.join(_MODES)}", expression=f"ConceptMap.group[{number}].unmapped.mode"
            )
        for element in group.get("element", ()):
            if any(target["equivalence"] not in EQUIVALENCES for target in element.get("target", ())):
                raise Unprocessable(
                    f"the equivalence is one of {', '.join(EQUIVALENCES)}",
                    expression=f"ConceptMap.group[{number}].element.target.equivalence",
                )


RESOURCES: Final[tuple[ResourceType, ...]] = tuple(
    ResourceType(
        name=name,
        access=Access.directory,
        interactions=_INTERACTIONS,
        search=search,
        prepare=prepare,
        within=_WITHIN.get(name),
        write_roles=WRITERS,
    )
    for name, search in SEARCH.items()
)
