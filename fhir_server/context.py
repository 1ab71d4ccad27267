# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Who calls, what a request may do and what it leaves behind: the value types that handlers see.

`security` and `audit` reach the kernel through the protocols at the end; `ndi/assembly.py` fills them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct

from fhir_server.outcome import DeadlineExceeded, FhirError
from fhir_server.policy import Policy
from identifiers.person_key import PersonKey


class Access(Enum):
    """What a route gives access to; every route declares one, and the kernel enforces it."""

    public = "public"
    """Nothing that needs a caller: capability statements, keys, health."""
    directory = "directory"
    """Data about organisations and codes; any authenticated caller with the scope."""
    source_system = "source_system"
    """What a registered system of a care provider tells about itself and its records."""
    person_data = "person_data"
    """Data about a person: an access decision must have been asked and an audit event written."""
    each_entry = "each_entry"
    """A Bundle of requests: the caller must be known, and every entry is permitted as if it came alone."""
    operator = "operator"
    """Administration by those who run the infrastructure."""


class CallerKind(Enum):
    """What stands behind a token."""

    system = "system"
    staff = "staff"
    patient = "patient"


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller, built from verified claims only."""

    client_id: str
    kind: CallerKind
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    """Roles of the client or user: source, register, transfer, gateway, operator, clinician, patient."""
    organisation: str | None = None
    """HSA-id of the care provider (vårdgivare) on whose behalf the call is made."""
    organisation_name: str | None = None
    unit: str | None = None
    """HSA-id of the care unit (vårdenhet) of the assignment."""
    unit_name: str | None = None
    user: str | None = None
    """HSA-id of the member of staff."""
    user_name: str | None = None
    profession: str | None = None
    person: PersonKey | None = None
    """The person, where the caller is a patient."""
    purpose: str | None = None
    """v3-PurposeOfUse code: TREAT, PATRQT, HQUALIMP, HOPERAT."""
    assurance: int = 0
    """Level of assurance of the login, 1-4; 0 for systems."""

    def may(self, resource: str, permission: str) -> bool:
        """Whether a scope of the token grants `permission` (one of c, r, u, d, s) on the resource type.

        SMART App Launch 2.2 scopes: `system/DocumentReference.cu`, `user/*.rs`, `patient/Consent.crus`.
        """
        kind = self.kind  # compared by identity: an enumeration's hash is slow, and every request comes by here
        level = "system" if kind is CallerKind.system else "user" if kind is CallerKind.staff else "patient"
        for scope in self.scopes:
            context, _, rest = scope.partition("/")
            name, _, permissions = rest.partition(".")
            if context == level and name in (resource, "*") and permission in permissions:
                return True
        return False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that happened, as the access log keeps it. The kernel adds caller, time and trace id."""

    operation: str
    """What was done, e.g. locate, read, decide, block-set."""
    action: str = "R"
    """C, R, U, D or E, as AuditEvent.action."""
    outcome: str = "success"
    """success, denied or failed."""
    person: PersonKey | None = None
    information_type: str | None = None
    holders: tuple[str, ...] = ()
    """HSA-ids of the units whose data were touched."""
    ground: str | None = None
    """consent, emergency, self, lawful-basis …"""
    reason: str | None = None
    """Reason code of the decision."""
    law: str | None = None
    decision: str | None = None
    """Id of the decision that permitted or denied."""
    count: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Further facts without personal data."""


@dataclass(slots=True)
class Context:
    """One request: who, until when, and what must be logged before the answer leaves."""

    caller: Caller
    token: str
    """The bearer token as received, to be passed on to services called on the caller's behalf."""
    now: datetime
    deadline: float
    """Moment on the clock of `time_left`, in seconds."""
    trace_id: str
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    entries: list[AuditEntry] = field(default_factory=list)
    decided: bool = False
    """Set when an access decision was asked; person-data answers are withheld without it."""
    base: str = ""
    """Address of the FHIR base as the caller reached it."""
    handed: dict[str, Any] = field(default_factory=dict, repr=False)
    """What `prepare` of a resource type hands to its `within` because it must not be kept in the resource."""

    def own(self) -> "Context":
        """The same request for one entry of its Bundle: its events and its decision are its own."""
        return Context(self.caller, self.token, self.now, self.deadline, self.trace_id, self.clock, base=self.base)

    def record(self, entry: AuditEntry) -> None:
        """Adds an event that must be durable before the answer leaves."""
        self.entries.append(entry)

    def time_left(self) -> float:
        """Seconds until the caller's deadline. Raises `DeadlineExceeded` if there are none."""
        left = self.deadline - self.clock()
        if left <= 0:
            raise DeadlineExceeded("the time given for this request has run out")
        return left


class Answer(Struct, frozen=True):
    """What a handler gives back: a FHIR resource as dict, or bytes with their media type, whole or in pieces."""

    body: Mapping[str, Any] | bytes | AsyncIterator[bytes] | None = None
    status: int = 200
    headers: Mapping[str, str] = {}
    media_type: str = "application/fhir+json"
    updated: datetime | None = None
    """When the version it tells of was stored."""


class Authenticator(Protocol):
    """Turns credentials into a `Caller`; implemented by `security`."""

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of a verified bearer token.

        Raises `Unauthenticated` when there is none or it does not hold (expired, wrong audience, revoked).
        """
        ...


class Standing(Protocol):
    """Whether who once had a token would still get one; implemented by `security`.

    Asked before something is told to a caller who does not ask for it at this moment.
    """

    async def __call__(self, caller: Caller) -> Caller | None:
        """The caller with what is left of its scopes and roles, None if nothing is. Raises `Unavailable`."""
        ...


class AuditSink(Protocol):
    """Keeps audit entries; implemented by `audit`."""

    async def append(self, context: Context, entries: Sequence[AuditEntry]) -> None:
        """Returns when the entries are on disk. Raises `Unavailable` if they cannot be kept."""
        ...


class Guard(Protocol):
    """Decides over resources of `Access.person_data` that the kernel itself serves."""

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        """Returns if the caller may do the interaction on the resource, else raises `Forbidden` or `NotFound`.

        Marks the context as decided.
        """
        ...

    async def policy(self, context: Context) -> Policy:
        """What the caller may find of the type; raises `Forbidden` if it may not search it at all."""
        ...


ErrorFormat = Callable[[FhirError, str], Answer]
"""How a protocol tells an error: from the error and the trace id to the answer (SOAP fault, OAuth error)."""
