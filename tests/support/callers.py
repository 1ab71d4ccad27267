# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Callers and sinks for tests of services other than security and audit: real HTTP, no cryptography."""

import base64
from collections.abc import Sequence
from dataclasses import replace
import json

from fhir_server.context import AuditEntry, Caller, CallerKind, Context
from fhir_server.outcome import Unauthenticated
from identifiers.person_key import PersonKey


def token_of(caller: Caller) -> str:
    """The caller as a token that `TestAuthenticator` reads back."""
    value = {
        "client_id": caller.client_id,
        "kind": caller.kind.value,
        "scopes": sorted(caller.scopes),
        "roles": sorted(caller.roles),
        "person": caller.person.hex() if caller.person else None,
        **{
            name: getattr(caller, name)
            for name in (
                "organisation", "organisation_name", "unit", "unit_name", "user", "user_name",
                "profession", "purpose", "assurance",
            )
        },
    }  # fmt: skip
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def bearer(caller: Caller) -> dict[str, str]:
    """Request headers for the caller."""
    return {"Authorization": f"Bearer {token_of(caller)}"}


class TestAuthenticator:
    """Reads tokens made by `token_of`."""

    __test__ = False

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of the token. Raises `Unauthenticated`."""
        if authorization is None or not authorization.startswith("Bearer "):
            raise Unauthenticated("send a bearer token", headers={"WWW-Authenticate": "Bearer"})
        try:
            value = json.loads(base64.urlsafe_b64decode(authorization.removeprefix("Bearer ")))
        except ValueError:
            raise Unauthenticated("the token does not hold", headers={"WWW-Authenticate": "Bearer"}) from None
        person = value.pop("person")
        return Caller(
            kind=CallerKind(value.pop("kind")),
            scopes=frozenset(value.pop("scopes")),
            roles=frozenset(value.pop("roles")),
            person=PersonKey.from_hex(person) if person else None,
            **value,
        )


class ListAudit:
    """Keeps entries in a list, for tests that look at what was recorded."""

    def __init__(self) -> None:
        self.entries: list[tuple[Caller, AuditEntry]] = []

    async def append(self, context: Context, entries: Sequence[AuditEntry]) -> None:
        """Keeps them."""
        self.entries.extend((context.caller, entry) for entry in entries)


def source(provider: str, name: str = "Region Norr") -> Caller:
    """A registered source system of a care provider, e.g. `source("SE0000000011-VG")`."""
    return Caller(
        client_id=f"source-{provider.lower()}",
        kind=CallerKind.system,
        scopes=frozenset(
            {"system/DocumentReference.cruds", "system/Organization.cruds", "system/Endpoint.cruds",
             "system/Location.cruds", "system/HealthcareService.cruds"}
        ),
        roles=frozenset({"source"}),
        organisation=provider,
        organisation_name=name,
        purpose="HOPERAT",
    )  # fmt: skip


SOURCE_NORR = source("SE0000000011-VG", "Region Norr")
SOURCE_MITT = source("SE0000000022-VG", "Region Mitt")
SOURCE_SYD = source("SE0000000033-VG", "Region Syd")

DENTIST = Caller(
    client_id="anemonen-ehr",
    kind=CallerKind.staff,
    scopes=frozenset({"user/*.cruds"}),
    roles=frozenset({"clinician"}),
    organisation="SE0000000044-VG",
    organisation_name="Tandkliniken Anemonen AB",
    unit="SE0000000044-VE1",
    unit_name="Tandkliniken Anemonen",
    user="SE0000000044-D1",
    user_name="Disa Dentström",
    profession="dentist",
    purpose="TREAT",
    assurance=3,
)

OPERATOR = Caller(
    client_id="operator",
    kind=CallerKind.system,
    scopes=frozenset({"system/*.cruds"}),
    roles=frozenset({"operator"}),
    organisation="SE0000000099-OP",
    organisation_name="ndi",
    purpose="HOPERAT",
)

TRANSFER = replace(OPERATOR, client_id="ndi-transfer", roles=frozenset({"transfer"}), purpose="HQUALIMP")


def patient(person: PersonKey) -> Caller:
    """The person herself, logged in at the portal."""
    return Caller(
        client_id="ndi-portal",
        kind=CallerKind.patient,
        scopes=frozenset({"patient/*.cruds"}),
        roles=frozenset({"patient"}),
        person=person,
        user_name="Astrid Exempel",
        purpose="PATRQT",
        assurance=3,
    )
