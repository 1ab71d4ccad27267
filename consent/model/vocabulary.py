# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Facts from the dotted names of the published rule vocabulary (actor.careProvider …), for tests and replays."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
import re
import types
from typing import Any, Final, TypeVar, get_args, get_type_hints

from consent.model.facts import Actor, Assertion, AuditRecord, Data, Facts, Situation, Subject
from consent.model.terms import Operation, Scope, SearchTerm

T = TypeVar("T")

_GROUPS: Final[dict[str, type]] = {
    "actor": Actor,
    "subject": Subject,
    "data": Data,
    "assertion": Assertion,
    "auditEntry": AuditRecord,
}
_SPECIAL: Final = {"disclosureMode": "mode", "informed2_2": "informed_2_2", "informed7_3": "informed_7_3"}
_TYPES: Final = {each: get_type_hints(each) for each in (*_GROUPS.values(), Situation)}


def facts_of(given: Mapping[str, Any], when: Mapping[str, Any]) -> Facts:
    """The facts of a case. Raises `ValueError` on a name or value that the vocabulary lacks: nothing is guessed."""
    groups: dict[str, Any] = {}
    situation: dict[str, Any] = {}
    for name, value in given.items():
        if name in _GROUPS:
            groups["audit" if name == "auditEntry" else name] = _built(_GROUPS[name], value)
        else:
            situation[name] = value
    unknown = set(when) - {"operation", "scope", "searchTerm"}
    if unknown:
        raise ValueError(f"the vocabulary has no request field {sorted(unknown)}")
    return Facts(
        operation=Operation(when["operation"]),
        scope=Scope(when["scope"]) if "scope" in when else None,
        search_term=SearchTerm(when["searchTerm"]) if "searchTerm" in when else None,
        situation=_built(Situation, situation),
        **groups,
    )


def _built(kind: type[T], values: Mapping[str, Any]) -> T:
    built: dict[str, Any] = {}
    for name, value in values.items():
        field = _SPECIAL.get(name) or re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
        if field not in _TYPES[kind]:
            raise ValueError(f"the vocabulary has no fact {kind.__name__.lower()}.{name}")
        built[field] = _value(_TYPES[kind][field], value)
    return kind(**built)


def _value(kind: Any, value: Any) -> Any:
    for each in get_args(kind) if isinstance(kind, types.UnionType) else (kind,):
        if each is types.NoneType and value is None:
            return None
        if isinstance(each, type) and issubclass(each, Enum) and value is not None:
            return each(value)
        if each is datetime and value is not None:
            return datetime.fromisoformat(value)
        if each in (bool, int, str) and type(value) is each:
            return value
        if each is float and type(value) in (int, float):
            return float(value)
    raise ValueError(f"{value!r} is no value of this fact")
