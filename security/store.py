# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The tables of security, and every query on them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
import hashlib
from typing import Any, Final

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncEngine as AsyncEngine

from fhir_server.context import CallerKind
from identifiers.person_key import PersonKey
from security.model.registration import Client, Person

metadata = MetaData(schema="security")

client = Table(
    "client",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("organisation_name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("grants", ARRAY(Text), nullable=False),
    Column("redirect_uris", ARRAY(Text), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("valid_from", DateTime(timezone=True), nullable=False),
    Column("valid_to", DateTime(timezone=True)),
    Column("revoked", DateTime(timezone=True)),
)
client_key = Table(
    "client_key",
    metadata,
    Column("client_id", Text, ForeignKey(client.c.client_id), primary_key=True),
    Column("kid", Text, primary_key=True),
    Column("jwk", JSONB, nullable=False),
    Column("added", DateTime(timezone=True), nullable=False),
    Column("revoked", DateTime(timezone=True)),
)
used_jti = Table(
    "used_jti",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("jti_hash", LargeBinary, primary_key=True),
    Column("expires", DateTime(timezone=True), nullable=False),
)
test_person = Table(
    "test_person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("person_key", LargeBinary),
    Column("hsa_id", Text),
    Column("organisation", Text),
    Column("organisation_name", Text),
    Column("unit", Text),
    Column("unit_name", Text),
    Column("profession", Text),
    Column("roles", ARRAY(Text), nullable=False),
    Column("assurance", Integer, nullable=False),
)
authorization_code = Table(
    "authorization_code",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("client_id", Text, ForeignKey(client.c.client_id), nullable=False),
    Column("person_id", Text, ForeignKey(test_person.c.id), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("challenge", Text, nullable=False),
    Column("scopes", ARRAY(Text)),
    Column("expires", DateTime(timezone=True), nullable=False),
    Column("used", DateTime(timezone=True)),
)
signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("public", JSONB, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("retired", DateTime(timezone=True)),
)

_SIGNING_KEY_LOCK: Final = 0x6E64695F6B6579
_KEPT_AFTER_EXPIRY: Final = timedelta(minutes=10)
"""Used ids and codes are kept longer than they could be presented, so that unequal clocks open nothing."""
_PURGE_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code as it was given out."""

    client_id: str
    person_id: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...] | None
    """What was asked for; None: all that is registered."""
    expires: datetime


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs access tokens; `sealed` is its private JWK, encrypted."""

    kid: str
    public: Mapping[str, Any]
    sealed: bytes
    created: datetime
    retired: datetime | None


class SecurityStore:
    """What the authorization server keeps."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._purged: datetime | None = None

    async def client(self, client_id: str) -> Client | None:
        """The client with its keys that are not revoked, or None."""
        keys = (
            select(func.coalesce(func.jsonb_object_agg(client_key.c.kid, client_key.c.jwk), func.jsonb_build_object()))
            .where(client_key.c.client_id == client.c.client_id, client_key.c.revoked.is_(None))
            .scalar_subquery()
        )
        statement = select(client, keys.label("keys")).where(client.c.client_id == client_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else _client(row)

    async def clients(self) -> list[Client]:
        """Every client, by id, without keys."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(client).order_by(client.c.client_id))).mappings().all()
        return [_client(row) for row in rows]

    async def put_client(self, new: Client, now: datetime) -> None:
        """Registers the client, or brings its registration to this state; keys left out are revoked."""
        values = {name: value for name, value in asdict(new).items() if name != "keys"}
        row = insert(client).values(**values)
        async with self._engine.begin() as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=["client_id"], set_=values))
            await connection.execute(
                update(client_key)
                .where(
                    client_key.c.client_id == new.client_id,
                    client_key.c.kid.not_in(list(new.keys)),
                    client_key.c.revoked.is_(None),
                )
                .values(revoked=now)
            )
            for kid, jwk in new.keys.items():
                key = insert(client_key).values(client_id=new.client_id, kid=kid, jwk=dict(jwk), added=now)
                await connection.execute(
                    key.on_conflict_do_update(
                        index_elements=["client_id", "kid"], set_={"jwk": key.excluded.jwk, "revoked": None}
                    )
                )

    async def revoke_client(self, client_id: str, now: datetime) -> bool:
        """Ends the client; a second time changes nothing. False if it is not registered."""
        statement = (
            update(client)
            .where(client.c.client_id == client_id)
            .values(revoked=func.coalesce(client.c.revoked, now))
            .returning(client.c.client_id)
        )
        async with self._engine.begin() as connection:
            return (await connection.execute(statement)).first() is not None

    async def use_jti(self, client_id: str, jti: str, expires: datetime, now: datetime) -> bool:
        """Marks the id of an assertion as used; False if it was. The unique row decides between processes."""
        statement = (
            insert(used_jti)
            .values(client_id=client_id, jti_hash=_hash(jti), expires=expires)
            .on_conflict_do_nothing()
            .returning(used_jti.c.expires)
        )
        async with self._engine.begin() as connection:
            fresh = (await connection.execute(statement)).first() is not None
            if self._purged is None or now - self._purged > _PURGE_EVERY:
                self._purged = now
                for table in (used_jti, authorization_code):
                    await connection.execute(delete(table).where(table.c.expires < now - _KEPT_AFTER_EXPIRY))
        return fresh

    async def put_person(self, person: Person) -> None:
        """Registers a person of the test identity provider, or brings the registration to this state."""
        values = {**asdict(person), "kind": person.kind.value}
        values["person_key"] = None if person.person_key is None else person.person_key.value
        row = insert(test_person).values(**values)
        async with self._engine.begin() as connection:
            await connection.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))

    async def person(self, person_id: str) -> Person | None:
        """The person, or None."""
        async with self._engine.connect() as connection:
            row = (
                (await connection.execute(select(test_person).where(test_person.c.id == person_id))).mappings().first()
            )
        return None if row is None else _person(row)

    async def people(self) -> list[Person]:
        """Every person, patients last, by name."""
        statement = select(test_person).order_by(test_person.c.kind.desc(), test_person.c.name, test_person.c.id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [_person(row) for row in rows]

    async def put_code(self, code: str, given: Code) -> None:
        """Keeps a code that was given out; only its hash is stored."""
        async with self._engine.begin() as connection:
            await connection.execute(insert(authorization_code).values(code_hash=_hash(code), **asdict(given)))

    async def use_code(self, code: str, now: datetime) -> Code | None:
        """The code, taken: the second who asks, and all who ask too late, get None."""
        statement = (
            update(authorization_code)
            .where(
                authorization_code.c.code_hash == _hash(code),
                authorization_code.c.used.is_(None),
                authorization_code.c.expires > now,
            )
            .values(used=now)
            .returning(authorization_code)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        scopes = None if row.scopes is None else tuple(row.scopes)
        return Code(row.client_id, row.person_id, row.redirect_uri, row.challenge, scopes, row.expires)

    async def signing_keys(self, not_retired_before: datetime) -> list[SigningKey]:
        """Keys that are in use or were retired after the moment, newest first."""
        statement = (
            select(signing_key)
            .where(signing_key.c.retired.is_(None) | (signing_key.c.retired > not_retired_before))
            .order_by(signing_key.c.created.desc(), signing_key.c.kid)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(statement)).all()
        return [SigningKey(row.kid, row.public, bytes(row.sealed), row.created, row.retired) for row in rows]

    async def add_signing_key(self, new: SigningKey, known: frozenset[str]) -> None:
        """Adds a key unless another process added one that is not among `known` meanwhile."""
        async with self._engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_SIGNING_KEY_LOCK)))
            present = (await connection.execute(select(signing_key.c.kid))).scalars().all()
            if set(present) <= known:
                await connection.execute(insert(signing_key).values(**asdict(new)))

    async def retire_signing_key(self, kid: str, now: datetime) -> None:
        """Stops a key from signing; tokens it signed hold until the grace time is over."""
        async with self._engine.begin() as connection:
            await connection.execute(update(signing_key).where(signing_key.c.kid == kid).values(retired=now))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _client(row: Mapping[Any, Any]) -> Client:
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        organisation=row["organisation"],
        organisation_name=row["organisation_name"],
        scopes=tuple(row["scopes"]),
        roles=tuple(row["roles"]),
        grants=tuple(row["grants"]),
        redirect_uris=tuple(row["redirect_uris"]),
        purpose=row["purpose"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        revoked=row["revoked"],
        keys=row.get("keys", {}),
    )


def _person(row: Mapping[Any, Any]) -> Person:
    values = {**row, "kind": CallerKind(row["kind"]), "roles": tuple(row["roles"])}
    values["person_key"] = None if row["person_key"] is None else PersonKey(bytes(row["person_key"]))
    return Person(**values)
