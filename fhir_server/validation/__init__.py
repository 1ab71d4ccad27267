# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Validation of a resource behind one seam. https://hl7.org/fhir/R4/validation.html

Structure, cardinality, types and primitive formats are fhirkit's; required bindings, references, narratives and
invariants are ours (`walk.py`), from tables of the specification.
"""

from collections.abc import Iterable
import re
from typing import Any

import fhirkit
import orjson

from fhir_server.outcome import Malformed, Unprocessable
from fhir_server.validation.policy import ADVICE, STRICT, WRITE, Policy
from fhir_server.validation.primitives import ID
from fhir_server.validation.problem import InvalidResource, Problem
from fhir_server.validation.walk import problems

__all__ = [
    "ADVICE",
    "ID",
    "STRICT",
    "WRITE",
    "InvalidResource",
    "Policy",
    "Problem",
    "check",
    "check_id",
    "validate",
    "validate_rules",
    "validate_structure",
]

_QUOTED = re.compile(r"""(["'`])(?:(?!\1).)*\1""")
_NUMBER = re.compile(r"^-?\d\S* (?=is )")
_TYPE = re.compile(r"^\S+ is not a FHIR R4 resource type")


def check(body: bytes, policy: Policy = ADVICE) -> tuple[Problem, ...]:
    """All findings about a resource that the policy asks for.

    Raises `Malformed` if it is not JSON or nested too deeply. Where the structure is broken, the rest is looked at as
    far as it goes.
    """
    structural = _structure(body)
    try:
        resource: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("the body is not JSON") from None
    if not isinstance(resource, dict):
        return tuple(structural)
    known = {each.path for each in structural}
    return (*structural, *(each for each in _rules(resource, policy) if each.path not in known))


def validate(body: bytes) -> None:
    """Raises `InvalidResource` naming every faulty element, `Malformed` if it is not JSON.

    The texts never repeat a value.
    """
    _refuse(check(body, WRITE))


def validate_structure(body: bytes) -> None:
    """The first half of `validate`, for a resource that a service completes before it is held against the rules."""
    _refuse(_structure(body))


def validate_rules(resource: dict[str, Any]) -> None:
    """The second half of `validate`: all but structure."""
    _refuse(_rules(resource, WRITE))


def check_id(resource_id: str) -> None:
    """Raises `Unprocessable` unless the id is 1-64 letters, digits, hyphens and dots."""
    if not ID.fullmatch(resource_id):
        raise Unprocessable("an id is 1-64 letters, digits, hyphens and dots", code="invalid-id", expression="id")


def _structure(body: bytes) -> list[Problem]:
    try:
        issues = fhirkit.validate(body)
    except fhirkit.ParseError:
        raise Malformed("the body is not JSON") from None
    return [Problem(each.path, _silent(each.message), "structure", each.severity) for each in issues]


def _rules(resource: dict[str, Any], policy: Policy) -> list[Problem]:
    try:
        return problems(resource, policy)
    except RecursionError:
        raise Malformed("the resource is nested too deeply") from None


def _refuse(found: Iterable[Problem]) -> None:
    wrong = [each for each in found if each.severity == "error"]
    if wrong:
        raise InvalidResource(wrong)


def _silent(message: str) -> str:
    """A message of the structural check without the value in it."""
    message = _TYPE.sub("this is not a FHIR R4 resource type", message)
    return _NUMBER.sub("the value ", _QUOTED.sub("…", message))
