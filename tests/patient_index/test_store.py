# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The store against the sequential model: replays, order, races; and which partitions a statement touches."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
import os
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from identifiers.person_key import PersonKey
from patient_index.model import Registration, StoredEntry, merged
from patient_index.store import IndexStore
from patient_index.store.statements import ENTRIES_OF_PERSON, UPSERT
from patient_index.store.tables import STATED

pytestmark = pytest.mark.servers

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = int(os.environ.get("NDI_TEST_ROUNDS", "60"))


def row(person: PersonKey, business_object: str = "bo", **changed: Any) -> Registration:
    return replace(
        Registration(
            person=person,
            custodian="SE0000000011-VG",
            unit="SE0000000011-VE1",
            information_type="alert",
            source_system="SE0000000011-SYS",
            business_object=business_object,
            service_domain="riv:clinicalprocess:healthcond:description",
            categorization="upp",
            most_recent=START,
        ),
        **changed,
    )


def someone() -> PersonKey:
    return PersonKey(os.urandom(16))


messages = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["current", "superseded", "withdrawn"]),
        st.one_of(st.none(), st.integers(0, 4)),
        st.one_of(st.none(), st.integers(1, 2)),
    ),
    max_size=14,
)


def statement(person: PersonKey, told: tuple[str, Any, int | None, int | None]) -> Registration:
    business_object, status, day, items = told
    moment = None if day is None else START + timedelta(days=day)
    return row(person, business_object, status=status, most_recent=moment, items=items)


async def keep(store: IndexStore, rows: Sequence[Registration], now: datetime) -> list[StoredEntry]:
    async with store.writing() as write:
        return await write.apply(rows, now=now)


async def all_of(engine: AsyncEngine, person: PersonKey) -> dict[str, tuple[Any, ...]]:
    async with engine.connect() as connection:
        found = await connection.execute(
            text("SELECT * FROM patient_index.entry WHERE person_key = :key"), {"key": person.value}
        )
        return {
            each.business_object: (
                each.status, each.most_recent, each.items, each.created, each.updated, each.version
            )
            for each in found
        }  # fmt: skip


def as_row(each: StoredEntry) -> tuple[Any, ...]:
    said = each.registration
    return said.status, said.most_recent, said.items, each.created, each.updated, each.version


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=messages)
async def test_any_sequence_ends_as_in_the_model(told: list[Any], lasting_engine: AsyncEngine) -> None:
    store, person = IndexStore(lasting_engine), someone()
    model: dict[str, StoredEntry] = {}
    for minute, each in enumerate(told):
        now, incoming = NOW + timedelta(minutes=minute), statement(person, each)
        before = model.get(each[0])
        after = merged(incoming, before, now=now)
        if after is not None:
            model[each[0]] = after
        changed = await keep(store, [incoming], now)
        assert changed == ([] if after == before or after is None else [after])
        assert await keep(store, [incoming], now + timedelta(seconds=1)) == []
    assert await all_of(lasting_engine, person) == {name: as_row(each) for name, each in model.items()}


@settings(max_examples=ROUNDS // 2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(st.integers(0, 300), min_size=2, max_size=8, unique=True), data=st.data())
async def test_messages_of_different_age_end_the_same_in_any_order_and_at_once(
    days: list[int], data: st.DataObject, lasting_engine: AsyncEngine
) -> None:
    store, person = IndexStore(lasting_engine), someone()
    statuses = data.draw(st.lists(st.sampled_from(["current", "withdrawn"]), min_size=len(days), max_size=len(days)))
    rows = [
        row(person, status=status, most_recent=START + timedelta(days=day))
        for day, status in zip(days, statuses, strict=True)
    ]
    await asyncio.gather(*(keep(store, [each], NOW) for each in rows * 2))
    newest = max(rows, key=lambda each: each.most_recent or START)
    stored = (await all_of(lasting_engine, person))["bo"]
    assert stored[:2] == (newest.status, newest.most_recent)


async def test_batches_in_opposite_order_never_wait_for_each_other(lasting_engine: AsyncEngine) -> None:
    store, persons = IndexStore(lasting_engine), [someone() for _ in range(20)]
    for attempt in range(8):
        moment = START + timedelta(days=attempt)
        rows = [row(each, most_recent=moment, items=attempt) for each in persons]
        await asyncio.gather(*(keep(store, rows[::step], NOW) for step in (1, -1, 1, -1)))
    for each in persons:
        assert (await all_of(lasting_engine, each))["bo"][2] == 7


async def test_history_holds_every_version(lasting_engine: AsyncEngine) -> None:
    store, person = IndexStore(lasting_engine), someone()
    for day in (0, 2, 1, 2, 3):
        await keep(store, [row(person, most_recent=START + timedelta(days=day))], NOW)
    async with lasting_engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT version, most_recent FROM patient_index.entry_history WHERE person_key = :key ORDER BY version"
            ),
            {"key": person.value},
        )
        assert [tuple(each) for each in found] == [
            (1, START), (2, START + timedelta(days=2)), (3, START + timedelta(days=3)),
        ]  # fmt: skip


def touched(node: Mapping[str, Any], table: str) -> set[str]:
    """Partitions of the table that a plan really read."""
    found = set()
    if re.fullmatch(rf"{table}_\d\d", str(node.get("Relation Name", ""))) and node.get("Actual Loops", 0) > 0:
        found.add(str(node["Relation Name"]))
    for child in node.get("Plans", ()):
        found |= touched(child, table)
    return found


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_a_persons_entries_are_read_from_one_partition(lasting_engine: AsyncEngine, mode: str) -> None:
    person = someone()
    await keep(IndexStore(lasting_engine), [row(person)], NOW)
    compiled = ENTRIES_OF_PERSON.compile(dialect=lasting_engine.dialect)
    async with lasting_engine.connect() as connection:
        await connection.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
        await connection.execute(text(f"PREPARE read_person (bytea, text) AS {compiled}"))
        plan = await connection.execute(
            text(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE read_person ('\\x{person.hex()}'::bytea, 'current')")
        )
        (found,) = _json(plan.scalar_one())
        await connection.execute(text("DEALLOCATE read_person"))
    assert found["Plan"]["Actual Rows"] == 1
    assert len(touched(found["Plan"], "entry")) == 1


async def test_a_registration_touches_the_partition_of_its_person(lasting_engine: AsyncEngine) -> None:
    person = someone()
    rows = [row(person)]
    compiled = UPSERT.compile(dialect=lasting_engine.dialect)
    values = {"person_key": person.value, "entry_key": rows[0].entry_key}
    named = {name: getattr(rows[0], name, values.get(name)) for name, _, _ in STATED}
    bound = {f"{name}s": [value] for name, value in {**named, **values}.items()}
    async with lasting_engine.begin() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        parameters = compiled.construct_params({**bound, "now": NOW})
        ordered = [parameters[name] for name in compiled.positiontup or ()]
        plan = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}", *ordered)
    (found,) = _json(plan)
    # Each row goes to the partition of its key, and the conflict is looked for there: no other is read.
    assert touched(found["Plan"], "entry") == set()
    assert len(await all_of(lasting_engine, person)) == 1


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
