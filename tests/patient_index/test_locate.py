# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$locate: what is told to whom, and what is not."""

from dataclasses import replace
from typing import Any

import pytest

from consent.client import DisclosureMode, Operation
from tests.patient_index.world import (
    ASTRID,
    BERTIL,
    PROVIDER,
    SYSTEM,
    UNIT,
    Index,
    clinician,
    entry_document,
    person_parameter,
)
from tests.support.callers import DENTIST, SOURCE_NORR, bearer, patient

ALWAYS = {"unblockedExist", "blockedExist", "mode", "reason", "law", "explanation", "decision", "coverage"}


async def test_without_consent_only_yes_or_no_is_told(index: Index) -> None:
    await index.register(entry_document())
    answer = await index.locate()
    assert set(answer) == ALWAYS
    assert (answer["unblockedExist"], answer["blockedExist"]) == (True, False)
    assert answer["reason"] == "NO_CONSENT"
    assert [each.operation for each in index.consent.questions] == [Operation.list_holders, Operation.existence]


async def test_with_consent_the_holder_is_listed_with_names_and_endpoint(index: Index) -> None:
    await index.register(entry_document(items=2))
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    answer = await index.locate()
    assert answer["reason"] == "SVOD_3_1"
    (entry,) = answer["entry"]
    assert entry["custodian"] == PROVIDER
    assert entry["custodianName"] == "Region Norr"
    assert entry["unit"] == UNIT
    assert entry["unitName"] == "Medicinkliniken Norr"
    assert entry["informationType"] == "alert"
    assert entry["mostRecent"] == "2026-03-01T09:00:00.000Z"
    assert entry["items"] == 2
    assert entry["sourceSystem"] == SYSTEM
    assert entry["endpoint"] == {
        "address": "https://norr.example/fhir",
        "connectionType": "fhir-rest",
        "logicalAddress": SYSTEM,
        "unit": UNIT,
        "path": [UNIT, PROVIDER],
    }
    assert answer["coverage"] == {
        "connected": 1,
        "notConnected": 1,
        "notConnectedName": ["Hälsocentralen Väst AB"],
    }


async def test_all_endpoints_are_resolved_in_one_call(index: Index) -> None:
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    for number, kind in enumerate(("alert", "diagnosis", "alert")):
        await index.register(entry_document(f"bo-{number}", kind=kind))
    answer = await index.locate()
    assert [each["endpoint"]["logicalAddress"] for each in answer["entry"]] == [SYSTEM] * 3
    (places,) = index.catalog.resolved
    assert {each.information_type for each in places} == {"alert", "diagnosis"}
    assert len(places) == 2


async def test_an_empty_answer_has_the_same_parts_and_the_same_coverage(index: Index) -> None:
    await index.register(entry_document())
    with_entries, without = await index.locate(), await index.locate(number=BERTIL)
    assert set(with_entries) == set(without) == ALWAYS
    assert with_entries["coverage"] == without["coverage"]
    assert without["unblockedExist"] is False
    assert without["reason"] == "NOTHING_UNBLOCKED"


@pytest.mark.parametrize("blocked", [UNIT, PROVIDER])
async def test_a_blocked_holder_is_not_listed_and_only_its_existence_is_told(index: Index, blocked: str) -> None:
    await index.register(entry_document())
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    index.consent.blocked.add(blocked)
    answer = await index.locate()
    assert "entry" not in answer
    assert (answer["unblockedExist"], answer["blockedExist"]) == (False, True)
    assert PROVIDER not in str(answer)
    assert "Norr" not in str(answer)


async def test_in_ehds_mode_a_blocked_person_cannot_be_told_from_one_without_entries(index: Index) -> None:
    index.consent.mode = DisclosureMode.EHDS
    await index.register(entry_document())
    index.consent.blocked.add(UNIT)
    blocked, empty = await index.locate(), await index.locate(number=BERTIL)
    assert "blockedExist" not in blocked
    assert {**blocked, "decision": ""} == {**empty, "decision": ""}


async def test_in_ehds_mode_the_reason_is_that_of_what_is_not_blocked(index: Index) -> None:
    index.consent.mode = DisclosureMode.EHDS
    await index.register(entry_document("bo-1", when="2026-03-03T10:00:00Z"))
    await index.register(entry_document("bo-2", unit="SE0000000011-VE2"))
    index.consent.blocked.add(UNIT)
    assert (await index.locate())["reason"] == "NO_CONSENT"


async def test_a_type_filter_narrows_the_list_but_never_the_existence_answer(index: Index) -> None:
    await index.register(entry_document("bo-1"))
    await index.register(entry_document("bo-2", kind="diagnosis"))
    assert (await index.locate(kind="imaging"))["unblockedExist"] is True
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    answer = await index.locate(kind="diagnosis")
    assert [each["informationType"] for each in answer["entry"]] == ["diagnosis"]


async def test_withdrawn_and_superseded_entries_are_not_listed(index: Index) -> None:
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    await index.register(entry_document("bo-1"))
    await index.register(entry_document("bo-1", status="entered-in-error", when="2026-03-02T10:00:00Z"))
    await index.register(entry_document("bo-2", status="superseded"))
    assert "entry" not in await index.locate()


async def test_the_holder_itself_finds_its_own(index: Index) -> None:
    await index.register(entry_document())
    answer = await index.locate(clinician(PROVIDER))
    assert answer["reason"] == "OWN_RECORD"
    assert len(answer["entry"]) == 1


async def test_what_was_told_is_in_the_access_log(index: Index) -> None:
    await index.register(entry_document())
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    await index.locate()
    caller, logged = index.audit.entries[-1]
    assert caller.user == DENTIST.user
    assert (logged.operation, logged.person, logged.holders, logged.count) == ("locate", index.key(), (UNIT,), 1)
    assert (logged.ground, logged.reason, logged.law) == ("consent", "SVOD_3_1", "SVOD 3 kap. 1 §")


async def test_without_a_decision_nothing_is_answered(index: Index) -> None:
    await index.register(entry_document())
    index.consent.available = False
    answer = await index.ask("Patient/$locate", DENTIST, person_parameter())
    assert answer.status_code == 503
    assert UNIT not in answer.text


async def test_more_kinds_of_entries_than_one_question_takes_are_asked_about_in_parts(index: Index) -> None:
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    for number in range(3):
        await index.register(entry_document(f"bo-{number}", when=f"2026-03-0{number + 1}T10:00:00Z"))
        await index.register(entry_document(f"again-{number}", when=f"2026-03-0{number + 1}T10:00:00Z"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("patient_index.opening._ENTITIES_A_CALL", 2)
        answer = await index.locate()
    assert len(answer["entry"]) == 6
    assert [len(each.entities) for each in index.consent.questions] == [2, 1]


async def test_the_person_sees_every_holder_with_names_blocked_or_not(index: Index) -> None:
    await index.register(entry_document())
    index.consent.blocked.add(UNIT)
    answer = await index.ask("Patient/$holders", patient(index.key()))
    assert answer.status_code == 200
    (entry,) = answer.json()["parameter"]
    assert {"name": "unitName", "valueString": "Medicinkliniken Norr"} in entry["part"]
    assert index.audit.entries[-1][1].ground == "self"


async def test_nobody_else_may_ask_for_all_holders(index: Index) -> None:
    await index.register(entry_document())
    answer = await index.ask("Patient/$holders", DENTIST)
    assert answer.status_code == 403
    assert index.audit.entries[-1][1].outcome == "denied"


async def test_a_scope_is_needed(index: Index) -> None:
    without = replace(DENTIST, scopes=frozenset({"user/Consent.r"}))
    assert (await index.ask("Patient/$locate", without, person_parameter())).status_code == 403
    assert (await index.ask("Patient/$locate", SOURCE_NORR, person_parameter())).status_code == 403


async def test_a_search_finds_what_is_opened_and_repeats_no_number_in_links(index: Index) -> None:
    await index.register(entry_document())
    form = {"patient.identifier": f"http://electronichealth.se/identifier/personnummer|{ASTRID}", "type": "alert"}
    refused = await search(index, form)
    assert refused["total"] == 0
    assert refused["entry"][0]["resource"]["issue"][0]["details"]["coding"][0]["code"] == "NO_CONSENT"
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    found = await search(index, form)
    assert found["total"] == 1
    resource = found["entry"][0]["resource"]
    assert resource["custodian"]["identifier"]["value"] == PROVIDER
    assert ASTRID not in str(found["link"])
    assert (await search(index, {**form, "type": "imaging,diagnosis"}))["total"] == 0
    by_get = await index.http.get("/patient-index/fhir/DocumentReference", params=form, headers=headers())
    assert by_get.json()["entry"] == found["entry"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "one person"),
        ({"patient.identifier": ASTRID}, "system"),
        ({"patient.identifier": "http://electronichealth.se/identifier/personnummer|195701032864"}, "check digit"),
        ({"date": "2026"}, "not offered"),
        ({"195701032863": "x"}, "an unknown name"),
    ],
)
async def test_a_search_that_cannot_be_is_refused(index: Index, form: dict[str, str], said: str) -> None:
    answer = await index.http.post("/patient-index/fhir/DocumentReference/_search", data=form, headers=headers())
    assert answer.status_code == 400
    text = answer.json()["issue"][0]["diagnostics"]
    assert said in text
    assert "19570103" not in text


async def search(index: Index, form: dict[str, str]) -> dict[str, Any]:
    answer = await index.http.post("/patient-index/fhir/DocumentReference/_search", data=form, headers=headers())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def headers() -> dict[str, str]:
    return bearer(DENTIST)
