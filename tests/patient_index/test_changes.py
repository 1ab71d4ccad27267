# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$changes: nothing is lost, whatever commits when; nobody but transfer reads it.

A transaction of another test, in whatever database of the server, holds the feed back for as long as it runs: what
must come is waited for.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.crypto import Cipher
from identifiers import systems
from identifiers.person_key import PersonKeys
from identifiers.person_number import PersonIdentifier
from patient_index.model import Registration
from patient_index.store import FeedRow, IndexStore, Position, SealedPerson, Write
from tests.patient_index.test_store import NOW, START, row
from tests.patient_index.world import ASTRID, BERTIL, PROVIDER, UNIT, Index, entry_document, flat
from tests.support.callers import DENTIST, OPERATOR, SOURCE_NORR, TRANSFER

# Alone: a long transaction of another test, anywhere on the server, would hold the feed back.
pytestmark = [pytest.mark.servers, pytest.mark.alone]


async def changes(index: Index, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    asked = [{"name": "cursor", "valueString": cursor}] if cursor is not None else []
    asked += [{"name": "count", "valueInteger": more["count"]}] if "count" in more else []
    asked += [{"name": "informationType", "valueCode": more["kind"]}] if "kind" in more else []
    answer = await index.ask("DocumentReference/$changes", TRANSFER, *asked)
    assert answer.status_code == 200, answer.text
    return {"change": [], **flat(answer.json())}


async def arrived(index: Index, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    """The first page that is not empty."""
    async with asyncio.timeout(60):
        while True:
            page = await changes(index, cursor, **more)
            if page["change"]:
                return page
            await asyncio.sleep(0.05)


async def read(store: IndexStore, after: Position | None, expected: int) -> tuple[list[FeedRow], Position]:
    """So many changes, and the position after them."""
    seen: list[FeedRow] = []
    async with asyncio.timeout(60):
        while True:
            told, after = await store.changes(after, (), 100)
            seen += told
            if len(seen) >= expected:
                return seen, after
            await asyncio.sleep(0.05)


async def test_a_change_tells_person_entry_and_whether_it_is_gone(index: Index) -> None:
    await index.register(entry_document())
    page = await arrived(index)
    (change,) = page["change"]
    assert change["identifier"] == {"system": systems.PERSONNUMMER, "value": ASTRID}
    assert change["deleted"] is False
    (entry,) = change["entry"]
    assert (entry["custodian"], entry["unit"], entry["businessObject"]) == (PROVIDER, UNIT, "bo-1")
    assert (await changes(index, page["cursor"]))["change"] == []
    await index.register(entry_document(status="entered-in-error", when="2026-03-02T10:00:00Z"))
    assert [each["deleted"] for each in (await arrived(index, page["cursor"]))["change"]] == [True]


async def test_a_replay_tells_nothing_new(index: Index) -> None:
    await index.register(entry_document())
    cursor = (await arrived(index))["cursor"]
    await index.register(entry_document())
    await index.register(entry_document("bo-2"))
    told = (await arrived(index, cursor))["change"]
    assert [each["entry"][0]["businessObject"] for each in told] == ["bo-2"]


async def test_pages_and_types(index: Index) -> None:
    for number in range(5):
        await index.register(entry_document(f"bo-{number}", number=BERTIL, kind="imaging" if number == 3 else "alert"))
    seen: list[str] = []
    cursor = None
    while len(seen) < 5:
        page = await arrived(index, cursor, count=2)
        cursor = page["cursor"]
        assert len(page["change"]) <= 2
        seen += [each["entry"][0]["businessObject"] for each in page["change"]]
    assert sorted(seen) == [f"bo-{number}" for number in range(5)]
    assert [each["entry"][0]["businessObject"] for each in (await arrived(index, kind="imaging"))["change"]] == ["bo-3"]


@pytest.mark.parametrize("caller", [DENTIST, OPERATOR, SOURCE_NORR, replace(TRANSFER, scopes=frozenset())])
async def test_only_transfer_reads_the_feed(index: Index, caller: Any) -> None:
    assert (await index.ask("DocumentReference/$changes", caller)).status_code == 403


@pytest.mark.parametrize("cursor", ["", "x", "åäö", "AAAA", "A" * 300])
async def test_a_cursor_of_somebody_else_is_refused(index: Index, cursor: str) -> None:
    answer = await index.ask("DocumentReference/$changes", TRANSFER, {"name": "cursor", "valueString": cursor})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "invalid-cursor"


@pytest.mark.parametrize("count", [0, -1, 501])
async def test_a_page_has_a_size(index: Index, count: int) -> None:
    answer = await index.ask("DocumentReference/$changes", TRANSFER, {"name": "count", "valueInteger": count})
    assert answer.status_code == 400


async def sealed(write: Write, keys: PersonKeys, cipher: Cipher, made: Registration) -> None:
    await write.seal([SealedPerson(made.person, systems.PERSONNUMMER, cipher.encrypt(b"x", made.person.value), 1)])


async def test_a_transaction_that_commits_late_is_not_overtaken(
    engine: AsyncEngine, keys: PersonKeys, cipher: Cipher
) -> None:
    store = IndexStore(engine)
    person = keys.of(PersonIdentifier(systems.PERSONNUMMER, ASTRID))
    early, late = row(person, "early"), row(person, "late")
    async with store.writing() as first:
        await sealed(first, keys, cipher, early)
    async with store.writing() as slow:
        await slow.apply([early], now=NOW)
        async with store.writing() as quick:
            await quick.apply([late], now=NOW)
        told, position = await store.changes(None, (), 100)
        assert told == []
    told, position = await read(store, position, 2)
    assert [each.entry.registration.business_object for each in told] == ["early", "late"]
    assert (await store.changes(position, (), 100))[0] == []


async def test_an_entry_never_goes_back_to_an_earlier_version(
    engine: AsyncEngine, keys: PersonKeys, cipher: Cipher
) -> None:
    """The transaction with the lower number changes the row last: told last is what is stored."""
    store = IndexStore(engine)
    person = keys.of(PersonIdentifier(systems.PERSONNUMMER, ASTRID))
    async with store.writing() as write:
        await sealed(write, keys, cipher, row(person))
    async with store.writing() as low:
        await low.apply([row(person, "other")], now=NOW)  # takes the lower transaction number
        async with store.writing() as high:
            await high.apply([row(person, "shared", items=1)], now=NOW)
        await low.apply([row(person, "shared", items=2, most_recent=START + timedelta(days=1))], now=NOW)
    told, _ = await read(store, None, 2)
    shared = [each.entry for each in told if each.entry.registration.business_object == "shared"]
    assert shared[-1].version == 2
    assert shared[-1].registration.items == 2
    assert [each.version for each in shared] == sorted(each.version for each in shared)


async def test_nothing_is_lost_under_many_writers(engine: AsyncEngine, keys: PersonKeys, cipher: Cipher) -> None:
    store, chance = IndexStore(engine), random.Random(7)
    person = keys.of(PersonIdentifier(systems.PERSONNUMMER, BERTIL))
    async with store.writing() as write:
        await sealed(write, keys, cipher, row(person))
    names = {f"bo-{number}" for number in range(120)}
    seen: list[str] = []
    done = asyncio.Event()

    async def write_all(mine: list[str]) -> None:
        for name in mine:
            async with store.writing() as write:
                await write.apply([row(person, name)], now=datetime.now(UTC))
                await asyncio.sleep(chance.random() / 100)

    async def read_all() -> None:
        position: Position | None = None
        while not done.is_set() or len(seen) < len(names):
            told, position = await store.changes(position, (), 7)
            seen.extend(each.entry.registration.business_object for each in told)
            await asyncio.sleep(0.002)

    reader = asyncio.create_task(read_all())
    ordered = sorted(names)
    await asyncio.gather(*(write_all(ordered[start::6]) for start in range(6)))
    done.set()
    async with asyncio.timeout(60):
        await reader
    assert sorted(seen) == ordered
