# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Reads the files of a registration, and writes registrations; what the commands do."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
import os
from pathlib import Path
from typing import Any

import orjson

from fhir_server.commands import CommandError
from fhir_server.storage.database import create_engine
from security import jose
from security.model.registration import Client, InvalidRegistration, Person, checked_client, checked_person
from security.store import SecurityStore


def read_keys(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Public keys by kid from JWKS or JWK files; of a private key the public part is taken. Raises `CommandError`."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        try:
            value = orjson.loads(file.read_bytes())
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None
        except ValueError:
            raise CommandError(f"{file} is no JSON") from None
        listed = value.get("keys", [value]) if isinstance(value, dict) else None
        if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
            raise CommandError(f"{file} holds no JWK and no JWKS")
        for each in listed:
            try:
                public = jose.public_jwk(each)
            except jose.BadKey as error:
                raise CommandError(f"{file}: {error}") from None
            if public["kid"] in found:
                raise CommandError(f"{file}: two keys have the kid {public['kid']}")
            found[public["kid"]] = public
    return found


def create_key(file: Path, kid: str | None) -> Mapping[str, Any]:
    """The private key in `file`, made with mode 0600 if it is not there. Raises `CommandError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: of two processes one makes the key, and a key is never overwritten.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_private(file)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    key = jose.new_key(kid)
    with os.fdopen(handle, "wb") as out:
        out.write(orjson.dumps(key, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return key


def jwks(key: Mapping[str, Any]) -> bytes:
    """The public part as JWKS file."""
    value = {"keys": [jose.public_jwk(key)]}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def kid(key: Mapping[str, Any]) -> str:
    """The id under which the key is registered."""
    return str(jose.public_jwk(key)["kid"])


async def put_client(url: str, client: Client) -> Client:
    """Registers a client in the database at `url`. Raises `CommandError` if a rule is broken."""
    try:
        checked = checked_client(client)
    except InvalidRegistration as error:
        raise CommandError(str(error)) from None
    engine = create_engine(url, size=1)
    try:
        await SecurityStore(engine).put_client(checked, datetime.now(UTC))
    finally:
        await engine.dispose()
    return checked


async def put_person(url: str, person: Person) -> Person:
    """Registers a test person in the database at `url`. Raises `CommandError` if a rule is broken."""
    try:
        checked = checked_person(person)
    except InvalidRegistration as error:
        raise CommandError(str(error)) from None
    engine = create_engine(url, size=1)
    try:
        await SecurityStore(engine).put_person(checked)
    finally:
        await engine.dispose()
    return checked


async def clients(url: str) -> list[Client]:
    """All clients in the database at `url`."""
    engine = create_engine(url, size=1)
    try:
        return await SecurityStore(engine).clients()
    finally:
        await engine.dispose()


async def revoke_client(url: str, client_id: str) -> None:
    """Ends a client. Raises `CommandError` if it is not registered."""
    engine = create_engine(url, size=1)
    try:
        if not await SecurityStore(engine).revoke_client(client_id, datetime.now(UTC)):
            raise CommandError(f"no client {client_id} is registered; ndi security client list shows them")
    finally:
        await engine.dispose()


def _read_private(file: Path) -> Mapping[str, Any]:
    try:
        value = orjson.loads(file.read_bytes())
        jose.private_key(value)
    except (OSError, ValueError, AttributeError):
        raise CommandError(f"{file} is there already and is no private JWK; remove it or choose another name") from None
    if not isinstance(value, dict):
        raise CommandError(f"{file} is there already and is no private JWK; remove it or choose another name")
    return value
