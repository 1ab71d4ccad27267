# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Who ordered a job: kept with it, so that guards are asked for the same caller when it is worked. Never the token."""

import asyncio
from dataclasses import fields
from datetime import datetime
import hashlib
from typing import Any

import orjson

from fhir_server.context import Caller, CallerKind, Context
from identifiers.person_key import PersonKey


def written(caller: Caller) -> dict[str, Any]:
    """The caller as JSON."""
    made = {each.name: getattr(caller, each.name) for each in fields(caller)}
    return {
        **made,
        "kind": caller.kind.value,
        "scopes": sorted(caller.scopes),
        "roles": sorted(caller.roles),
        "person": caller.person.hex() if caller.person is not None else None,
    }


def read(given: dict[str, Any]) -> Caller:
    """The caller again."""
    person = given["person"]
    return Caller(
        **{
            **given,
            "kind": CallerKind(given["kind"]),
            "scopes": frozenset(given["scopes"]),
            "roles": frozenset(given["roles"]),
            "person": None if person is None else PersonKey.from_hex(person),
        }
    )


def owner(caller: Caller) -> bytes:
    """Who may fetch: the same client, on behalf of the same organisation, user and person."""
    person = caller.person.hex() if caller.person is not None else None
    named = [caller.client_id, caller.kind.value, caller.organisation, caller.unit, caller.user, person]
    return hashlib.sha256(orjson.dumps(named)).digest()


def context_of(caller: Caller, trace_id: str, now: datetime, seconds: float) -> Context:
    """The context in which a job is worked: without a token, so that nothing is asked of other services for it."""
    clock = asyncio.get_running_loop().time
    return Context(caller=caller, token="", now=now, deadline=clock() + seconds, trace_id=trace_id, clock=clock)
