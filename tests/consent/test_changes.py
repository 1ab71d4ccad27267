# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The feed of changes: complete, in order, never losing what a slow transaction writes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Caller
from identifiers.person_key import PersonKeys
from tests.consent.conftest import ANEMONEN, NORR, REGISTER, Answer, Service, consent_service, register_organisations
from tests.support.callers import DENTIST, OPERATOR, SOURCE_NORR, TRANSFER


@pytest.fixture
async def service(engine: AsyncEngine, keys: PersonKeys, tmp_path: Path) -> AsyncIterator[Service]:
    """On a database of its own: the feed is everybody's."""
    await register_organisations(engine, tmp_path)
    async with consent_service(engine, keys) as running_service:
        yield running_service


async def feed(service: Service, cursor: str | None = None, count: int | None = None, **more: Any) -> Answer:
    asked: list[dict[str, Any]] = []
    if cursor is not None:
        asked.append({"name": "cursor", "valueString": cursor})
    if count is not None:
        asked.append({"name": "count", "valueInteger": count})
    body = {"resourceType": "Parameters", **({"parameter": asked} if asked else {})}
    return Answer(await service.send("POST", "/Consent/$changes", body, **{"caller": TRANSFER, **more}))


def seen(answer: Answer) -> list[tuple[Any, ...]]:
    changes = [Answer({"parameter": each["part"]}) for each in answer.parameter if each["name"] == "change"]
    return [tuple(c.value(n) for n in ("kind", "active", "register")) for c in changes]


async def until(service: Service, count: int, cursor: str | None = None) -> Answer:
    """The feed once it holds so many: transactions of other databases on the server hold it back for a moment too."""
    for _ in range(200):
        answer = await feed(service, cursor)
        if len(seen(answer)) >= count:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"the feed never showed {count} changes")


async def test_what_changed_in_order_and_by_pages(service: Service) -> None:
    opposed = await service.give("register-opt-out", REGISTER)
    await service.give("outer-block", NORR)
    await service.end(opposed)
    everything = [
        ("register-opt-out", True, REGISTER),
        ("outer-block", True, None),
        ("register-opt-out", False, REGISTER),
    ]
    answer = await until(service, 3)
    assert seen(answer) == everything
    again = await feed(service, answer.value("cursor"))
    assert (seen(again), again.value("cursor")) == ([], answer.value("cursor"))
    paged, cursor = [], None
    for _ in range(3):
        page = await feed(service, cursor, 1)
        paged += seen(page)
        cursor = page.value("cursor")
    assert paged == everything


async def test_the_same_status_again_is_no_change(service: Service) -> None:
    stored = await service.give("shared-record", ANEMONEN)
    await service.send("PUT", f"/Consent/{stored['id']}", stored)
    ended = await service.end(stored)
    await service.end(ended)
    assert [each[1] for each in seen(await until(service, 2))] == [True, False]


async def test_a_transaction_still_running_holds_the_feed_back(service: Service, engine: AsyncEngine) -> None:
    insert = (
        "INSERT INTO consent.change (person_key, consent_id, kind, active, changed) "
        "VALUES (decode(repeat('00', 16), 'hex'), :id, 'outer-block', true, now())"
    )
    async with engine.connect() as slow:
        await slow.execute(text(insert), {"id": "slow"})
        await service.give("outer-block", NORR)
        answer = await feed(service)
        assert seen(answer) == [], "what the slow one writes would sort before it"
        await slow.commit()
    assert len(seen(await until(service, 2, answer.value("cursor")))) == 2


async def test_nothing_is_lost_while_others_write(service: Service) -> None:
    writers = asyncio.gather(*(service.give("outer-block", NORR) for _ in range(24)))
    found, cursor = 0, None
    while not writers.done() or found < 24:
        page = await feed(service, cursor, 5)
        found += len(seen(page))
        cursor = page.value("cursor")
        await asyncio.sleep(0.02)
    await writers
    assert found == 24


@pytest.mark.parametrize("cursor", ["x", "bm90LW91cnM=", "LTEuMA==", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMA=="])
async def test_a_cursor_that_is_not_ours(service: Service, cursor: str) -> None:
    await feed(service, cursor, expect=400)


@pytest.mark.parametrize("caller", [DENTIST, SOURCE_NORR, None])
async def test_only_transfer_and_operator(service: Service, caller: Caller | None) -> None:
    await feed(service, caller=caller or service.me, expect=403)
    await feed(service, caller=OPERATOR)


@pytest.mark.parametrize("count", [0, -1, 1001])
async def test_the_page_has_a_size(service: Service, count: int) -> None:
    await feed(service, count=count, expect=400)
