# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What is left of a caller who is not there to ask: what its client is registered for now."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fhir_server.context import Caller, CallerKind
from security.local import ClientStanding
from security.model.registration import Client
from tests.security.conftest import Server

NOW = datetime.now(UTC)
CLIENT = Client(
    "standing", "A system", "SE-A", "Region A", ("system/Observation.rs", "user/*.rs"), ("source", "gateway"),
    ("client_credentials",), (), "HOPERAT", NOW - timedelta(days=1),
)  # fmt: skip
SYSTEM = Caller(
    "standing", CallerKind.system, frozenset({"system/*.cruds"}), frozenset({"source", "operator"}), organisation="SE-A"
)
NURSE = Caller("standing", CallerKind.staff, frozenset({"user/Observation.r"}), frozenset({"clinician"}), "SE-B")


async def test_scopes_and_roles_are_cut_down_to_the_registration(authority: Server) -> None:
    standing = ClientStanding(authority.engine)
    await authority.store.put_client(CLIENT, NOW)
    assert await standing(SYSTEM) == replace(
        SYSTEM, scopes=frozenset({"system/Observation.rs"}), roles=frozenset({"source"})
    )
    assert await standing(NURSE) == NURSE


async def test_a_client_that_is_not_there_leaves_nothing(authority: Server) -> None:
    standing = ClientStanding(authority.engine)
    assert await standing(replace(SYSTEM, client_id="unknown")) is None
    await authority.store.put_client(replace(CLIENT, organisation="SE-C"), NOW)
    assert await standing(SYSTEM) is None
    await authority.store.put_client(replace(CLIENT, valid_to=NOW), NOW)
    assert await standing(SYSTEM) is None
    await authority.store.put_client(CLIENT, NOW)
    await authority.store.revoke_client("standing", NOW)
    assert await standing(SYSTEM) is None
    assert await standing(NURSE) is None
