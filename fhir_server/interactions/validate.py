# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$validate of a type or an instance: https://hl7.org/fhir/R4/resource-operation-validate.html."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from fhir_server import raw
from fhir_server.context import Access, Answer, Context
from fhir_server.interactions.profiled import known_profiles, profile_problems
from fhir_server.interactions.serving import Serving, audit_entry, guard
from fhir_server.interactions.write import check_roles
from fhir_server.outcome import (
    FhirError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    NotSupported,
    issue,
    operation_outcome,
)
from fhir_server.service import Request
from fhir_server.validation import InvalidResource, Problem, validate_structure
from fhir_server.validation import validate as validate_resource

_PERMISSIONS: Final = {"create": "c", "update": "u", "delete": "d"}


@dataclass(frozen=True, slots=True)
class _Asked:
    resource: dict[str, Any] | None
    body: bytes
    mode: str | None
    profiles: tuple[str, ...]


async def validate(serving: Serving, context: Context, request: Request) -> Answer:
    """What a write of the resource would be refused for: an OperationOutcome, 200 also when there are errors.

    Without a mode the rules of FHIR; with create, update or delete what the service, its guard and the caller's
    permissions ask as well. Besides, what the profiles say: that asked for, those the resource claims, those the type
    declares. Nothing is written. Raises `Forbidden` if the caller may not do what the mode says, `UnknownProfile`.
    """
    asked = _asked(request)
    if asked.mode == "profile" and (request.path_params.get("id") is None or asked.resource or not asked.profiles):
        raise Invalid("the mode profile is asked of an instance, with a profile and without a resource")
    resource_id = request.path_params.get("id")
    resource, body = asked.resource, asked.body
    _check_may(serving, context, asked.mode)
    await asyncio.to_thread(known_profiles, serving, asked.profiles)
    current = None
    if resource_id is not None:
        stored = await serving.store.read(serving.type.name, resource_id)
        current = None if stored is None or stored.deleted else stored
        await guard(serving, context, "read", None if current is None else orjson.loads(current.body))
        if current is None:
            raise NotFound(f"no {serving.type.name} with this id")
        if resource is None:
            resource, body = orjson.loads(current.body), current.body
        if serving.type.access is Access.person_data:
            context.record(audit_entry(serving, context, "validate", "R", orjson.loads(current.body)))
    if asked.mode == "delete":
        if current is None:
            raise Invalid("the mode delete is asked of an instance")
        await guard(serving, context, "delete", orjson.loads(current.body))
        return Answer(_fine())
    if resource is None:
        raise Malformed("send the resource, alone or as the parameter resource", expression="Parameters.parameter")
    try:
        await _check(serving, context, resource, body, asked.mode, resource_id)
    except Forbidden:
        raise
    except InvalidResource as error:
        # Who mends wants to hear all of it; where the structure is broken, a profile has nothing to stand on.
        more = await _profiled(serving, resource, asked) if _sound(body) else []
        return Answer(_told([*error.problems, *more]))
    except FhirError as error:
        return Answer(error.outcome())
    return Answer(_told(await _profiled(serving, resource, asked)))


async def _profiled(serving: Serving, resource: dict[str, Any], asked: _Asked) -> list[Problem]:
    """In a thread: a document of some hundred entries takes a while."""
    if resource.get("resourceType") != serving.type.name:
        return []
    return await asyncio.to_thread(profile_problems, serving, resource, asked.profiles)


def _sound(body: bytes) -> bool:
    try:
        validate_structure(body)
    except InvalidResource:
        return False
    return True


async def _check(
    serving: Serving, context: Context, resource: dict[str, Any], body: bytes, mode: str | None, resource_id: str | None
) -> None:
    if resource.get("resourceType") != serving.type.name:
        raise Invalid(f"the resource must be a {serving.type.name}", expression="resourceType")
    if resource_id is not None and mode == "update" and resource.get("id") != resource_id:
        raise Invalid("the id in the body must be the id in the URL", expression="id", code="id-mismatch")
    validate_resource(body)
    if mode in (None, "profile"):
        await guard(serving, context, "validate", None)
        return
    if serving.type.prepare is not None:
        resource = await serving.type.prepare(context, resource)
    await guard(serving, context, mode, resource)


def _check_may(serving: Serving, context: Context, mode: str | None) -> None:
    if mode in (None, "profile"):
        return
    if mode not in _PERMISSIONS:
        raise NotSupported("mode is create, update, delete or profile", code="unknown-mode")
    if mode not in serving.type.interactions:
        raise NotSupported(f"{mode} is not offered for {serving.type.name}")
    if not context.caller.may(serving.type.name, _PERMISSIONS[mode]):
        raise Forbidden(
            f"the token lacks the scope {serving.type.name}.{_PERMISSIONS[mode]}", code="insufficient-scope"
        )
    check_roles(serving, context)


def _asked(request: Request) -> _Asked:
    """The body as the operation's parameters, or as the resource itself."""
    query = dict(request.query)
    mode = query.get("mode")
    profiles = tuple(value for name, value in request.query if name == "profile")
    if not request.body:
        return _Asked(None, b"", mode, profiles)
    outer = request.resource()
    if outer["resourceType"] != "Parameters":
        return _Asked(outer, request.body, mode, profiles)
    parameters = request.parameters()
    profiles += parameters.values("profile", str)
    mode = parameters.optional("mode", str) or mode
    given = raw.loads(request.body)
    for each in given.get("parameter", ()):
        if each.get("name") == "resource" and isinstance(each.get("resource"), dict):
            body = raw.dumps(each["resource"])
            return _Asked(orjson.loads(body), body, mode, profiles)
    return _Asked(None, b"", mode, profiles)


def _told(problems: Sequence[Problem]) -> dict[str, Any]:
    """What is wrong; if that is nothing but warnings, that there is no fault."""
    found = InvalidResource(problems).outcome() if problems else {"issue": []}
    if not any(each.severity == "error" for each in problems):
        found = operation_outcome([*_fine()["issue"], *found["issue"]])
    return found


def _fine() -> dict[str, Any]:
    return operation_outcome([issue("information", "informational", "valid", "no problem was found")])
