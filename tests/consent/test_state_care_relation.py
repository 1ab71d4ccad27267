# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$state-care-relation: staff only, for hours, kept with its reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Caller
from tests.consent.conftest import ASTRID, Service
from tests.support.callers import DENTIST, OPERATOR


async def test_the_relation_holds_for_the_hours_and_is_kept(service: Service, shared_engine: AsyncEngine) -> None:
    answer = await service.relate(hours=72)
    until = datetime.fromisoformat(answer["parameter"][0]["valueInstant"])
    assert timedelta(hours=71, minutes=59) < until - datetime.now(UTC) <= timedelta(hours=72)
    async with shared_engine.connect() as connection:
        kept = text("SELECT * FROM consent.care_relation WHERE person_key = :person_key")
        row = (await connection.execute(kept, {"person_key": service.person.value})).one()
    assert (row.provider, row.unit, row.user_id) == (DENTIST.organisation, DENTIST.unit, DENTIST.user)
    assert (row.reason, row.ends) == ("Inför tandbehandling", until)
    ((_, entry),) = service.audit.entries
    assert (entry.operation, entry.person) == ("state-care-relation", service.person)
    assert "tandbehandling" not in str(entry)


@pytest.mark.parametrize("hours", [0, 73, -1])
async def test_hours_have_bounds(service: Service, hours: int) -> None:
    await service.relate(hours=hours, expect=400)


@pytest.mark.parametrize("caller", [OPERATOR, None])
async def test_only_staff(service: Service, caller: Caller | None) -> None:
    await service.relate(caller=caller or service.me, expect=403)


@pytest.mark.parametrize("why", ["", "   ", "x" * 201, f"för {ASTRID.value}"])
async def test_a_reason_is_needed_and_holds_no_number(service: Service, why: str) -> None:
    asked: list[dict[str, Any]] = [
        {"name": "person", "valueString": service.person.hex()},
        {"name": "reason", "valueString": why},
        {"name": "hours", "valueInteger": 1},
    ]
    body = {"resourceType": "Parameters", "parameter": asked}
    outcome = await service.send("POST", "/Patient/$state-care-relation", body, caller=DENTIST, expect=400)
    assert ASTRID.value not in str(outcome)
