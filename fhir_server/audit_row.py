# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""An audit entry with its caller as one row, in the form that the SQL function of the audit schema takes.

Used by the store inside a write's transaction and by the batcher that makes reads durable, so that both kinds of
event look the same. Content of a row: HSLF-FS 2016:40 4 kap. 9 § (action, unit, time, user, patient), IHE BALP.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from fhir_server.context import AuditEntry, Caller, Context
from fhir_server.ids import uuid7_text

_NOT_IN_TEXT = {0: "\N{REPLACEMENT CHARACTER}"}
"""PostgreSQL keeps no NUL in text; one must never make the event of an access unkeepable."""


def audit_row(context: Context, entry: AuditEntry, *, event_id: UUID | None = None) -> dict[str, Any]:
    """The row for `entry`: a dict that serializes as JSON, with the columns of `audit.event` as keys.

    Person keys are written as PostgreSQL's hexadecimal bytea text. `event_id` makes an append that is sent again
    after a lost connection count once; without it a new UUIDv7 is made from the time of the request.
    """
    return {**_what(context, entry, event_id), **_who(context.caller)}


def audit_json(context: Context, entry: AuditEntry) -> bytes:
    """The same row as JSON; the part that tells of the caller is written once for a token."""
    return orjson.dumps(_what(context, entry, None))[:-1] + b"," + _who_json(context.caller)


def _what(context: Context, entry: AuditEntry, event_id: UUID | None) -> dict[str, Any]:
    return {
        "id": str(event_id) if event_id is not None else uuid7_text(context.now),
        "recorded": context.now.astimezone(UTC).isoformat(),
        "trace_id": _text(context.trace_id),
        "operation": _text(entry.operation),
        "action": entry.action,
        "outcome": entry.outcome,
        "person_key": None if entry.person is None else "\\x" + entry.person.hex(),
        "information_type": _text(entry.information_type),
        "holders": _texts(entry.holders),
        "ground": _text(entry.ground),
        "reason": _text(entry.reason),
        "law": _text(entry.law),
        "decision": _text(entry.decision),
        "count": entry.count,
        "detail": _clean(entry.detail) if entry.detail else {},
    }


@lru_cache(maxsize=1024)
def _who_json(caller: Caller) -> bytes:
    """Without the brace that begins it."""
    return orjson.dumps(_who(caller))[1:]


def _who(caller: Caller) -> dict[str, Any]:
    """The columns that tell who called: the same for all requests of a token."""
    return {
        "client_id": _text(caller.client_id),
        "kind": caller.kind.value,
        "scopes": _texts(sorted(caller.scopes)),
        "roles": _texts(sorted(caller.roles)),
        "organisation": _text(caller.organisation),
        "organisation_name": _text(caller.organisation_name),
        "unit": _text(caller.unit),
        "unit_name": _text(caller.unit_name),
        "user_id": _text(caller.user),
        "user_name": _text(caller.user_name),
        "profession": _text(caller.profession),
        "caller_person": None if caller.person is None else "\\x" + caller.person.hex(),
        "purpose": _text(caller.purpose),
        "assurance": caller.assurance,
    }


def _text(value: str | None) -> str | None:
    """The text without NUL and lone surrogates, neither of which JSON in PostgreSQL can hold."""
    if value is None or (value.isascii() and "\0" not in value):
        return value
    return value.translate(_NOT_IN_TEXT).encode(errors="replace").decode()


def _texts(values: Iterable[str]) -> list[str | None]:
    return [_text(value) for value in values]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(str(key)): _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(str(value))
