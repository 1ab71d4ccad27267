# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One contract for both clients: in process and over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
import uuid

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from consent.client import (
    ConsentChange,
    ConsentClient,
    Disclosure,
    DisclosureMode,
    Entity,
    HttpConsent,
    Operation,
    Question,
)
from consent.local import LocalConsent
from fhir_server.context import Caller, Context
from fhir_server.outcome import Forbidden, NotFound, Unavailable, Unprocessable
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKey, PersonKeys
from provider_catalog.local import LocalCatalog
from tests.consent.conftest import ANEMONEN, ASTRID, BERTIL, NORR, NORR_UNIT, REGISTER, consent, consent_service
from tests.support.callers import DENTIST, TRANSFER, patient, token_of

HELD = Entity(NORR, NORR_UNIT, "alert", datetime(2026, 1, 1, tzinfo=UTC))


def context(caller: Caller) -> Context:
    loop = asyncio.get_running_loop()
    return Context(caller, token_of(caller), datetime.now(UTC), loop.time() + 20, uuid.uuid4().hex, loop.time)


@pytest.fixture(params=["local", "http"])
async def client(
    request: pytest.FixtureRequest, shared_engine: AsyncEngine, own_keys: PersonKeys
) -> AsyncIterator[ConsentClient]:
    if request.param == "local":
        yield LocalConsent(shared_engine, keys=own_keys, catalog=LocalCatalog(shared_engine))
        return
    async with consent_service(shared_engine, own_keys) as service:
        yield HttpConsent(service.http, "/consent/fhir")


@pytest.fixture
def person(own_keys: PersonKeys) -> PersonKey:
    return own_keys.of(ASTRID)


def asks(person: PersonKey, operation: Operation = Operation.read_content) -> Question:
    return Question(person, operation, (HELD,))


async def test_the_whole_way(client: ConsentClient, person: PersonKey) -> None:
    me = context(patient(person))
    asked = context(DENTIST)
    answer = await client.decide(asked, asks(person))
    assert asked.decided
    assert (answer.items[0].reason, answer.unblocked_exist, answer.mode) == (
        "NO_PATIENT_RELATION",
        True,
        DisclosureMode.SE,
    )
    until = await client.state_care_relation(context(DENTIST), person, "Undersökning", 2)
    assert timedelta(hours=1) < until - datetime.now(UTC) <= timedelta(hours=2)
    given = await client.give(me, consent("shared-record", ANEMONEN))
    (decision,) = (await client.decide(context(DENTIST), asks(person))).items
    assert (decision.permitted, decision.disclosure, decision.ground) == (True, Disclosure.full, "consent")
    assert decision.explanation_sv and decision.explanation_en and decision.rule == "svod3.consent"
    block = await client.give(context(patient(person)), consent("outer-block", NORR))
    answer = await client.decide(context(DENTIST), asks(person, Operation.existence))
    assert (answer.unblocked_exist, answer.blocked_exist, answer.items[0].blocked) == (False, True, True)
    assert {each["id"] for each in await client.consents(context(patient(person)))} == {given["id"], block["id"]}
    lifted = await client.withdraw(context(patient(person)), block["id"])
    assert (lifted["status"], lifted["meta"]["versionId"]) == ("inactive", "2")
    assert (await client.decide(context(DENTIST), asks(person))).items[0].permitted


async def feed(client: ConsentClient, consent_id: str) -> list[ConsentChange]:
    """The feed up to a change; transactions of other databases on the server hold it back for a moment."""
    found: list[ConsentChange] = []
    cursor = None
    while not any(each.consent_id == consent_id for each in found):
        page = await client.changes(context(TRANSFER), cursor, 10)
        found += page.items
        if not page.items:
            await asyncio.sleep(0.1)
        cursor = page.cursor
    return found


async def test_obligations_and_registers_travel(client: ConsentClient, person: PersonKey) -> None:
    question = Question(person, Operation.register_transfer, (HELD,), REGISTER)
    assert (await client.decide(context(TRANSFER), question)).items[0].permitted
    stored = await client.give(context(patient(person)), consent("register-opt-out", REGISTER))
    assert (await client.decide(context(TRANSFER), question)).items[0].reason == "REGISTER_OPT_OUT"
    (change,) = [each for each in await feed(client, stored["id"]) if each.person == person]
    assert (change.consent_id, change.active, change.register) == (stored["id"], True, REGISTER)
    own = await client.decide(
        context(DENTIST), Question(person, Operation.read_content, (Entity(ANEMONEN, None, "alert"),))
    )
    assert own.items[0].obligations == ("write-audit",)


async def test_the_same_refusals(client: ConsentClient, person: PersonKey, own_keys: PersonKeys) -> None:
    with pytest.raises(Forbidden) as refused:
        await client.give(context(DENTIST), consent("outer-block", NORR))
    assert refused.value.detail_code == "only-the-patient-blocks"
    with pytest.raises(Unprocessable):
        await client.give(context(patient(person)), consent("outer-block", "SE0000000077-VG"))
    with pytest.raises(Forbidden):
        await client.changes(context(DENTIST), None, 10)
    with pytest.raises(Forbidden):
        await client.state_care_relation(context(patient(person)), person, "Undersökning", 1)
    with pytest.raises(Forbidden):
        await client.consents(context(DENTIST))
    stored = await client.give(context(patient(person)), consent("outer-block", NORR))
    with pytest.raises(NotFound):
        await client.withdraw(context(patient(own_keys.of(BERTIL))), stored["id"])


async def test_a_store_that_cannot_be_reached_is_unavailable(person: PersonKey, keys: PersonKeys) -> None:
    unreachable = create_engine("postgresql://nobody@127.0.0.1:1/none")
    try:
        local = LocalConsent(unreachable, keys=keys, catalog=LocalCatalog(unreachable))
        asked = context(DENTIST)
        with pytest.raises(Unavailable):
            await local.decide(asked, asks(person))
        assert not asked.decided
        async with consent_service(unreachable, keys) as service:
            with pytest.raises(Unavailable):
                await HttpConsent(service.http, "/consent/fhir").decide(asked, asks(person))
        async with httpx2.AsyncClient(trust_env=False) as http:
            with pytest.raises(Unavailable):
                await HttpConsent(http, "http://127.0.0.1:1/consent/fhir").decide(asked, asks(person))
    finally:
        await unreachable.dispose()
