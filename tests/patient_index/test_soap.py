# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The SOAP face beyond the published cases: bad input as faults, decisions, one table under two faces."""

from dataclasses import replace

from lxml import etree
import pytest
from sqlalchemy import text

from patient_index.update_soap import MAX_BODY
from tests.patient_index.messages import (
    CORE,
    DOMAIN,
    FIND,
    SOAP,
    UPDATE,
    envelope,
    fault_of,
    find_content,
    payload_of,
    row,
    rows_of,
    update,
)
from tests.patient_index.world import ASTRID, BERTIL, PROVIDER, UNIT, Index, clinician, entry_document
from tests.support.callers import DENTIST, SOURCE_MITT, SOURCE_NORR

GOOD = envelope(update([{"deleteFlag": False, "engagement": row(ASTRID)}]))
BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "' + b"x" * 1000 + b'">'
    b'<!ENTITY b "' + b"&a;" * 1000 + b'"><!ENTITY c "' + b"&b;" * 1000 + b'">]>'
)
OUTSIDE = b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]>'


def with_prologue(prologue: bytes, content: bytes = b"dia") -> bytes:
    start, end = GOOD.split(b"?>", 1)
    return start + b"?>" + prologue + end.replace(b">upp<", b">" + content + b"<")


def edited(**changed: str | None) -> bytes:
    return envelope(update([{"deleteFlag": False, "engagement": row(ASTRID, **changed)}]))


async def stored(index: Index) -> int:
    async with index.engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM patient_index.entry"))).scalar_one())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "EI001"),
        (b"not xml", "EI001"),
        (GOOD[:-30], "EI001"),
        (b"<a/>", "EI001"),
        (with_prologue(BOMB, b"&c;"), "EI001"),
        (with_prologue(OUTSIDE, b"&f;"), "EI001"),
        (with_prologue(b"<!DOCTYPE Envelope>"), "EI001"),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(), "EI001"),
        (f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), "EI001"),
        (envelope(find_content({"registeredResidentIdentification": ASTRID, "serviceDomain": DOMAIN})), "EI001"),
        (edited(dataController=None), "EI001"),
        (edited(mostRecentContent="yesterday"), "EI001"),
        (edited(registeredResidentIdentification="19570103-2863"), "EI001"),
        (GOOD.replace(b"u:Update", b"u:Uppdatera"), "EI001"),
        (GOOD.replace(b">false<", b">perhaps<"), "EI001"),
        (edited(registeredResidentIdentification="195701032864"), "EI004"),
        (edited(registeredResidentIdentification="195713012866"), "EI004"),
        (edited(mostRecentContent="29990101000000"), "EI004"),
        (edited(mostRecentContent="20260231000000"), "EI004"),
        (edited(businessObjectInstanceIdentifier="\u00a0x"), "EI004"),
        (envelope(update([{"deleteFlag": False, "engagement": row(ASTRID)}]), None), "EI003"),
        (envelope(update([{"deleteFlag": False, "engagement": row(ASTRID)}] * 2)), "EI002"),
    ],
)
async def test_bad_input_is_a_fault_and_nothing_is_stored(lasting_index: Index, body: bytes, code: str) -> None:
    before = await stored(lasting_index)
    answer = await lasting_index.soap("Update", body)
    fault = fault_of(answer.status_code, answer.content)
    assert (fault.status, fault.code) == (500, code), fault
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert "1957" not in fault.text
    assert await stored(lasting_index) == before


async def test_the_fault_of_the_schema_names_line_and_element(lasting_index: Index) -> None:
    answer = await lasting_index.soap("Update", edited(registeredResidentIdentification="abc"))
    fault = fault_of(answer.status_code, answer.content)
    assert "line 2" in fault.text
    assert "registeredResidentIdentification" in fault.text
    assert "abc" not in fault.text


async def test_too_many_rows_is_ei000(lasting_index: Index) -> None:
    rows = [row(BERTIL, businessObjectInstanceIdentifier=f"b{number}") for number in range(1001)]
    body = envelope(update([{"deleteFlag": False, "engagement": each} for each in rows]))
    answer = await lasting_index.soap("Update", body)
    assert fault_of(answer.status_code, answer.content).code == "EI000"


@pytest.mark.parametrize("operation", ["Update", "FindContent"])
async def test_a_caller_without_token_gets_a_fault(lasting_index: Index, operation: str) -> None:
    answer = await lasting_index.http.post(f"/patient-index/soap/{operation}", content=GOOD)
    assert fault_of(answer.status_code, answer.content).code == "invalid-token"
    assert answer.status_code == 401


async def test_an_update_of_another_providers_row_refuses_all(index: Index) -> None:
    rows = [row(ASTRID), row(ASTRID, dataController="SE0000000022-VG")]
    body = envelope(update([{"deleteFlag": False, "engagement": each} for each in rows]))
    answer = await index.soap("Update", body, SOURCE_NORR)
    assert (answer.status_code, fault_of(403, answer.content).code) == (403, "foreign-custodian")
    assert (await index.soap("Update", GOOD, SOURCE_MITT)).status_code == 403
    without_role = replace(SOURCE_NORR, roles=frozenset({"gateway"}))
    assert (await index.soap("Update", GOOD, without_role)).status_code == 403
    assert await stored(index) == 0


async def test_an_undated_deletion_deletes_and_of_an_unknown_row_leaves_nothing(index: Index) -> None:
    gone = envelope(update([{"deleteFlag": True, "engagement": row(ASTRID, mostRecentContent=None)}]))
    assert (await index.soap("Update", gone)).status_code == 200
    assert await stored(index) == 0
    await index.soap("Update", GOOD)
    assert len(await found(index)) == 1
    await index.soap("Update", gone)
    assert await found(index) == []


async def test_what_soap_registers_locate_lists_and_what_fhir_registers_soap_finds(index: Index) -> None:
    await index.soap("Update", GOOD)
    await index.register(entry_document("bo-fhir"))
    located = (await index.locate(clinician(PROVIDER)))["entry"]
    assert {(each["businessObject"], each["informationType"], each["unit"]) for each in located} == {
        ("BO-1", "alert", UNIT),
        ("bo-fhir", "alert", UNIT),
    }
    assert {each["mostRecent"] for each in located} == {"2026-01-15T11:00:00.000Z", "2026-03-01T09:00:00.000Z"}
    rows = {each["businessObjectInstanceIdentifier"]: each for each in await found(index)}
    assert rows["bo-fhir"]["categorization"] == "upp"
    assert rows["bo-fhir"]["mostRecentContent"] == "20260301100000"
    assert rows["bo-fhir"]["owner"] == "INDEX-OWNER-HSAID"


async def test_rows_the_catalogue_cannot_know_do_not_spoil_the_answer(index: Index) -> None:
    rows = [
        row(ASTRID),
        row(ASTRID, categorization="något nytt", sourceSystem="Journal X"),
        row(ASTRID, logicalAddress="Klinik 7"),
    ]
    body = envelope(update([{"deleteFlag": False, "engagement": each} for each in rows]))
    assert (await index.soap("Update", body)).status_code == 200
    located = (await index.locate(clinician(PROVIDER)))["entry"]
    assert sorted(each["informationType"] for each in located) == ["alert", "alert", "unclassified"]
    assert sum("endpoint" in each for each in located) == 1


async def test_find_content_answers_only_what_is_opened(index: Index) -> None:
    await index.soap("Update", GOOD)
    assert await found(index, DENTIST) == []
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    assert len(await found(index, DENTIST)) == 1
    index.consent.blocked.add(UNIT)
    assert await found(index, DENTIST) == []
    caller, logged = index.audit.entries[-1]
    assert (logged.operation, logged.count, caller.user) == ("find-content", 0, DENTIST.user)


async def test_a_block_of_a_unit_holds_whatever_the_case_of_the_id_in_the_row(index: Index) -> None:
    await index.soap("Update", edited(logicalAddress=UNIT.lower()))
    index.consent.given.add((index.key(), "SE0000000044-VG"))
    index.consent.blocked.add(UNIT)
    assert await found(index, DENTIST) == []


async def test_unknown_elements_of_another_namespace_are_taken_and_ignored(index: Index) -> None:
    message = update([{"deleteFlag": False, "engagement": row(ASTRID)}])
    engagement = message.find(f".//{{{CORE}}}engagement")
    assert engagement is not None
    etree.SubElement(engagement, "{urn:other}more").text = "x"
    etree.SubElement(message, "{urn:other}more")
    assert (await index.soap("Update", envelope(message))).status_code == 200
    assert len(await found(index)) == 1


async def found(index: Index, caller: object = None) -> list[dict[str, str]]:
    query = find_content({"registeredResidentIdentification": ASTRID, "serviceDomain": DOMAIN})
    asker = caller if isinstance(caller, type(DENTIST)) else clinician(PROVIDER)
    answer = await index.soap("FindContent", envelope(query), asker)
    assert answer.status_code == 200, answer.text
    return rows_of(payload_of(answer.content))


def test_names_are_those_of_the_contract() -> None:
    from patient_index import soap

    assert (soap.UPDATE, soap.FIND_CONTENT, soap.CORE, soap.ENVELOPE) == (UPDATE, FIND, CORE, SOAP)


async def test_the_largest_message_of_the_contract_is_taken(index: Index) -> None:
    """1,000 rows with every element, written for people to read: more than a request may have elsewhere."""
    rows = [
        {"deleteFlag": False, "engagement": row(ASTRID, **{
            "businessObjectInstanceIdentifier": f"{number:04}".rjust(128, "ö"),
            "clinicalProcessInterestId": "å" * 128,
            "serviceDomain": DOMAIN.ljust(255, "x"),
        })}
        for number in range(1000)
    ]  # fmt: skip
    body = etree.tostring(etree.fromstring(envelope(update(rows))), pretty_print=True, encoding="UTF-8")
    assert len(body) > 1_300_000
    answer = await index.soap("Update", body)
    assert payload_of(answer.content).findtext(f"{{{UPDATE}}}ResultCode") == "OK"
    assert await stored(index) == 1000


async def test_a_larger_message_is_refused(index: Index) -> None:
    answer = await index.soap("Update", GOOD + b" " * MAX_BODY)
    assert fault_of(answer.status_code, answer.content).status == 413
    assert await stored(index) == 0
