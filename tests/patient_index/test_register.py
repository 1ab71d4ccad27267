# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Registration by FHIR: who may, what is kept, what is refused, and what races and replays leave."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from identifiers import systems
from identifiers.information_type import SYSTEM as TYPE_SYSTEM
from identifiers.person_number import PersonIdentifier
from patient_index.document import ENTRY_SYSTEM, ITEM_COUNT, SOURCE_SYSTEM
from tests.patient_index.messages import envelope, row, update
from tests.patient_index.world import ASTRID, FHIR, PROVIDER, SYSTEM, UNIT, Index, clinician, entry_document
from tests.support.callers import DENTIST, SOURCE_MITT, SOURCE_NORR, bearer


async def rows(index: Index, table: str = "entry") -> int:
    return int(await scalar(index, f"SELECT count(*) FROM patient_index.{table}"))


async def scalar(index: Index, statement: str) -> Any:
    async with index.engine.connect() as connection:
        return (await connection.execute(text(statement))).scalar_one()


async def stored_of(index: Index, number: str) -> int:
    """Entries under the key that the number, right or wrong, would have."""
    key = index.keys.of(PersonIdentifier(systems.PERSONNUMMER, number)).value
    statement = "SELECT (SELECT count(*) FROM patient_index.entry WHERE person_key = :key) + "
    statement += "(SELECT count(*) FROM patient_index.person WHERE person_key = :key)"
    async with index.engine.connect() as connection:
        return int((await connection.execute(text(statement), {"key": key})).scalar_one())


async def test_first_201_then_200_and_a_replay_changes_nothing(index: Index) -> None:
    first = await index.register(entry_document())
    assert first.status_code == 201
    assert first.headers["ETag"] == 'W/"1"'
    replay = await index.register(entry_document())
    assert (replay.status_code, replay.headers["ETag"]) == (200, 'W/"1"')
    assert replay.json() == first.json()
    assert (await rows(index), await rows(index, "entry_history"), await rows(index, "person")) == (1, 1, 1)
    assert await scalar(index, "SELECT count(*) FROM audit.event WHERE operation = 'register'") == 1


async def test_the_answer_says_what_is_stored(index: Index) -> None:
    period = {"period": {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}}
    answer = await index.register(entry_document(items=3, context=period))
    stored = answer.json()
    assert stored["status"] == "current"
    assert stored["date"] == "2026-03-01T09:00:00.000Z"
    assert stored["context"]["period"] == {"start": "2026-01-01T00:00:00.000Z", "end": "2026-02-01T00:00:00.000Z"}
    assert stored["author"][0]["identifier"]["value"] == UNIT
    assert stored["subject"]["reference"] == f"Patient/{index.key().hex()}"
    assert {"url": ITEM_COUNT, "valueUnsignedInt": 3} in stored["extension"]
    assert stored["extension"][0] == {
        "url": SOURCE_SYSTEM,
        "valueIdentifier": {"system": "urn:oid:1.2.752.29.4.19", "value": SYSTEM},
    }


async def test_an_older_message_changes_nothing(index: Index) -> None:
    await index.register(entry_document(when="2026-03-02T10:00:00Z", items=2))
    older = await index.register(entry_document(when="2026-03-01T10:00:00Z", items=1))
    assert older.status_code == 200
    assert older.json()["date"] == "2026-03-02T10:00:00.000Z"
    late = await index.register(entry_document(status="entered-in-error", when="2026-03-01T10:00:00Z"))
    assert late.json()["status"] == "current"
    assert await rows(index, "entry_history") == 1


async def test_an_entry_can_be_withdrawn_and_come_back(index: Index) -> None:
    await index.register(entry_document(when="2026-03-01T10:00:00Z"))
    gone = await index.register(entry_document(status="entered-in-error", when="2026-03-02T10:00:00Z"))
    assert gone.json()["status"] == "entered-in-error"
    replayed = await index.register(entry_document(when="2026-03-01T10:00:00Z"))
    assert replayed.json()["status"] == "entered-in-error"
    back = await index.register(entry_document(when="2026-03-03T10:00:00Z"))
    assert back.json()["status"] == "current"
    assert await rows(index, "entry_history") == 3


async def test_a_late_registration_does_not_undo_a_withdrawal_that_came_first(index: Index) -> None:
    gone = await index.register(entry_document(status="entered-in-error", when="2026-03-02T10:00:00Z"))
    assert gone.status_code == 201
    late = await index.register(entry_document(when="2026-03-01T10:00:00Z"))
    assert late.json()["status"] == "entered-in-error"


async def test_a_business_object_that_moves_to_another_unit_is_one_entry(index: Index) -> None:
    await index.register(entry_document(when="2026-03-01T10:00:00Z"))
    moved = await index.register(entry_document(when="2026-03-02T10:00:00Z", unit="SE0000000011-VE2"))
    assert moved.status_code == 201
    listed = (await index.locate(clinician(PROVIDER)))["entry"]
    assert [each["unit"] for each in listed] == ["SE0000000011-VE2"]
    stale = await index.register(entry_document(when="2026-03-01T10:00:00Z"))
    assert stale.status_code == 200
    assert stale.content == b""
    assert len((await index.locate(clinician(PROVIDER)))["entry"]) == 1


@pytest.mark.parametrize("times", [64])
async def test_identical_registrations_at_once_make_one_entry(index: Index, times: int) -> None:
    answers = await asyncio.gather(*(index.register(entry_document()) for _ in range(times)))
    assert sorted(each.status_code for each in answers) == [200] * (times - 1) + [201]
    assert (await rows(index), await rows(index, "entry_history")) == (1, 1)


async def test_fhir_and_soap_at_once_make_one_entry_of_one_fact(index: Index) -> None:
    message = envelope(update([{"deleteFlag": False, "engagement": row(ASTRID, businessObjectInstanceIdentifier="b")}]))
    document = entry_document("b", when="2026-01-15T11:00:00Z", items=None)
    answers = await asyncio.gather(
        *(index.soap("Update", message) for _ in range(8)), *(index.register(document) for _ in range(8))
    )
    assert {each.status_code for each in answers} <= {200, 201}
    assert (await rows(index), await rows(index, "entry_history")) == (1, 1)


async def test_units_racing_for_a_business_object_leave_one_entry(index: Index) -> None:
    documents = [
        entry_document(when=f"2026-03-{day:02d}T10:00:00Z", unit=f"SE0000000011-VE{day}") for day in range(1, 9)
    ]
    await asyncio.gather(*(index.register(each) for each in documents))
    listed = (await index.locate(clinician(PROVIDER)))["entry"]
    assert [each["unit"] for each in listed] == ["SE0000000011-VE8"]


async def test_only_a_source_registers_and_only_for_its_own_provider(index: Index) -> None:
    foreign = await index.register(entry_document(), caller=SOURCE_MITT)
    assert foreign.status_code == 403
    assert foreign.json()["issue"][0]["details"]["coding"][0]["code"] == "foreign-custodian"
    assert index.audit.entries[-1][1].outcome == "denied"
    assert (await index.register(entry_document(), caller=DENTIST)).status_code == 403
    no_scope = replace(SOURCE_NORR, scopes=frozenset({"system/Organization.cruds"}))
    assert (await index.register(entry_document(), caller=no_scope)).status_code == 403
    no_role = replace(SOURCE_NORR, roles=frozenset({"gateway"}))
    assert (await index.register(entry_document(), caller=no_role)).status_code == 403
    assert await rows(index) == 0


async def test_row_history_and_log_are_stored_together_or_not_at_all(index: Index) -> None:
    async with index.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit.event ADD CONSTRAINT full_disk CHECK (false) NOT VALID"))
    answer = await index.register(entry_document())
    assert answer.status_code == 500
    assert ASTRID not in answer.text
    assert (await rows(index), await rows(index, "entry_history"), await rows(index, "person")) == (0, 0, 0)


async def test_the_log_names_person_and_unit_of_a_registration(index: Index) -> None:
    await index.register(entry_document())
    async with index.engine.connect() as connection:
        logged = (await connection.execute(text("SELECT * FROM audit.event"))).one()
    assert (logged.operation, logged.action, logged.person_key) == ("register", "U", index.key().value)
    assert (logged.holders, logged.organisation, logged.information_type) == ([UNIT], PROVIDER, "alert")


async def test_the_number_is_stored_sealed_only(index: Index) -> None:
    await index.register(entry_document())
    dump = await scalar(
        index,
        "SELECT string_agg(x, ' ') FROM (SELECT e::text x FROM patient_index.entry e UNION ALL "
        "SELECT p::text FROM patient_index.person p UNION ALL SELECT h::text FROM patient_index.entry_history h) t",
    )
    assert ASTRID not in dump
    assert ASTRID.encode().hex() not in dump


async def test_the_history_cannot_be_rewritten(index: Index) -> None:
    await index.register(entry_document())
    for statement in ("UPDATE patient_index.entry_history SET items = 9", "DELETE FROM patient_index.entry_history"):
        with pytest.raises(Exception, match="append-only"):
            async with index.engine.begin() as connection:
                await connection.execute(text(statement))


BACKWARDS = {"start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("wrong check digit", {"number": "195701032864"}, 400, "check digit"),
    ("no such date", {"number": "195702302863"}, 400, "calendar"),
    ("ten digits", {"number": "5701032863"}, 400, "century"),
    ("future date", {"when": "2999-01-01T00:00:00Z"}, 400, "future"),
    ("date without zone", {"when": "2026-01-01T00:00:00"}, 400, "time zone"),
    ("date alone", {"when": "2026-01-01"}, 400, "time zone"),
    ("no date", {"when": "never"}, 400, "no date"),
    ("unknown type", {"kind": "horoscope"}, 400, "information type"),
    ("unknown status", {"status": "on-fire"}, 400, "status"),
    ("wrong unit id", {"unit": "Medicinkliniken"}, 400, "HSA-id"),
    ("no custodian", {"custodian": ""}, 400, "HSA-id"),
    ("count below zero", {"items": -1}, 400, "unsignedInt"),
    ("count too large", {"items": 2**40}, 400, "unsignedInt"),
    ("subject is a list", {"subject": []}, 400, "subject"),
    ("subject without identifier", {"subject": {"reference": "Patient/1"}}, 400, "identifier"),
    ("no system", {"subject": {"identifier": {"system": "", "value": "1"}}}, 400, "URI"),
    ("a unit as person", {"subject": {"identifier": {"system": systems.HSA_ID, "value": UNIT}}}, 400, "URI"),
    ("an endless id", {"subject": {"identifier": {"system": "urn:x:y", "value": "1" * 65}}}, 400, "characters"),
    ("no author", {"author": []}, 400, "author"),
    ("extension is no list", {"extension": {"url": "x"}}, 400, "extension"),
    ("no source system", {"extension": []}, 400, "source system"),
    ("foreign extension", {"extension": [{"url": "https://example.org/x"}]}, 422, "extensions"),
    ("content with data", {"content": [{"attachment": {"data": "QQ=="}}]}, 422, "keeps no content"),
    ("no content", {"content": []}, 400, "content"),
    ("content of another kind", {"content": ["x"]}, 400, "attachment"),
    ("clinical text", {"description": "Allergic to something"}, 422, "description"),
    ("context too much", {"context": {"facilityType": {}}}, 422, "context"),
    ("period backwards", {"context": {"period": BACKWARDS}}, 400, "period"),
    ("another identifier", {"identifier": [{"system": ENTRY_SYSTEM, "value": "other"}]}, 400, "identifier"),
    ("two types", {"category": [{"coding": [{"system": TYPE_SYSTEM, "code": "imaging"}]}]}, 400, "different"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "status", "said"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
async def test_what_cannot_be_is_refused_by_name(
    lasting_index: Index, changed: dict[str, Any], status: int, said: str
) -> None:
    answer = await lasting_index.register(entry_document(**changed))
    issue = answer.json()["issue"][0]
    assert (answer.status_code, said in issue["diagnostics"]) == (status, True), issue
    number = changed.get("number", ASTRID)
    assert number not in answer.text
    assert await stored_of(lasting_index, changed.get("number", ASTRID)) == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "one condition"),
        ({"identifier": "bo-1"}, "system"),
        ({"identifier": f"{ENTRY_SYSTEM}|"}, "1 to 128"),
        ({"identifier": f"{ENTRY_SYSTEM}|with blank"}, "1 to 128"),
        ({"identifier": f"{ENTRY_SYSTEM}|{'x' * 129}"}, "1 to 128"),
        ({"identifier": f"{ENTRY_SYSTEM}|bo-1", "status": "current"}, "one condition"),
    ],
)
async def test_the_condition_names_one_business_object(lasting_index: Index, query: dict[str, str], said: str) -> None:
    headers = {**bearer(SOURCE_NORR), "Content-Type": FHIR}
    answer = await lasting_index.http.put(
        "/patient-index/fhir/DocumentReference", params=query, json=entry_document(), headers=headers
    )
    assert answer.status_code == 400
    assert said in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("name", [ASTRID, f"allergy-{ASTRID}", "570103-2863", "570103+2863"])
async def test_a_business_object_id_with_the_persons_number_is_refused(lasting_index: Index, name: str) -> None:
    answer = await lasting_index.register(entry_document(name))
    assert answer.status_code == 422
    assert "opaque" in answer.text
    assert ASTRID not in answer.text


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{", FHIR, 400),
        (b"[]", FHIR, 400),
        (b'{"resourceType": "Patient"}', FHIR, 400),
        (b"\xff\xfe", FHIR, 400),
        (b'{"resourceType": "DocumentReference"}', FHIR, 400),
        (b"<DocumentReference/>", "application/fhir+xml", 415),
        (b"", FHIR, 400),
        (b"[" * 100_000, FHIR, 400),
        (b" " * 1_100_000, FHIR, 413),
    ],
)
async def test_a_body_that_is_no_document_reference_is_refused(
    lasting_index: Index, body: bytes, media: str, status: int
) -> None:
    answer = await lasting_index.http.put(
        "/patient-index/fhir/DocumentReference",
        params={"identifier": f"{ENTRY_SYSTEM}|bo-1"},
        content=body,
        headers={**bearer(SOURCE_NORR), "Content-Type": media},
    )
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert await stored_of(lasting_index, ASTRID) == 0


async def test_without_a_token_nothing_is_taken(index: Index) -> None:
    answer = await index.http.put("/patient-index/fhir/DocumentReference", json=entry_document())
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
