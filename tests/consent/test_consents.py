# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Consent resources: what is stored, who may, what is refused and why, and that no change is lost."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Caller
from identifiers.person_key import PersonKeys
from tests.consent.conftest import (
    ANEMONEN,
    ASTRID,
    BERTIL,
    MITT,
    MITT_UNIT,
    NORR,
    NORR_UNIT,
    REGISTER,
    Service,
    consent,
    hsa,
    types,
)
from tests.support.callers import DENTIST, OPERATOR, SOURCE_NORR, TRANSFER, patient

SYSTEM = {"system": ASTRID.system}


def reason(outcome: dict[str, Any]) -> tuple[str, str]:
    issue = outcome["issue"][0]
    return issue["details"]["coding"][0]["code"], issue["details"]["text"]


async def test_the_person_is_kept_by_key_and_the_provider_is_filled_in(
    service: Service, shared_engine: AsyncEngine
) -> None:
    given = consent(
        "outer-block",
        NORR_UNIT.lower(),
        patient={"identifier": {**SYSTEM, "value": "19570103-2863"}},
        provision={"code": types("alert")},
    )
    stored = await service.send("POST", "/Consent", given, expect=201)
    assert stored["patient"] == {"reference": f"Patient/{service.person.hex()}"}
    assert stored["organization"] == [{"identifier": hsa(NORR)}]
    assert stored["provision"]["actor"][0]["reference"]["identifier"] == hsa(NORR_UNIT)
    async with shared_engine.connect() as connection:
        for table in ("resource", "resource_history", "access_document", "change", "token_value", "reference_value"):
            rows = (await connection.execute(text(f"SELECT t.*, t::text AS whole FROM consent.{table} t"))).all()
            assert not any(ASTRID.value[2:8] in str(row) for row in rows), table
    assert not any(ASTRID.value in str(entry) for entry in service.audit.entries)


async def test_own_consents_are_found_and_read_by_nobody_else(service: Service, own_keys: PersonKeys) -> None:
    stored = await service.give("shared-record", ANEMONEN)
    assert [e["resource"]["id"] for e in (await service.send("POST", "/Consent/_search"))["entry"]] == [stored["id"]]
    other = patient(own_keys.of(BERTIL))
    assert (await service.send("POST", "/Consent/_search", caller=other)).get("entry", []) == []
    await service.send("GET", f"/Consent/{stored['id']}", caller=other, expect=404)
    await service.send("PUT", f"/Consent/{stored['id']}", {**stored, "status": "inactive"}, caller=other, expect=403)
    mine = {name: value for name, value in stored.items() if name != "patient"}
    await service.send("PUT", f"/Consent/{stored['id']}", {**mine, "status": "inactive"}, caller=other, expect=404)
    assert (await service.send("GET", f"/Consent/{stored['id']}"))["status"] == "active"


@pytest.mark.parametrize("caller", [DENTIST, OPERATOR, TRANSFER, SOURCE_NORR])
async def test_nobody_else_reads_or_searches(service: Service, caller: Caller) -> None:
    stored = await service.give("shared-record", ANEMONEN)
    await service.send("GET", f"/Consent/{stored['id']}", caller=caller, expect=403)
    await service.send("POST", "/Consent/_search", caller=caller, expect=403)


async def test_staff_do_not_block_and_do_not_consent(service: Service) -> None:
    outcome = await service.send("POST", "/Consent", consent("outer-block", NORR), caller=DENTIST, expect=403)
    assert reason(outcome) == (
        "only-the-patient-blocks",
        "Only the person can oppose or change her mind. (SVOD 2 kap. 3 §)",
    )
    outcome = await service.send("POST", "/Consent", consent("shared-record", ANEMONEN), caller=DENTIST, expect=403)
    assert reason(outcome)[0] == "only-the-person"
    stored = await service.give("outer-block", NORR)
    outcome = await service.send(
        "PUT", f"/Consent/{stored['id']}", {**stored, "status": "inactive"}, caller=DENTIST, expect=403
    )
    assert reason(outcome)[0] == "only-holder-lifts"


@pytest.mark.parametrize("kind", ["outer-block", "inner-block"])
async def test_a_guardian_does_not_block(service: Service, own_keys: PersonKeys, kind: str) -> None:
    for child in (
        {"identifier": {"system": BERTIL.system, "value": BERTIL.value}},
        {"reference": f"Patient/{own_keys.of(BERTIL).hex()}"},
    ):
        outcome = await service.send("POST", "/Consent", consent(kind, NORR_UNIT, patient=child), expect=403)
        code, said = reason(outcome)
        assert code == "guardian-may-not-block"
        assert "2 kap. 3 §" in said or "4 kap. 4 §" in said
        assert BERTIL.value not in str(outcome)


async def test_nobody_consents_for_another(service: Service, own_keys: PersonKeys) -> None:
    given = consent("shared-record", ANEMONEN, patient={"reference": f"Patient/{own_keys.of(BERTIL).hex()}"})
    assert reason(await service.send("POST", "/Consent", given, expect=403))[0] == "not-self"


WRONG_ROLE = consent("shared-record", NORR)["provision"]["actor"]
NUMBER = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">195701032863</div>'}
BACKWARDS = {"start": "2026-03-02T00:00:00Z", "end": "2026-03-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("status", "code", "given"),
    [
        (400, "end-before-start", consent("shared-record", ANEMONEN, provision={"period": BACKWARDS})),
        (400, "end-before-start", consent("outer-block", NORR, provision={"dataPeriod": BACKWARDS})),
        (400, "invalid-value", consent("shared-record", ANEMONEN, provision={"period": {"end": "2026"}})),
        (422, "unknown-consent-kind", consent("research", ANEMONEN)),
        (422, "unknown-consent-kind", {**consent("outer-block", NORR), "category": [{"text": "spärr"}]}),
        (422, "consent-status", consent("outer-block", NORR, status="draft")),
        (422, "consent-provision", consent("outer-block", NORR, provision={"type": "permit"})),
        (422, "consent-provision", consent("shared-record", ANEMONEN, provision={"type": "deny"})),
        (422, "consent-provision", consent("register-opt-out", REGISTER, provision={"code": types("alert")})),
        (
            422,
            "consent-provision",
            consent("shared-record", ANEMONEN, provision={"dataPeriod": {"start": "2026-01-01"}}),
        ),
        (422, "unknown-information-type", consent("outer-block", NORR, provision={"code": types("horoscope")})),
        (422, "unknown-organisation", consent("outer-block", "SE0000000077-VE1")),
        (422, "not-a-care-unit", consent("inner-block", NORR)),
        (422, "consent-actor", consent("outer-block", NORR, provision={"actor": WRONG_ROLE})),
        (400, "invalid-value", consent("outer-block", "Region Norr")),
        (422, "element-not-honoured", consent("outer-block", NORR, provision={"purpose": [{"code": "TREAT"}]})),
        (422, "element-not-honoured", consent("outer-block", NORR, text=NUMBER)),
        (422, "id-not-ours", consent("outer-block", NORR, id="195701032863")),
    ],
)
async def test_what_we_would_not_honour_is_not_taken(
    service: Service, shared_engine: AsyncEngine, status: int, code: str, given: dict[str, Any]
) -> None:
    outcome = await service.send("POST", "/Consent", given, expect=status)
    assert reason(outcome)[0] == code
    assert ASTRID.value not in str(outcome)
    async with shared_engine.connect() as connection:
        for table in ("resource", "change", "access_document"):
            mine = text(f"SELECT count(*) FROM consent.{table} WHERE person_key = :person_key")
            assert (await connection.execute(mine, {"person_key": service.person.value})).scalar_one() == 0


async def test_terms_do_not_change_and_what_ended_does_not_come_back(service: Service) -> None:
    stored = await service.give("shared-record", ANEMONEN)
    wider = consent("shared-record", MITT, id=stored["id"])
    assert (
        reason(await service.send("PUT", f"/Consent/{stored['id']}", wider, expect=422))[0] == "consent-terms-changed"
    )
    ended = await service.end(stored)
    assert ended["status"] == "inactive"
    again = {**ended, "status": "active"}
    assert reason(await service.send("PUT", f"/Consent/{stored['id']}", again, expect=422))[0] == "consent-ended"
    assert (await service.send("GET", f"/Consent/{stored['id']}"))["meta"]["versionId"] == "2"


async def test_a_consent_is_ended_by_a_patch_of_the_person_and_never_deleted(
    service: Service, own_keys: PersonKeys
) -> None:
    async def open_to_the_dentist() -> bool:
        return bool((await service.decide((NORR, NORR_UNIT))).decisions[0].value("permitted"))

    await service.relate()
    stored = await service.give("shared-record", ANEMONEN)
    url = f"/Consent/{stored['id']}"
    end = [{"op": "replace", "path": "/status", "value": "inactive"}]
    await service.send("PATCH", url, end, caller=patient(own_keys.of(BERTIL)), expect=404)
    await service.send("PATCH", url, end, caller=DENTIST, expect=403)
    await service.send("DELETE", url, expect=405)
    assert await open_to_the_dentist()
    assert (await service.send("PATCH", url, end))["status"] == "inactive"
    assert not await open_to_the_dentist()
    again = [{"op": "replace", "path": "/status", "value": "active"}]
    assert reason(await service.send("PATCH", url, again, expect=422))[0] == "consent-ended"
    history = await service.send("GET", f"{url}/_history")
    assert [each["request"]["method"] for each in history["entry"]] == ["PATCH", "POST"]


async def test_a_date_means_the_whole_swedish_day(service: Service) -> None:
    given = await service.give(
        "shared-record", ANEMONEN, provision={"period": {"start": "2026-01-01", "end": "2026-12-31"}}
    )
    assert given["provision"]["period"] == {
        "start": "2026-01-01T00:00:00+01:00",
        "end": "2026-12-31T23:59:59.999+02:00",
    }
    blocked = await service.give(
        "outer-block", NORR, provision={"period": {"start": "2026-01-01", "end": "2026-12-31"}}
    )
    assert blocked["provision"]["period"] == {
        "start": "2026-01-01T00:00:00+02:00",
        "end": "2026-12-31T23:59:59.999+01:00",
    }


async def document(service: Service, engine: AsyncEngine) -> tuple[int, dict[str, Any]]:
    mine = text(
        "SELECT version, document::text AS document FROM consent.access_document WHERE person_key = :person_key"
    )
    async with engine.connect() as connection:
        row = (await connection.execute(mine, {"person_key": service.person.value})).one()
    return row.version, json.loads(row.document)


async def test_32_changes_at_once_lose_none(service: Service, shared_engine: AsyncEngine) -> None:
    stored = await asyncio.gather(
        *(
            service.give("outer-block" if n % 2 else "shared-record", (NORR, MITT_UNIT, ANEMONEN)[n % 3])
            for n in range(32)
        )
    )
    version, kept = await document(service, shared_engine)
    assert version == 32
    assert {each["id"] for each in kept["entries"]} == {each["id"] for each in stored}
    await asyncio.gather(*(service.end(each) for each in stored[:16]), *(service.relate() for _ in range(16)))
    version, kept = await document(service, shared_engine)
    assert version == 64
    assert {each["id"] for each in kept["entries"]} == {each["id"] for each in stored[16:]}
    assert len(kept["relations"]) == 16


async def test_a_change_that_fails_leaves_nothing(service: Service, shared_engine: AsyncEngine) -> None:
    stored = await service.give("outer-block", NORR)
    before = await document(service, shared_engine)
    await service.send(
        "PUT",
        f"/Consent/{stored['id']}",
        {**stored, "provision": consent("outer-block", MITT)["provision"]},
        expect=422,
    )
    assert await document(service, shared_engine) == before


async def test_lifting_gives_back_the_document_of_before(service: Service, shared_engine: AsyncEngine) -> None:
    await service.give("shared-record", ANEMONEN)
    _, before = await document(service, shared_engine)
    await service.end(await service.give("outer-block", NORR))
    assert (await document(service, shared_engine))[1] == before
