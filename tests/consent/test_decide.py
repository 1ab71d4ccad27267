# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$decide over HTTP on a real database: the worked example, another process, what is recorded, what fails closed."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from consent.client import DisclosureMode
from fhir_server.storage.database import create_engine
from identifiers.person_key import PersonKeys
from tests.consent.conftest import (
    ANEMONEN,
    ANEMONEN_UNIT,
    ASTRID,
    MITT,
    MITT_UNIT,
    NORR,
    NORR_UNIT,
    Service,
    consent_service,
)
from tests.support.callers import DENTIST, OPERATOR

OURS, THEIRS, THIRD = (ANEMONEN, ANEMONEN_UNIT), (NORR, NORR_UNIT), (MITT, MITT_UNIT)


async def test_the_worked_example(service: Service) -> None:
    assert (await service.decide(THEIRS, OURS)).reasons == ["NO_PATIENT_RELATION", "PDL_4_1"]
    await service.relate()
    answer = await service.decide(THEIRS)
    assert answer.reasons == ["NO_CONSENT"]
    assert answer.value("unblockedExist") is True
    given = await service.give("shared-record", ANEMONEN)
    (decision,) = (await service.decide(THEIRS)).decisions
    assert (decision.value("reason"), decision.value("law")) == ("SVOD_3_1", "SVOD 3 kap. 1 § första stycket")
    assert decision.value("sv") and decision.value("en")
    block = await service.give("outer-block", NORR_UNIT)
    answer = await service.decide(THEIRS, THIRD)
    assert answer.reasons == ["OUTER_BLOCK", "SVOD_3_1"]
    assert answer.value("blockedExist") is True
    await service.end(block)
    assert (await service.decide(THEIRS, THIRD)).reasons == ["SVOD_3_1", "SVOD_3_1"]
    await service.end(given)
    assert (await service.decide(THEIRS)).reasons == ["NO_CONSENT"]


async def test_a_block_works_on_the_next_call_in_another_process(
    service: Service, shared_engine: AsyncEngine, own_keys: PersonKeys
) -> None:
    await service.relate()
    await service.give("shared-record", ANEMONEN)
    other_engine = create_engine(shared_engine.url.render_as_string(hide_password=False))
    try:
        async with consent_service(other_engine, own_keys) as other:
            for _ in range(20):
                assert (await other.decide(THEIRS)).reasons == ["SVOD_3_1"]
                block = await service.give("outer-block", NORR)
                assert (await other.decide(THEIRS)).reasons == ["OUTER_BLOCK"]
                await service.end(block)
    finally:
        await other_engine.dispose()


async def test_in_ehds_mode_nothing_tells_a_block(ehds: Service) -> None:
    await ehds.relate()
    await ehds.give("shared-record", ANEMONEN)
    await ehds.give("outer-block", NORR_UNIT)
    answer = await ehds.decide(THEIRS)
    (decision,) = answer.decisions
    assert (decision.value("disclosure"), decision.value("blocked")) == ("none", False)
    assert answer.value("blockedExist") is None
    nothing = await ehds.decide()

    def without_id(one: Any) -> list[dict[str, Any]]:
        return [each for each in one.parameter if each["name"] not in ("id", "decision")]

    assert without_id(answer) == without_id(nothing)


async def test_one_event_a_call_with_the_decision_and_a_digest(service: Service, own_keys: PersonKeys) -> None:
    answer = await service.decide(THEIRS, THIRD)
    ((caller, entry),) = service.audit.entries
    assert (caller.user, entry.operation, entry.outcome) == (DENTIST.user, "decide", "denied")
    assert (entry.decision, entry.count, entry.person) == (answer.value("id"), 2, own_keys.of(ASTRID))
    assert len(entry.detail["entities"]) == 64
    assert entry.holders == ()


async def test_a_thousand_entities_and_no_more(service: Service) -> None:
    assert len((await service.decide(*[THEIRS] * 1000)).decisions) == 1000
    outcome = (await service.decide(*[THEIRS] * 1001, expect=400)).resource
    assert "1000" in outcome["issue"][0]["details"]["text"]


async def test_the_person_sees_her_own(service: Service) -> None:
    await service.give("outer-block", NORR_UNIT)
    answer = await service.decide(THEIRS, THIRD, caller=service.me)
    assert answer.reasons == ["PDL_5_5", "PDL_5_5"]
    assert answer.decisions[0].value("ground") == "self"


async def test_a_system_is_denied(service: Service) -> None:
    answer = await service.decide(THEIRS, caller=OPERATOR)
    assert answer.decisions[0].value("permitted") is False
    assert answer.value("unblockedExist") is False


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"operation": "peek"}, "operation must be one of"),
        ({"number": False}, "name the person"),
        ({"also": [{"name": "person", "valueString": "00" * 16}]}, "one of them"),
        ({"number": False, "also": [{"name": "person", "valueString": "zz"}]}, "hexadecimal"),
        ({"also": [{"name": "entity", "valueString": "x"}]}, "parts of entity must be a list"),
        ({"also": [{"name": "entity", "part": [{"name": "holder", "valueString": NORR}]}]}, "informationType"),
        ({"operation": "transfer-to-register"}, "needs the register"),
    ],
)
async def test_a_faulty_question(service: Service, change: dict[str, Any], text: str) -> None:
    outcome = (await service.decide(THEIRS, expect=400, **change)).resource
    assert text in outcome["issue"][0]["details"]["text"]


async def test_a_faulty_number_is_not_repeated(service: Service) -> None:
    faulty = {"name": "identifier", "valueIdentifier": {"system": ASTRID.system, "value": "195701032864"}}
    answer = await service.decide(number=False, also=[faulty], expect=400)
    assert "check digit" in str(answer.resource)
    assert "195701032864" not in str(answer.resource)


async def test_without_the_store_nothing_is_permitted(service: Service, keys: PersonKeys) -> None:
    unreachable = create_engine("postgresql://nobody@127.0.0.1:1/none")
    try:
        async with consent_service(unreachable, keys, DisclosureMode.SE) as broken:
            outcome = (await broken.decide(THEIRS, OURS, caller=broken.me, expect=503)).resource
    finally:
        await unreachable.dispose()
    assert outcome["issue"][0]["details"]["coding"][0]["code"] == "unavailable"
    assert "nothing is permitted" in outcome["issue"][0]["details"]["text"]


async def test_a_slow_store_denies(
    service: Service, shared_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on the table stands for a store that hangs."""
    from sqlalchemy import text

    monkeypatch.setattr("consent.store.READ_SECONDS", 0.2)
    async with shared_engine.begin() as connection:
        await connection.execute(text("LOCK TABLE consent.access_document IN ACCESS EXCLUSIVE MODE"))
        outcome = (await service.decide(THEIRS, expect=503)).resource
        assert outcome["issue"][0]["code"] == "transient"
    assert (await service.decide(THEIRS)).reasons == ["NO_PATIENT_RELATION"]


async def test_a_document_that_is_not_understood_permits_nothing(service: Service, shared_engine: AsyncEngine) -> None:
    from sqlalchemy import text

    await service.relate()
    await service.give("shared-record", ANEMONEN)
    unknown = (
        "UPDATE consent.access_document SET document = jsonb_set(document, '{entries,0,kind}', '\"new-kind\"') "
        "WHERE person_key = :person_key"
    )
    async with shared_engine.begin() as connection:
        await connection.execute(text(unknown), {"person_key": service.person.value})
    await service.decide(THEIRS, expect=500)
