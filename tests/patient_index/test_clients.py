# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One contract for both clients: what `LocalIndex` answers, `HttpIndex` answers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from fhir_server.context import Caller, Context
from fhir_server.crypto import Cipher
from fhir_server.outcome import BadGateway, DeadlineExceeded, FhirError, Forbidden, Invalid, Unavailable
from identifiers import systems
from identifiers.person_number import PersonIdentifier
from patient_index.client import HttpIndex, IndexClient
from patient_index.local import LocalIndex
from tests.patient_index.world import ASTRID, PROVIDER, SYSTEM, UNIT, Index, entry_document
from tests.support.callers import DENTIST, TRANSFER, patient, token_of

PERSON = PersonIdentifier(systems.PERSONNUMMER, ASTRID)


@pytest.fixture(params=["local", "http"])
async def client(request: pytest.FixtureRequest, index: Index, cipher: Cipher) -> AsyncIterator[IndexClient]:
    if request.param == "local":
        yield LocalIndex(
            engine=index.engine, keys=index.keys, cipher=cipher, consent=index.consent, catalog=index.catalog
        )
    else:
        yield HttpIndex(index.http, f"{index.http.base_url}/patient-index/fhir")


def context(caller: Caller, *, seconds: float = 20) -> Context:
    return Context(
        caller=caller,
        token=token_of(caller),
        now=datetime.now(UTC),
        deadline=asyncio.get_running_loop().time() + seconds,
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )


async def test_locate(client: IndexClient, index: Index) -> None:
    period = {"period": {"start": "2026-01-01T00:00:00Z"}}
    await index.register(entry_document(context=period))
    asked = context(DENTIST)
    before = await client.locate(asked, PERSON)
    assert asked.decided
    assert (before.entries, before.unblocked_exist, before.reason) == ((), True, "NO_CONSENT")
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    located = await client.locate(asked, PERSON, ["alert"])
    (entry,) = located.entries
    assert (entry.custodian, entry.unit, entry.source_system, entry.items) == (PROVIDER, UNIT, SYSTEM, 1)
    assert (entry.person, entry.most_recent) == (index.key(), datetime(2026, 3, 1, 9, tzinfo=UTC))
    assert (entry.period_start, entry.period_end) == (datetime(2026, 1, 1, tzinfo=UTC), None)
    assert entry.endpoint == index.catalog.endpoints[SYSTEM]
    assert (entry.custodian_name, entry.unit_name) == ("Region Norr", "Medicinkliniken Norr")
    assert (located.coverage.connected, located.coverage.not_connected_names) == (1, ("Hälsocentralen Väst AB",))
    assert (located.reason, located.explanation_sv, located.law) == ("SVOD_3_1", "Skäl: SVOD_3_1", "SVOD 3 kap. 1 §")
    assert (located.blocked_exist, located.mode) == (False, index.consent.mode)
    assert (await client.locate(asked, PERSON, ["imaging"])).entries == ()


async def test_holders(client: IndexClient, index: Index) -> None:
    await index.register(entry_document())
    (entry,) = await client.holders(context(patient(index.key())))
    assert (entry.unit_name, entry.endpoint) == ("Medicinkliniken Norr", None)


async def test_changes(client: IndexClient, index: Index) -> None:
    await index.register(entry_document())
    asked = context(TRANSFER, seconds=60)
    page = await client.changes(asked, None, ["alert"], 10)
    while not page.items:
        await asyncio.sleep(0.05)
        page = await client.changes(asked, page.cursor, ["alert"], 10)
    (change,) = page.items
    assert (change.identifier, change.deleted, change.entry.unit) == (PERSON, False, UNIT)
    assert (await client.changes(asked, page.cursor, ["alert"], 10)).items == ()


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (replace(DENTIST, scopes=frozenset()), Forbidden),
        (replace(TRANSFER, roles=frozenset({"operator"})), Forbidden),
    ],
)
async def test_scope_and_role_are_asked_for(
    client: IndexClient, caller: Caller, expected: type[FhirError], index: Index
) -> None:
    with pytest.raises(expected):
        await client.changes(context(caller), None, (), 10)
    with pytest.raises(Forbidden):
        await client.holders(context(replace(caller, scopes=frozenset())))
    with pytest.raises(Forbidden):
        await client.locate(context(replace(caller, scopes=frozenset())), PERSON)


async def test_errors_come_back_as_themselves(client: IndexClient, index: Index) -> None:
    with pytest.raises(Forbidden) as forbidden:
        await client.holders(context(DENTIST))
    assert forbidden.value.detail_code == "not-the-person"
    with pytest.raises(Invalid) as invalid:
        await client.changes(context(TRANSFER), "x", (), 10)
    assert invalid.value.detail_code == "invalid-cursor"
    index.consent.available = False
    with pytest.raises(Unavailable):
        await client.locate(context(DENTIST), PERSON)


async def test_over_http_a_dead_index_and_a_strange_answer_are_told() -> None:
    async with httpx2.AsyncClient() as http:
        with pytest.raises(Unavailable):
            await HttpIndex(http, "http://127.0.0.1:1").locate(context(DENTIST), PERSON)
        with pytest.raises(DeadlineExceeded):
            await HttpIndex(http, "http://127.0.0.1:1").locate(context(DENTIST, seconds=0), PERSON)

    def strange(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"resourceType": "Parameters", "parameter": [{"name": "entry"}]})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(strange)) as http:
        client = HttpIndex(http, "http://index.example")
        with pytest.raises(BadGateway):
            await client.locate(context(DENTIST), PERSON)
        with pytest.raises(BadGateway):
            await client.holders(context(DENTIST))
        with pytest.raises(BadGateway):
            await client.changes(context(TRANSFER), None, (), 1)
