# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What is registered: clients, test people; and what a registration must fulfil."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
import re
from typing import Any, Final
from urllib.parse import urlsplit

from fhir_server.context import Caller, CallerKind
from identifiers.hsa_id import parse_hsa_id
from identifiers.person_key import PersonKey
from security.model.scopes import Level, parse_scope

CLIENT_CREDENTIALS: Final = "client_credentials"
AUTHORIZATION_CODE: Final = "authorization_code"
GRANTS: Final = (CLIENT_CREDENTIALS, AUTHORIZATION_CODE)

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_PERSON_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class InvalidRegistration(ValueError):
    """The registration breaks a rule; the message says which."""


@dataclass(frozen=True, slots=True)
class Client:
    """A registered system (vårdsystem, portal, service) of an organisation."""

    client_id: str
    name: str
    organisation: str
    """HSA-id of the care provider (vårdgivare) or operator that answers for the client."""
    organisation_name: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    grants: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    purpose: str
    """v3-PurposeOfUse code of what the client does on its own behalf."""
    valid_from: datetime
    valid_to: datetime | None = None
    revoked: datetime | None = None
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Public JWKs by kid."""

    def active(self, now: datetime) -> bool:
        """Whether the client may be used at this moment."""
        started = self.revoked is None and self.valid_from <= now
        return started and (self.valid_to is None or now < self.valid_to)

    def caller(self, scopes: Sequence[str]) -> Caller:
        """The client acting for itself."""
        return Caller(
            client_id=self.client_id,
            kind=CallerKind.system,
            scopes=frozenset(scopes),
            roles=frozenset(self.roles),
            organisation=self.organisation,
            organisation_name=self.organisation_name,
            purpose=self.purpose,
        )


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the test identity provider: a patient, or staff with an assignment (medarbetaruppdrag)."""

    id: str
    name: str
    kind: CallerKind
    person_key: PersonKey | None = None
    hsa_id: str | None = None
    organisation: str | None = None
    organisation_name: str | None = None
    unit: str | None = None
    unit_name: str | None = None
    profession: str | None = None
    roles: tuple[str, ...] = ()
    assurance: int = 3

    @property
    def level(self) -> Level:
        """The level of the scopes this person's tokens get."""
        return "patient" if self.kind is CallerKind.patient else "user"

    @property
    def description(self) -> str:
        """What the login page tells beside the name."""
        parts = (self.profession, self.unit_name or self.unit, self.organisation_name or self.organisation)
        return ", ".join(part for part in parts if part) or "patient"

    def caller(self, client: Client, scopes: Sequence[str]) -> Caller:
        """The person acting through the client; the assignment is the person's, never the client's."""
        if self.kind is CallerKind.patient:
            return Caller(
                client_id=client.client_id,
                kind=self.kind,
                scopes=frozenset(scopes),
                roles=frozenset(self.roles),
                user_name=self.name,
                person=self.person_key,
                purpose="PATRQT",
                assurance=self.assurance,
            )
        return Caller(
            client_id=client.client_id,
            kind=self.kind,
            scopes=frozenset(scopes),
            roles=frozenset(self.roles),
            organisation=self.organisation,
            organisation_name=self.organisation_name,
            unit=self.unit,
            unit_name=self.unit_name,
            user=self.hsa_id,
            user_name=self.name,
            profession=self.profession,
            purpose="TREAT",
            assurance=self.assurance,
        )


def is_client_id(text: str) -> bool:
    """Whether the text can be a client_id: visible ASCII (RFC 6749 A.1 without the space), an address for instance."""
    return _CLIENT_ID.fullmatch(text) is not None


def is_person_id(text: str) -> bool:
    """Whether the text can be the id of a test person."""
    return _PERSON_ID.fullmatch(text) is not None


def checked_client(client: Client) -> Client:
    """The client with its HSA-id in canonical form. Raises `InvalidRegistration`."""
    if not is_client_id(client.client_id):
        raise InvalidRegistration("a client id has 1 to 200 visible ASCII characters")
    if not client.keys:
        raise InvalidRegistration("a client needs at least one public key")
    for scope in client.scopes:
        if parse_scope(scope) is None:
            raise InvalidRegistration(f"{scope} is no scope such as system/DocumentReference.rs")
    for grant in client.grants:
        if grant not in GRANTS:
            raise InvalidRegistration(f"{grant} is not offered; grants are {', '.join(GRANTS)}")
    if AUTHORIZATION_CODE in client.grants and not client.redirect_uris:
        raise InvalidRegistration("a client that logs people in needs a redirect URI")
    for uri in client.redirect_uris:
        _check_redirect(uri)
    if client.valid_to is not None and client.valid_to <= client.valid_from:
        raise InvalidRegistration("the registration ends before it begins")
    return replace(client, organisation=_hsa(client.organisation))


def checked_person(person: Person) -> Person:
    """The person with HSA-ids in canonical form and default roles. Raises `InvalidRegistration`."""
    if not is_person_id(person.id):
        raise InvalidRegistration("the id of a person has 1 to 100 letters, digits, dots, hyphens and underscores")
    if not 1 <= person.assurance <= 4:
        raise InvalidRegistration("the level of assurance is 1 to 4")
    if person.kind is CallerKind.patient:
        if person.person_key is None:
            raise InvalidRegistration("a patient needs an identifier")
        return replace(person, roles=person.roles or ("patient",))
    if person.kind is not CallerKind.staff or not person.hsa_id or not person.organisation or not person.unit:
        raise InvalidRegistration("a member of staff needs an HSA-id, an organisation and a unit")
    return replace(
        person,
        hsa_id=_hsa(person.hsa_id),
        organisation=_hsa(person.organisation),
        unit=_hsa(person.unit),
        roles=person.roles or ("clinician",),
    )


def _check_redirect(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        raise InvalidRegistration("a redirect URI must be an address") from None
    loopback = parts.scheme == "http" and host in _LOOPBACK
    if (parts.scheme != "https" and not loopback) or not host or parts.fragment or parts.username or not uri.isascii():
        # RFC 9700 2.1: https, but for a client on the same machine; compared as exact text.
        raise InvalidRegistration("a redirect URI is https (http only on this machine), without fragment and user")


def _hsa(text: str) -> str:
    try:
        return parse_hsa_id(text)
    except ValueError as error:
        raise InvalidRegistration(str(error)) from None
