# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
from collections.abc import AsyncIterator
import logging
import re
import time
from typing import Any

import fhirkit
import httpx2
import pytest
from starlette.responses import JSONResponse, Response

from consent.client import DisclosureMode
from gateway.settings import GatewaySettings
from identifiers.person_number import PersonIdentifier
from tests.gateway import toys
from tests.gateway.records import ASTRID, BERTIL, MITT, NORR, SYD, alert, allergy, composition, message, searchset
from tests.gateway.toys import KEYS, Stage, drip, entry, hang, says, staged
from tests.support.callers import DENTIST, TRANSFER, bearer, patient

SETTINGS = GatewaySettings(source_seconds=0.6, total_seconds=1.5, max_answer_bytes=200_000)


@pytest.fixture(scope="module")
async def everything() -> AsyncIterator[Stage]:
    async with staged(SETTINGS) as running:
        yield running


@pytest.fixture
def stage(everything: Stage) -> Stage:
    everything.reset()
    return everything


async def ask(stage: Stage, identifier: PersonIdentifier = ASTRID, **headers: str) -> httpx2.Response:
    return await stage.http.post(
        f"{stage.base}/AllergyIntolerance/_search",
        data={"patient.identifier": f"{identifier.system}|{identifier.value}"},
        headers={**bearer(DENTIST), **headers},
    )


async def read(stage: Stage) -> dict[str, Any]:
    answer = await ask(stage)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    assert not fhirkit.validate(bundle)
    for each in bundle.get("entry", []):
        assert not fhirkit.validate(each["resource"]), each["resource"]["resourceType"]
    return bundle


def matches(bundle: dict[str, Any]) -> list[str]:
    found = [e["resource"]["code"] for e in bundle.get("entry", []) if e["search"]["mode"] == "match"]
    return [each.get("text") or each["coding"][0]["display"] for each in found]


def of_type(bundle: dict[str, Any], resource_type: str) -> list[dict[str, Any]]:
    found = [each["resource"] for each in bundle.get("entry", [])]
    return [each for each in found if each["resourceType"] == resource_type]


def issues(bundle: dict[str, Any], code: str) -> list[dict[str, Any]]:
    told = [issue for outcome in of_type(bundle, "OperationOutcome") for issue in outcome["issue"]]
    return [each for each in told if each["details"]["coding"][0]["code"] == code]


async def test_three_kinds_of_source_become_one_bundle(stage: Stage) -> None:
    bundle = await read(stage)
    assert matches(bundle) == ["Penicillin", "Naturgummilatex", "cefuroxim"]
    assert bundle["total"] == 3
    assert len(of_type(bundle, "Flag")) == 1
    provenances = of_type(bundle, "Provenance")
    assert len(provenances) == 3
    for region, provenance in zip((NORR, MITT, SYD), provenances, strict=True):
        agents = {a["type"]["coding"][0]["code"]: a["who"]["identifier"]["value"] for a in provenance["agent"]}
        assert agents == {"custodian": f"{region}-VG", "author": f"{region}-VE1", "assembler": SETTINGS.hsa_id}
    urls = {each["fullUrl"] for each in bundle["entry"] if "fullUrl" in each}
    assert {t["reference"] for p in provenances for t in p["target"]} <= urls
    assert issues(bundle, "mapping-loss")
    assert len(issues(bundle, "source-answered")) == 3
    assert bundle["link"] == [{"relation": "self", "url": f"{stage.base}/AllergyIntolerance/_search"}]


async def test_ids_are_the_same_at_the_next_reading(stage: Stage) -> None:
    first, second = (await read(stage), await read(stage))
    assert [e["fullUrl"] for e in first["entry"][:7]] == [e["fullUrl"] for e in second["entry"][:7]]


async def test_each_read_is_logged_with_decision_holders_and_count(stage: Stage) -> None:
    await read(stage)
    ((caller, logged),) = stage.audit.entries
    assert caller.user == DENTIST.user
    assert (logged.operation, logged.action, logged.outcome, logged.count) == ("read", "R", "success", 3)
    assert logged.holders == tuple(f"{region}-VE1" for region in (NORR, MITT, SYD))
    assert (logged.decision, logged.ground, logged.person) == ("decision-1", "consent", KEYS.of(ASTRID))


async def test_a_source_that_hangs_is_named_and_the_others_answer(stage: Stage) -> None:
    stage.mitt.behaviour = hang
    started = time.monotonic()
    bundle = await read(stage)
    assert time.monotonic() - started < SETTINGS.total_seconds
    assert matches(bundle) == ["Penicillin", "cefuroxim"]
    (told,) = issues(bundle, "source-silent")
    assert (told["severity"], told["code"]) == ("warning", "timeout")
    assert told["details"]["text"].startswith("Kliniken Mitt: ")


async def test_a_source_that_drips_is_cut_at_the_deadline(stage: Stage) -> None:
    stage.syd.behaviour = drip
    started = time.monotonic()
    bundle = await read(stage)
    assert time.monotonic() - started < SETTINGS.total_seconds
    assert len(issues(bundle, "source-silent")) == 1
    assert len(matches(bundle)) == 2


async def test_a_source_that_is_down_is_silent(stage: Stage) -> None:
    stage.index.entries[0] = entry(NORR, "http://127.0.0.1:9/fhir", "fhir-rest")
    assert len(issues(await read(stage), "source-silent")) == 1


FAULT = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault/></s:Body></s:Envelope>'
RESULT_SET = {
    "columns": [{"name": "ehr"}, {"name": "subject"}, {"name": "uid"}],
    "rows": [["e", BERTIL.value, "u::s::1"]],
}
BROKEN: list[tuple[str, toys.Behaviour, str]] = [
    ("syd", says(FAULT, 500), "SOAP fault"),
    ("syd", says(b"<broken"), "no well-formed XML"),
    ("syd", says(b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'), "document type"),
    ("syd", says(message(alert().replace("20230918093000", "2023-09-18"))), "breaks the contract's schema"),
    ("syd", says(message(alert(BERTIL.value))), "about another person"),
    ("syd", says(message(result="<d:resultCode>ERROR</d:resultCode><d:logId>1</d:logId>")), "business error"),
    ("norr", says(b"{broken"), "no JSON"),
    ("norr", says(b"[" * 5000), "nested too deeply"),
    ("norr", says({"resourceType": "Patient"}), "no searchset"),
    ("norr", says(searchset(allergy(BERTIL.value))), "about another person"),
    ("norr", says(searchset(allergy(reaction=[{"severity": "mild"}]))), "not valid FHIR"),
    ("norr", says({**searchset(), "link": [{"relation": "next", "url": "http://127.0.0.1:9/x"}]}), "another server"),
    ("norr", says(b"x" * 300_000), "larger than"),
    ("norr", says({}, 401), "HTTP status 401"),
    ("mitt", says({"rows": 1}), "no AQL result set"),
    ("mitt", says(RESULT_SET), "another subject"),
    ("mitt", says({}, 408), "HTTP status 408"),
]


@pytest.mark.parametrize(
    ("name", "behaviour", "reason"), BROKEN, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_an_answer_that_is_not_its_protocol_fails_with_its_reason(
    stage: Stage, name: str, behaviour: toys.Behaviour, reason: str
) -> None:
    getattr(stage, name).behaviour = behaviour
    bundle = await read(stage)
    (told,) = issues(bundle, "source-failed")
    assert reason in told["details"]["text"]
    assert len(matches(bundle)) == 2
    assert BERTIL.value not in told["details"]["text"]


async def test_when_no_source_answers_it_is_an_error_that_names_each(stage: Stage) -> None:
    stage.norr.behaviour, stage.mitt.behaviour, stage.syd.behaviour = hang, says({}, 500), says(b"<broken")
    answer = await ask(stage)
    assert answer.status_code == 502
    codes = [each["details"]["coding"][0]["code"] for each in answer.json()["issue"]]
    assert codes == ["no-source-answered", "source-silent", "source-failed", "source-failed"]


async def test_the_total_holds_however_many_sources_there_are(stage: Stage) -> None:
    stage.syd.behaviour = hang
    address = stage.index.entries[2].endpoint
    assert address is not None
    more = [entry(SYD, f"{address.address}/{n}", "rivta-soap", f"{SYD}-VE{n}") for n in range(2, 12)]
    stage.index.entries += more
    stage.index.seconds = 0.8
    started = time.monotonic()
    bundle = await read(stage)
    assert time.monotonic() - started < SETTINGS.total_seconds
    assert len(issues(bundle, "source-silent")) == 11


async def test_an_index_that_takes_the_whole_time_is_a_timeout(stage: Stage) -> None:
    stage.index.seconds = 3
    answer = await ask(stage)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (504, "timeout")


async def test_without_consent_the_law_is_told_and_no_source_is_asked(stage: Stage) -> None:
    stage.index.refused = "NO_CONSENT"
    answer = await ask(stage)
    assert answer.status_code == 403
    told = answer.json()["issue"][0]
    assert told["details"]["coding"][0]["code"] == "no-consent"
    assert "SVOD 3 kap. 1 §" in told["diagnostics"]
    assert not any(toy.lines for toy in stage.toys)
    assert stage.audit.entries[-1][1].outcome == "denied"


async def test_a_blocked_unit_is_not_asked_and_nobody_is_named(stage: Stage) -> None:
    del stage.index.entries[1]
    stage.index.blocked = True
    bundle = await read(stage)
    (told,) = issues(bundle, "blocked-information-exists")
    assert told["severity"] == "information"
    assert "Mitt" not in str(bundle)
    assert not stage.mitt.lines


async def test_in_ehds_mode_nothing_is_said_of_blocks(stage: Stage) -> None:
    del stage.index.entries[1]
    stage.index.blocked, stage.consent.mode = None, DisclosureMode.EHDS
    assert not issues(await read(stage), "blocked-information-exists")


async def test_a_block_set_in_between_holds_although_the_source_answered(stage: Stage) -> None:
    """The record is decided on again when it has been fetched."""
    asked: list[bool] = []

    def first_time_only(entity: object) -> bool:
        asked.append(True)
        return len(asked) <= 3

    stage.consent.permits = first_time_only
    bundle = await read(stage)
    assert matches(bundle) == []
    assert stage.audit.entries[-1][1].detail["withheld"] == 3


@pytest.mark.parametrize("unit", [f"{SYD}-VE7", f"{MITT}-VE1"])
async def test_a_record_of_a_unit_that_was_not_opened_stays_here(stage: Stage, unit: str) -> None:
    stage.syd.behaviour = says(message(alert(unit=unit), alert(document="d-2")))
    bundle = await read(stage)
    assert matches(bundle).count("cefuroxim") == 1
    assert stage.audit.entries[-1][1].detail["withheld"] == 1


async def test_a_record_of_another_provider_stays_here(stage: Stage) -> None:
    other = alert().replace(f"{SYD}-VG", f"{MITT}-VG")
    stage.syd.behaviour = says(message(other))
    assert len(matches(await read(stage))) == 2


async def test_a_record_without_unit_is_decided_on_as_any_unit_of_its_provider(stage: Stage) -> None:
    stage.consent.permits = lambda entity: entity.unit is not None
    stage.mitt.behaviour = toys.openehr_source
    bundle = await read(stage)
    # The toy FHIR source names no unit; where a block of any unit could be meant, its record stays here.
    assert matches(bundle) == ["Naturgummilatex", "cefuroxim"]
    assert "do not say at which unit" in issues(bundle, "source-failed")[0]["details"]["text"]
    stage.consent.mode, stage.index.blocked = DisclosureMode.EHDS, None
    assert not issues(await read(stage), "source-failed")


async def test_two_units_of_one_system_are_asked_in_one_call(stage: Stage) -> None:
    endpoint = stage.index.entries[2].endpoint
    assert endpoint is not None
    stage.index.entries.append(entry(SYD, endpoint.address, "rivta-soap", f"{SYD}-VE2"))
    stage.syd.behaviour = says(message(alert(), alert(document="d-2", unit=f"{SYD}-VE2")))
    bundle = await read(stage)
    assert len(stage.syd.lines) == 1
    assert f"{SYD}-VE2" in stage.syd.bodies[0].decode()
    assert len(of_type(bundle, "Provenance")) == 4


async def test_a_patient_does_not_see_what_is_not_approved_for_her(stage: Stage) -> None:
    stage.syd.behaviour = says(message(alert(approved="false")))
    form = {"patient.identifier": f"{ASTRID.system}|{ASTRID.value}"}
    url, headers = f"{stage.base}/AllergyIntolerance/_search", bearer(patient(KEYS.of(ASTRID)))
    assert len(matches((await stage.http.post(url, data=form, headers=headers)).json())) == 2
    assert len(matches(await read(stage))) == 3


async def test_codes_are_translated_by_the_maps_that_are_loaded(stage: Stage) -> None:
    target = "http://hl7.org/fhir/reaction-event-severity"
    stage.terminology.table[("urn:oid:1.2.752.129.2.2.3.3", "sk", target)] = "moderate"
    reactions = [each["reaction"] for each in of_type(await read(stage), "AllergyIntolerance") if "reaction" in each]
    assert reactions[-1][0]["severity"] == "moderate"


async def test_a_terminology_that_is_down_costs_codes_not_the_read(stage: Stage) -> None:
    stage.terminology.down = True
    bundle = await read(stage)
    assert len(matches(bundle)) == 3
    assert [each for each in issues(bundle, "mapping-loss") if "no map" in each["details"]["text"]]


async def test_an_endpoint_of_an_unknown_kind_or_none_is_told(stage: Stage) -> None:
    stage.index.entries[0] = entry(NORR, "http://127.0.0.1:9/", "carrier-pigeon")
    assert len(issues(await read(stage), "source-unreachable")) == 1


async def test_a_person_nothing_is_held_about(stage: Stage) -> None:
    stage.index.entries.clear()
    bundle = await read(stage)
    assert bundle["total"] == 0
    assert len(issues(bundle, "no-source-known")) == 1


async def test_no_number_stands_in_any_url_or_log_line(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await read(stage)
    stage.syd.behaviour = says(message(alert(BERTIL.value)))
    await read(stage)
    lines = [line for toy in stage.toys for line in toy.lines]
    number = re.compile(r"195701032863|5701032863|570103-2863|199001032391|9001032391")
    assert len(lines) >= 8
    assert not [line for line in lines if number.search(line)]
    ours = [
        r.getMessage()
        for r in caplog.records
        if not r.name.startswith(("httpcore", "asyncio", "uvicorn", "python_multipart"))
    ]
    assert not [line for line in ours if number.search(line)]


async def test_the_callers_token_and_trace_go_along(stage: Stage) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    await ask(stage, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    for toy in stage.toys:
        assert trace in toy.lines[0]
        assert bearer(DENTIST)["Authorization"] in toy.lines[0]


async def test_a_search_by_get_is_served_and_its_number_stands_nowhere(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{stage.base}/AllergyIntolerance?patient.identifier={ASTRID.system}|{ASTRID.value}"
    answer = await stage.http.get(url, headers=bearer(DENTIST))
    assert answer.status_code == 200
    assert ASTRID.value not in str(answer.json()["link"])
    assert ASTRID.value not in capsys.readouterr().out
    for toy in stage.toys:
        assert ASTRID.value not in toy.lines[0].splitlines()[0]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid-value"),
        ({"patient.identifier": ASTRID.value}, "invalid-value"),
        ({"patient.identifier": f"{ASTRID.system}|195701032864"}, "invalid-person-number"),
        ({"patient.identifier": f"{ASTRID.system}|{ASTRID.value}", "code": "x"}, "not-supported"),
    ],
)
async def test_a_faulty_search_is_told_what_to_send(stage: Stage, form: dict[str, str], code: str) -> None:
    answer = await stage.http.post(f"{stage.base}/AllergyIntolerance/_search", data=form, headers=bearer(DENTIST))
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == code
    assert "19570103" not in answer.text


def for_register(identifier: PersonIdentifier = ASTRID, unit: str = f"{SYD}-VE1") -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "identifier", "valueIdentifier": {"system": identifier.system, "value": identifier.value}},
            {"name": "unit", "valueString": unit},
            {"name": "register", "valueString": "SE0000000055-REG"},
        ],
    }


async def transfer(stage: Stage, body: dict[str, Any], caller: Any = TRANSFER) -> httpx2.Response:
    return await stage.http.post(f"{stage.base}/AllergyIntolerance/$for-register", json=body, headers=bearer(caller))


async def test_a_register_gets_one_units_records(stage: Stage) -> None:
    answer = await transfer(stage, for_register())
    assert answer.status_code == 200, answer.text
    assert matches(answer.json()) == ["cefuroxim"]
    assert not stage.norr.lines and not stage.mitt.lines
    assert stage.consent.asked[0].register == "SE0000000055-REG"
    logged = stage.audit.entries[-1][1]
    assert (logged.operation, logged.detail["register"]) == ("register-transfer", "SE0000000055-REG")


async def test_who_has_objected_is_not_fetched(stage: Stage) -> None:
    stage.consent.permits = lambda entity: False
    answer = await transfer(stage, for_register())
    assert answer.status_code == 403
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "register-opt-out"
    assert not stage.syd.lines


async def test_only_the_transfer_fetches_for_a_register(stage: Stage) -> None:
    assert (await transfer(stage, for_register(), DENTIST)).status_code == 403
    assert (await transfer(stage, for_register(unit="x"))).status_code == 400
    assert (await transfer(stage, for_register(unit="SE0000000077-VE1"))).status_code == 400


async def test_openehr_may_answer_in_xml(stage: Stage) -> None:
    content = (
        b'<composition xmlns="http://schemas.openehr.org/v1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        b"<uid><value>u::s::1</value></uid><content xsi:type='EVALUATION' "
        b"archetype_node_id='openEHR-EHR-EVALUATION.adverse_reaction_risk.v0'>"
        b"<data archetype_node_id='at0001'><items xsi:type='ELEMENT' archetype_node_id='at0002'>"
        b"<value xsi:type='DV_TEXT'><value>Jod</value></value></items></data></content></composition>"
    )

    async def answer(request: Any) -> Any:
        if "query" in request.url.path:
            return await toys.openehr_source(request)
        return Response(content, media_type="application/xml")

    stage.mitt.behaviour = answer
    assert "Jod" in matches(await read(stage))


async def test_further_pages_are_read_at_the_same_server(stage: Stage) -> None:
    async def paged(request: Any) -> Any:
        if request.method == "GET":
            return JSONResponse(searchset(allergy(id_="n-2", code={"text": "Jod"})))
        next_page = str(request.url.replace(path="/fhir", query="page=2"))
        return JSONResponse({**searchset(allergy()), "link": [{"relation": "next", "url": next_page}]})

    stage.norr.behaviour = paged
    assert matches(await read(stage))[:2] == ["Penicillin", "Jod"]


async def test_compositions_without_reactions_give_nothing_and_say_so(stage: Stage) -> None:
    note = {"_type": "OBSERVATION", "archetype_node_id": "openEHR-EHR-OBSERVATION.progress_note.v1", "x": "y"}
    stage.mitt.behaviour = said_by(composition(note))
    assert len(matches(await read(stage))) == 2


def said_by(value: dict[str, Any]) -> toys.Behaviour:
    async def answer(request: Any) -> Any:
        return await toys.openehr_source(request) if "query" in request.url.path else JSONResponse(value)

    return answer
