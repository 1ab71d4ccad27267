# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The form of a literal reference and the type it points to. https://hl7.org/fhir/R4/references.html#literal"""

import re
from typing import Any, Final

from fhir_server.validation.definitions import resource_names

_RELATIVE: Final = re.compile(
    r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?(#\S+)?", re.ASCII
)
_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.\-]*:\S+", re.IGNORECASE | re.ASCII)
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]+)\?\S+", re.ASCII)
_TAIL: Final = re.compile(r".*/([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)
_CANONICAL_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/"

FORM: Final = "write Type/id, an absolute URL, urn:uuid:…, #id of a contained resource, or Type?criteria"


def target_type(reference: str) -> tuple[str | None, bool]:
    """The resource type that the text of a reference names (None: it names none), and whether its form is right."""
    if found := _RELATIVE.fullmatch(reference):
        name = found.group(1)
        return name, name in resource_names()
    if reference.startswith("#"):
        return None, True
    if _ABSOLUTE.fullmatch(reference):
        if reference.startswith(("http://", "https://")) and (found := _TAIL.fullmatch(reference)):
            name = found.group(1)
            return (name if name in resource_names() else None), True
        return None, True
    if found := _CONDITIONAL.fullmatch(reference):
        name = found.group(1)
        return name, name in resource_names()
    return None, False


def stated_type(reference: dict[str, Any]) -> str | None:
    """`Reference.type`, without the URL that may stand before the name."""
    value = reference.get("type")
    return value.removeprefix(_CANONICAL_TYPE) if isinstance(value, str) else None
