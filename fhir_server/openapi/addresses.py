# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What each interaction of the RESTful API takes beside its body: https://hl7.org/fhir/R4/http.html#summary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_PAGE: Final = ("_count", "_cursor", "_format", "_pretty")
_FORM: Final = ("_format", "_pretty")
_SEARCH: Final = (*_PAGE, "_total", "_sort", "_summary", "_elements")
_EXPORT: Final = ("_since", "_type", "_typeFilter", "_elements", "_outputFormat", "_format", "_pretty")
_DONE: Final = {"200": "Done"}
_FOUND: Final = {"200": "The resource", "304": "Unchanged since the version or moment named"}
_WRITTEN: Final = {"200": "Updated", "201": "Created"}


@dataclass(frozen=True, slots=True)
class Address:
    """One method of one address, as an interaction."""

    interaction: str
    type: str | None = None
    """The resource type it is about."""
    operation: bool = False
    criteria: bool = False
    """Whether its query holds search parameters."""
    form: bool = False
    """Whether the query may ask what comes along (`_include`): a search, not a condition of a write."""
    controls: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    good: Mapping[str, str] = field(default_factory=lambda: _DONE)
    refused: tuple[str, ...] = ()


def address_of(path: str, method: str) -> Address:
    """What a route's path (`/fhir/Patient/{id}`) and method mean."""
    parts = tuple(part for part in path.split("/") if part)
    if parts[:1] != ("fhir",):
        return Address("other")
    name = parts[1] if len(parts) > 1 and parts[1][:1].isupper() else None
    below = ["{}" if part.startswith("{") else part for part in parts[1 if name is None else 2 :]]
    if below and below[-1].startswith("$"):
        return _operation(below[-1], name, method, bool(below[:-1]))
    match (name, below, method):
        case None, [], _:
            return Address("bundle", headers=("Prefer",), refused=("404", "409", "412", "415", "422"))
        case None, ["_history"], _:
            return Address("history", controls=("_since", "_at", *_PAGE))
        case None, _, _:
            return Address("other", controls=_FORM if below == ["metadata"] else ())
        case _, [], "GET":
            good = {"200": "A page of what matches", "202": "Taken in, to be fetched later"}
            return Address(
                "search", name, criteria=True, form=True, controls=_SEARCH, headers=("Prefer",), good=good
            )  # fmt: skip
        case _, ["_search"], _:
            return Address("search", name, controls=_SEARCH, headers=("Prefer",), refused=("415",))
        case _, ["_history"], _:
            return Address("history", name, controls=("_since", "_at", *_PAGE), refused=("404",))
        case _, ["{}", "_history"], _:
            return Address("history", name, controls=("_since", "_at", *_PAGE), refused=("404",))
        case _, ["{}", "_history", "{}"], _:
            return Address("vread", name, controls=_FORM, refused=("404", "410"), good=_FOUND)
        case _, _, _:
            return _of_type(str(name), method, one=bool(below))


def _of_type(name: str, method: str, *, one: bool) -> Address:
    """An interaction with one resource, by its id or by criteria."""
    refused = ("404", "409", "410", "412", "415", "422")
    match method:
        case "GET":
            conditions = ("If-None-Match", "If-Modified-Since")
            controls = ("_summary", "_elements", *_FORM)
            return Address("read", name, controls=controls, headers=conditions, refused=("404", "410"), good=_FOUND)
        case "POST":
            return Address(
                "create", name, headers=("If-None-Exist", "Prefer"), refused=("409", "412", "415", "422"),
                good={"200": "It was there already", "201": "Created"},
            )  # fmt: skip
        case "DELETE":
            good = {"200": "Deleted", "204": "Deleted, or was not there"}
            return Address("delete", name, criteria=not one, headers=("If-Match",), refused=refused, good=good)
        case _:
            kind = "patch" if method == "PATCH" else "update"
            headers = ("If-Match", *(("If-None-Match",) if kind == "update" else ()), "Prefer")
            return Address(kind, name, criteria=not one, headers=headers, refused=refused, good=_WRITTEN)


def _operation(operation: str, name: str | None, method: str, one: bool) -> Address:
    if operation == "$export":
        return Address(
            "export", name, operation=True, controls=_EXPORT, headers=("Prefer",), refused=("404", "415", "429"),
            good={"202": "Taken in, to be fetched later"},
        )  # fmt: skip
    controls: tuple[str, ...] = _FORM
    if operation == "$validate":
        controls = ("mode", "profile", *_FORM)
    elif operation == "$everything":
        controls = ("start", "end", "_since", "_type", *_PAGE)
    refused = ("404", "415", "422") if method == "POST" else ("404",)
    return Address("operation", name, operation=True, controls=controls, refused=refused)
