# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The worker between a world and the register, over real HTTP on a real database."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.callers import ListAudit
from tests.transfer.conftest import Scene
from tests.transfer.working import until, worker
from tests.transfer.world import ASTRID, BERTIL, MITT, NORR, REGISTER, allergy

_LOCKS = (
    "FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def test_a_documented_allergy_reaches_the_register_once_and_names_nobody(scene: Scene) -> None:
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await until(lambda: _count(scene, 1))
        await scene.done()
    [row] = await scene.rows()
    assert (row["version"], row["deliveries_stored"], row["attempts"], row["erased"]) == (1, 1, 1, False)
    text = json.dumps(row, ensure_ascii=False)
    for secret in (ASTRID, ASTRID[2:], "Astrid", "Testsson", scene.world.person(ASTRID).hex()):
        assert secret not in text
    assert row["content"]["code"]["text"] == "fenoximetylpenicillin"
    assert row["content"]["recorder"]["identifier"]["value"] == NORR
    view = await scene.view(ASTRID)
    assert (view.records, view.opted_out, view.erased_at) == (1, False, None)
    assert view.last_delivery is not None
    assert (await scene.view(BERTIL)).records == 0


async def test_a_change_of_no_variable_sends_nothing_and_a_change_of_one_sends_the_next_version(scene: Scene) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await until(lambda: _count(scene, 1))
        scene.world.document(ASTRID, NORR, allergy("a1", note=[{"text": "annat"}], id="a1"))
        await scene.done()
        assert [each["attempts"] for each in await scene.rows()] == [1]
        scene.world.document(ASTRID, NORR, allergy("a1", criticality="low"))
        await scene.done()
    [row] = await scene.rows()
    assert (row["version"], row["deliveries_stored"]) == (2, 2)
    assert row["content"]["criticality"] == "low"


async def test_one_pseudonym_a_person_and_register(scene: Scene) -> None:
    scene.world.document(ASTRID, NORR, allergy("a1"))
    scene.world.document(ASTRID, MITT, allergy("a2"))
    scene.world.document(BERTIL, MITT, allergy("b1"))
    async with worker(*scene.worker):
        await until(lambda: _count(scene, 3))
        await scene.done()
    assert len({each["pseudonym"] for each in await scene.rows()}) == 2


@pytest.mark.parametrize("how", ["deleted", "entered-in-error", "gone-from-answer"])
async def test_what_is_taken_back_at_the_source_is_erased_in_the_register(scene: Scene, how: str) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        scene.world.document(ASTRID, NORR, allergy("a2"))
        await until(lambda: _count(scene, 2))
        if how == "deleted":
            scene.world.delete(ASTRID, NORR, "a1")
        elif how == "entered-in-error":
            scene.world.document(
                ASTRID, NORR, allergy("a1", verificationStatus={"coding": [{"code": "entered-in-error"}]})
            )
        else:
            scene.world.records[ASTRID, NORR].pop("a1")
            scene.world.document(ASTRID, NORR, allergy("a2"))
        await until(lambda: _count(scene, 1))
        await scene.done()
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await until(lambda: _count(scene, 2))
    assert sorted(each["version"] for each in await scene.rows()) == [1, 3]


async def test_a_record_unfit_to_be_sent_leaves_what_the_register_has(scene: Scene) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        scene.world.document(ASTRID, NORR, allergy("a2", code={"text": f"se även {ASTRID[:8]}-{ASTRID[8:]}"}))
        await until(lambda: _count(scene, 1))
        scene.world.document(ASTRID, NORR, allergy("a1", category=None))
        await scene.done()
        assert [each["version"] for each in await scene.rows()] == [1]
        held = await scene.sql("SELECT state, quarantine FROM transfer.record ORDER BY state")
        assert held == [("delivered", "mandatory-missing:category"), ("quarantined", "person-number-in-text")]
        scene.world.document(ASTRID, NORR, allergy("a1"))
        scene.world.document(ASTRID, NORR, allergy("a2"))
        await until(lambda: _count(scene, 2))
        await scene.done()
    assert await scene.sql("SELECT count(*) FROM transfer.record WHERE quarantine IS NOT NULL") == [0]
    assert [each["version"] for each in await scene.rows()] == [1, 1]


@pytest.mark.parametrize("kind", ["unavailable", "lost-answer", "timeout"])
async def test_a_fault_of_the_register_costs_attempts_and_never_a_second_row(scene: Scene, kind: str) -> None:
    await scene.fault(kind, 2, seconds=1)
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await scene.done()
        await until(lambda: _count(scene, 1))
    [row] = await scene.rows()
    assert (row["version"], row["deliveries_stored"], row["attempts"]) == (1, 1, 3)
    assert await scene.sql("SELECT state, attempts FROM transfer.delivery") == [("acknowledged", 3)]


async def test_retry_after_is_honoured(scene: Scene) -> None:
    await scene.fault("unavailable", 1, retry_after=1)
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        begun = asyncio.get_running_loop().time()
        await until(lambda: _count(scene, 1))
    assert asyncio.get_running_loop().time() - begun >= 1


async def test_a_rejected_message_is_a_dead_letter_and_the_next_version_goes(scene: Scene) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await until(lambda: _count(scene, 1))
        await scene.fault("reject")
        scene.world.document(ASTRID, NORR, allergy("a1", criticality="low"))
        await scene.done()
        [row] = await scene.rows()
        assert (row["version"], row["content"]["criticality"], row["attempts"]) == (1, "high", 2)
        [letter] = await scene.sql("SELECT answer FROM transfer.delivery WHERE state = 'dead'")
        assert "does not take" in letter
        scene.world.document(ASTRID, NORR, allergy("a1", criticality="unable-to-assess"))
        await scene.done()
    [row] = await scene.rows()
    assert (row["version"], row["content"]["criticality"]) == (3, "unable-to-assess")


async def test_opposition_before_anything_was_sent(scene: Scene) -> None:
    scene.world.oppose(ASTRID)
    scene.world.document(ASTRID, NORR, allergy("a1"))
    scene.world.document(BERTIL, NORR, allergy("b1"))
    async with worker(*scene.worker):
        await until(lambda: _count(scene, 1))
        await scene.done()
    assert [each["attempts"] for each in await scene.rows()] == [1]
    view = await scene.view(ASTRID)
    assert (view.records, view.opted_out, view.last_delivery) == (0, True, None)


async def test_opposition_erases_and_withdrawal_begins_anew(scene: Scene) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        scene.world.document(ASTRID, MITT, allergy("a2"))
        await until(lambda: _count(scene, 2))
        before = await scene.held()
        scene.world.oppose(ASTRID)
        await until(lambda: _count(scene, 0))
        await scene.done()
        view = await scene.view(ASTRID)
        assert (view.records, view.opted_out, view.last_delivery) == (0, True, None)
        assert view.erased_at is not None
        assert await scene.sql("SELECT count(*) FROM transfer.pseudonym") == [0]
        assert await scene.sql("SELECT count(*) FROM transfer.record") == [0]
        assert await scene.sql("SELECT count(*) FROM transfer.delivery WHERE payload IS NOT NULL") == [0]
        scene.world.document(ASTRID, NORR, allergy("a1", criticality="low"))
        await scene.done()
        assert await scene.held() == []
        scene.world.return_(ASTRID)
        await until(lambda: _count(scene, 2))
    after = await scene.held()
    assert not {each["record_key"] for each in before} & {each["record_key"] for each in after}
    assert not {each["pseudonym"] for each in before} & {each["pseudonym"] for each in after}
    assert {each["content"]["criticality"] for each in after} == {"high", "low"}
    assert (await scene.view(ASTRID)).opted_out is False


async def test_opposition_while_the_register_is_closed_cancels_what_never_left(scene: Scene) -> None:
    await scene.sql("UPDATE transfer.register SET address = 'http://127.0.0.1:9'")
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await until(lambda: _states(scene, {"queued", "sent"}))
        scene.world.oppose(ASTRID)
        await until(lambda: _states(scene, {"cancelled", "queued", "sent"}, kind="retract"))
        await scene.sql(f"UPDATE transfer.register SET address = '{scene.register_url}'")
        await scene.done()
    # Whether the message arrived could not be known: it was retracted, and the register keeps a tombstone.
    [row] = await scene.rows()
    assert (row["erased"], row["version"], row["deliveries_stored"]) == (True, 2, 1)
    assert await scene.sql("SELECT kind, state FROM transfer.delivery ORDER BY id") == [
        ("upsert", "cancelled"),
        ("retract", "acknowledged"),
    ]


async def test_an_opposition_to_another_register_changes_nothing(scene: Scene) -> None:
    scene.world.oppose(ASTRID, register="SE0000000077-REG")
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await until(lambda: _count(scene, 1))
        scene.world.oppose(ASTRID, "c2", register=None)
        await until(lambda: _count(scene, 0))


async def test_nothing_is_sent_while_oppositions_cannot_be_read(scene: Scene) -> None:
    scene.world.consents_down = True
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await asyncio.sleep(0.5)
        assert (scene.world.fetches, await scene.rows()) == (0, [])
        scene.world.consents_down = False
        await until(lambda: _count(scene, 1))


async def test_a_silent_source_holds_up_nobody_else_and_ends_as_a_dead_letter(scene: Scene) -> None:
    scene.world.silent.add(NORR)
    scene.world.document(ASTRID, NORR, allergy("a1"))
    scene.world.document(ASTRID, MITT, allergy("a2"))
    async with worker(*scene.worker):
        await until(lambda: _count(scene, 1))
        await scene.done()
        assert await scene.sql("SELECT state, attempts, unit FROM transfer.pending_event") == [("dead", 5, NORR)]
        scene.world.silent.clear()
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await until(lambda: _count(scene, 2))


async def test_the_silence_of_a_source_erases_nothing(scene: Scene) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await until(lambda: _count(scene, 1))
        scene.world.records[ASTRID, NORR].clear()
        scene.world._announce(ASTRID, NORR, "a1", deleted=False)
        await scene.done()
        assert len(await scene.held()) == 1
        assert await scene.sql("SELECT state, reason FROM transfer.pending_event") == [
            ("dead", "source-empty: the source gives no record although the index names one")
        ]


async def test_a_refusal_with_a_reason_of_law_is_kept_and_not_repeated(scene: Scene) -> None:
    scene.world.forbidden = "REGISTER_OPT_OUT"
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker):
        await scene.done()
        await asyncio.sleep(0.3)
        assert scene.world.fetches == 1
    assert await scene.sql("SELECT state, reason FROM transfer.pending_event") == [("refused", "REGISTER_OPT_OUT")]


@pytest.mark.parametrize("forbidden", [None, "register-opt-out"])
async def test_what_a_partner_in_process_recorded_is_kept_before_anything_read_is(
    scene: Scene, forbidden: str | None
) -> None:
    scene.world.forbidden = forbidden
    scene.world.document(ASTRID, NORR, allergy("a1"))
    audit = ListAudit()
    async with worker(*scene.worker, audit=audit, in_process=True):
        await scene.done()
    assert [(entry.operation, entry.person) for _, entry in audit.entries] == [
        ("register-transfer", scene.world.person(ASTRID))
    ]
    assert len(await scene.held()) == (1 if forbidden is None else 0)


async def test_without_a_log_nothing_is_kept(scene: Scene) -> None:
    scene.world.document(ASTRID, NORR, allergy("a1"))
    async with worker(*scene.worker, in_process=True):
        await scene.done()
    assert await scene.held() == []
    assert await scene.sql("SELECT state FROM transfer.pending_event") == ["dead"]


async def test_two_workers_share_nothing(scene: Scene) -> None:
    for number in range(10):
        scene.world.document(ASTRID, NORR, allergy(f"a{number}"))
    async with worker(*scene.worker), worker(*scene.worker):
        await until(lambda: _count(scene, 10))
        await scene.done()
        assert await scene.sql(f"SELECT count(*) {_LOCKS}") == [1]
    assert {each["attempts"] for each in await scene.rows()} == {1}


async def test_a_lost_connection_is_taken_up_again(scene: Scene) -> None:
    async with worker(*scene.worker):
        scene.world.document(ASTRID, NORR, allergy("a1"))
        await until(lambda: _count(scene, 1))
        await scene.done()
        await scene.sql(f"SELECT pg_terminate_backend(pid) {_LOCKS}")
        scene.world.document(ASTRID, NORR, allergy("a2"))
        await until(lambda: _count(scene, 2))
        await scene.done()
    assert {each["attempts"] for each in await scene.rows()} == {1}


async def _count(scene: Scene, number: int) -> bool:
    return len(await scene.held()) == number


async def _states(scene: Scene, states: set[str], kind: str = "upsert") -> bool:
    found: list[Any] = await scene.sql(
        f"SELECT state FROM transfer.delivery WHERE register = '{REGISTER}' AND kind = '{kind}' AND attempts > 0"
    )
    return bool(found) and set(found) <= states
