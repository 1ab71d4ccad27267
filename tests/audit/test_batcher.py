# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The batcher: what was answered is on disk, once; what cannot be kept is not answered."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
from hypothesis import given
from hypothesis import strategies as st
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from audit.local import AuditBatcher
from fhir_server.audit_row import audit_json, audit_row
from fhir_server.context import AuditEntry, Caller, CallerKind, Context
from fhir_server.outcome import Unavailable
from tests.audit.conftest import ASTRID, context, events, read
from tests.support.callers import DENTIST, patient
from tests.support.running import free_port


async def test_every_field_is_kept(batcher: AuditBatcher, engine: AsyncEngine) -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    await batcher.append(context(now=now, trace="ab" * 16), [read()])
    (row,) = await events(engine)
    assert row["recorded"] == now
    assert bytes(row["person_key"]) == ASTRID.value
    told = {name: row[name] for name in row if name not in ("id", "recorded", "person_key", "scopes", "roles")}
    assert told == {
        "trace_id": "ab" * 16, "operation": "read", "action": "R", "outcome": "success", "information_type": "alert",
        "holders": ["SE0000000011-VE1", "SE0000000022-VE1"], "ground": "consent", "reason": "CONSENT",
        "law": "SVOD 3 kap. 1 §", "decision": "d-1", "count": 3, "detail": {"ms": 12}, "client_id": "anemonen-ehr",
        "kind": "staff", "organisation": DENTIST.organisation, "organisation_name": DENTIST.organisation_name,
        "unit": DENTIST.unit, "unit_name": DENTIST.unit_name, "user_id": DENTIST.user, "user_name": DENTIST.user_name,
        "profession": "dentist", "caller_person": None, "purpose": "TREAT", "assurance": 3,
    }  # fmt: skip
    assert (row["scopes"], row["roles"]) == (["user/*.cruds"], ["clinician"])
    assert row["id"].version == 7


async def test_a_patients_own_call_names_her_key(batcher: AuditBatcher, engine: AsyncEngine) -> None:
    await batcher.append(context(patient(ASTRID)), [AuditEntry("block-set", "C", person=ASTRID, ground="self")])
    (row,) = await events(engine)
    assert bytes(row["caller_person"]) == ASTRID.value


async def test_many_at_once_share_commits(batcher: AuditBatcher, engine: AsyncEngine) -> None:
    await asyncio.gather(*(batcher.append(context(), [read(), read(None)]) for _ in range(1000)))
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT count(*), count(DISTINCT xmin::text) FROM audit.event"))
        events_kept, commits = found.one()
    assert events_kept == 2000
    assert commits < 50


async def test_nothing_to_keep_takes_no_time(batcher: AuditBatcher) -> None:
    await batcher.append(context(), [])


@pytest.mark.parametrize("rounds", [20])
async def test_a_connection_that_breaks_loses_and_doubles_nothing(
    batcher: AuditBatcher, engine: AsyncEngine, log_url: str, rounds: int
) -> None:
    admin = await asyncpg.connect(log_url)
    kept = 0

    async def write(number: int) -> None:
        nonlocal kept
        await batcher.append(context(), [read(reason=str(number))])
        kept += 1

    async def breaking() -> None:
        for _ in range(rounds):
            await asyncio.sleep(0.02)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'ndi audit' AND datname = current_database()"
            )

    breaker = asyncio.create_task(breaking())
    for first in range(0, 2000, 50):
        await asyncio.gather(*(write(number) for number in range(first, first + 50)))
        await asyncio.sleep(0.01)
    await breaker
    await admin.close()
    rows = await events(engine)
    assert kept == 2000
    assert sorted(int(row["reason"]) for row in rows) == list(range(2000))


async def test_without_a_database_nothing_is_answered() -> None:
    """AT-63: the sink is down; the caller is told, and must not answer."""
    away = AuditBatcher(f"postgresql://postgres@127.0.0.1:{free_port()}/none")
    with pytest.raises(Unavailable):
        await away.start()
    with pytest.raises(Unavailable):
        await away.append(context(), [read()])
    await away.close()


async def test_a_database_that_comes_back_is_used_again(
    batcher: AuditBatcher, engine: AsyncEngine, log_url: str
) -> None:
    admin = await asyncpg.connect(log_url)
    await batcher.append(context(), [read()])
    await admin.execute("ALTER FUNCTION audit.append_events(jsonb) RENAME TO away")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ndi audit' "
                        "AND datname = current_database()")  # fmt: skip
    with pytest.raises(Unavailable):
        await batcher.append(context(), [read()])
    await admin.execute("ALTER FUNCTION audit.away(jsonb) RENAME TO append_events")
    await batcher.append(context(), [read()])
    await admin.close()
    assert len(await events(engine)) == 2


async def test_the_queue_has_an_end(log_url: str) -> None:
    small = AuditBatcher(log_url, max_waiting=10, max_batch=2)
    await small.start()
    answers = await asyncio.gather(*(small.append(context(), [read()]) for _ in range(50)), return_exceptions=True)
    refused = [each for each in answers if each is not None]
    assert all(isinstance(each, Unavailable) for each in refused)
    assert 0 < len(refused) < 50
    await small.append(context(), [read()])
    await small.close()
    with pytest.raises(Unavailable):
        await small.append(context(), [read()])


async def test_closing_waits_for_what_is_under_way(log_url: str, engine: AsyncEngine) -> None:
    closing = AuditBatcher(log_url, max_batch=7)
    await closing.start()
    tasks = [asyncio.create_task(closing.append(context(), [read()])) for _ in range(100)]
    await asyncio.sleep(0)
    await closing.close()
    await asyncio.gather(*tasks)
    assert len(await events(engine)) == 100


async def test_a_caller_that_goes_away_disturbs_nobody(batcher: AuditBatcher, engine: AsyncEngine) -> None:
    tasks = [asyncio.create_task(batcher.append(context(), [read()])) for _ in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(each is None for each in answers) == 50
    assert len(await events(engine)) == 100


async def test_one_faulty_event_spoils_no_other(batcher: AuditBatcher, engine: AsyncEngine) -> None:
    entries = [read(outcome="no such outcome") if number % 10 == 5 else read() for number in range(100)]
    answers = await asyncio.gather(*(batcher.append(context(), [each]) for each in entries), return_exceptions=True)
    assert [isinstance(each, Unavailable) for each in answers] == [number % 10 == 5 for number in range(100)]
    assert len(await events(engine)) == 90


NASTY = [
    '\r\n{"operation":"forged"}',
    "\x00",
    "\ud800",
    "'; DROP TABLE audit.event; --",
    "å" * 10_000,
    "\\u0000",
    "𝄞",
]


async def test_text_cannot_break_the_log(batcher: AuditBatcher, engine: AsyncEngine) -> None:
    """AT-62: line breaks, JSON and SQL text are one event, kept as text."""
    for nasty in NASTY:
        caller = Caller(nasty, CallerKind.staff, frozenset({nasty}), frozenset({nasty}), user_name=nasty, unit=nasty)
        entry = read(None, operation=nasty, holders=(nasty,), reason=nasty, detail={nasty: [nasty, {"x": nasty}]})
        await batcher.append(context(caller, trace=nasty), [entry])
    rows = await events(engine)
    assert len(rows) == len(NASTY)
    kept = {row["operation"] for row in rows}
    assert {each for each in NASTY if each not in ("\x00", "\ud800")} < kept
    assert not any(row["operation"] == "forged" for row in rows)


@given(
    st.text(),
    st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1) | st.none() | st.booleans(), max_size=3),
)
def test_any_text_makes_a_row_that_postgresql_can_hold(value: str, detail: dict[str, Any]) -> None:
    caller = Caller(value, CallerKind.system, frozenset())
    now = datetime.now(UTC)
    asked, entry = Context(caller, "t", now, 0.0, value, lambda: 0.0), AuditEntry(value, detail=detail)
    row = audit_row(asked, entry)
    assert {**orjson.loads(audit_json(asked, entry)), "id": row["id"]} == orjson.loads(orjson.dumps(row))
    assert b"\\u0000" not in orjson.dumps({**row, "detail": None})


async def test_a_row_sent_twice_counts_once(engine: AsyncEngine) -> None:
    for entry in (read(), read(None)):
        row = orjson.dumps([audit_row(context(), entry)]).decode()
        async with engine.begin() as connection:
            for _ in range(3):
                await connection.execute(text("SELECT audit.append_events(CAST(:row AS jsonb))"), {"row": row})
    assert len(await events(engine)) == 2


async def test_an_event_goes_with_its_transaction(engine: AsyncEngine) -> None:
    row = orjson.dumps([audit_row(context(), read())]).decode()
    async with engine.connect() as connection:
        await connection.execute(text("SELECT audit.append_events(CAST(:row AS jsonb))"), {"row": row})
        await connection.rollback()
    assert await events(engine) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.event SET reason = 'other'",
        "DELETE FROM audit.event",
        "TRUNCATE audit.event",
        *(f"UPDATE audit.event_{n} SET reason = 'other' WHERE EXISTS (SELECT FROM audit.event_{n})" for n in range(8)),
        *(f"TRUNCATE audit.event_{n}" for n in range(8)),
    ],
)
async def test_the_log_is_append_only(batcher: AuditBatcher, engine: AsyncEngine, statement: str) -> None:
    entries = [read(), read(None), *(read(type(ASTRID)(bytes([n]) * 16)) for n in range(60))]
    await batcher.append(context(), entries)
    with pytest.raises(Exception, match="append-only"):
        async with engine.begin() as connection:
            await connection.execute(text(statement))
    assert len(await events(engine)) == len(entries)
