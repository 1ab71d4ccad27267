# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Search parameters with the form of their values: https://hl7.org/fhir/R4/search.html#ptypes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_PREFIX: Final = "(eq|ne|gt|lt|ge|le|sa|eb|ap)?"
_DATE: Final = _PREFIX + r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:.]+(Z|[+\-][0-9]{2}:[0-9]{2})?)?)?)?"
_NUMBER: Final = _PREFIX + r"[+\-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+\-]?[0-9]{1,2})?"


def _listed(one: str) -> dict[str, Any]:
    """Alternatives are joined by commas."""
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


_FORMS: Final[Mapping[str, dict[str, Any]]] = {
    "date": _listed(_DATE),
    "number": _listed(_NUMBER),
    "quantity": _listed(_NUMBER + r"(\|[^|,]*\|[^|,]*)?"),
    "reference": {"type": "string", "minLength": 1, "format": "fhir-reference"},
    "composite": {"type": "string", "minLength": 3, "pattern": r"\$"},
}


def searched(stated: Mapping[str, Any], *, includes: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each parameter that the CapabilityStatement lists for the type with the schema of one of its values.

    `stated`: `rest.resource`. `includes`: with `_include` and `_revinclude`.
    """
    for each in stated.get("searchParam", ()):
        form = _FORMS.get(each["type"], {"type": "string", "minLength": 1})
        yield each["name"], {**form, "description": each["type"]}
    for name, key in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        if includes and stated.get(key):
            yield name, {"type": "string", "enum": list(stated[key])}
