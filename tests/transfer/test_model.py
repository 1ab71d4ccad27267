# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The pure rules: variables, plan, message, answer, waits."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
import pytest

from fhir_server.outcome import Invalid
from fhir_server.retry import Backoff, retry_after
from identifiers.person_key import PersonKey
from tests.transfer.world import ASTRID, NORR, REGISTER, allergy
from transfer.model.message import Acknowledged, Destination, Refused, Subject, TryAgain, message, result
from transfer.model.plan import Cancel, Kind, Quarantine, Record, RecordState, Release, Retract, Submit, plan
from transfer.model.register import new_pseudonym, register
from transfer.model.variables import DEFAULT_REQUIRED, Found, found

NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
MESSAGE = UUID("01910000-0000-7000-8000-000000000001")
RECORD = UUID("01910000-0000-7000-8000-000000000002")


def test_only_the_variables_are_left() -> None:
    content = found(allergy("a1"), NORR, DEFAULT_REQUIRED).content
    assert content is not None
    assert set(content) == {
        "clinicalStatus", "verificationStatus", "category", "criticality", "code", "recordedDate", "recorder",
        "reaction",
    }  # fmt: skip
    text = json.dumps(content)
    assert "Astrid" not in text and ASTRID not in text and "Testsson" not in text and "display" not in text


def test_order_and_display_make_no_new_version_and_a_code_does() -> None:
    two = [{"system": "s", "code": "L270"}, {"system": "s", "code": "J459"}]
    one = found(allergy("a1", reaction=[{"manifestation": [{"coding": [each]} for each in two]}]), NORR, ())
    turned = found(allergy("a1", reaction=[{"manifestation": [{"coding": [each]} for each in two[::-1]]}]), NORR, ())
    shown = found(allergy("a1", code={"coding": [{"system": "s", "code": "c", "display": "x"}]}), NORR, ())
    silent = found(allergy("a1", code={"coding": [{"system": "s", "code": "c"}]}), NORR, ())
    assert one.content_hash == turned.content_hash
    assert shown.content_hash == silent.content_hash != one.content_hash


def test_a_record_without_identity_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        found({"resourceType": "AllergyIntolerance"}, NORR, ())
    assert found(allergy("a1", identifier=None), NORR, ()).source_record == "a1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": None}, "mandatory-missing:code"),
        ({"code": {"text": "  "}}, "mandatory-missing:code"),
        ({"recordedDate": None}, "mandatory-missing:recorded-date"),
        ({"code": {"text": f"{ASTRID}"}}, "person-number-in-text"),
        ({"code": {"text": f"pnr {ASTRID[2:8]}-{ASTRID[8:]}!"}}, "person-number-in-text"),
        ({"code": {"text": f"{ASTRID[:8]} {ASTRID[8:]}"}}, "person-number-in-text"),
        ({"reaction": [{"manifestation": [{"text": f"se {ASTRID[2:]}"}]}]}, "person-number-in-text"),
        ({"code": {"text": "telefon 0701234567"}}, None),
        ({"code": {"coding": [{"system": "http://snomed.info/sct", "code": "195701032863"}]}}, None),
    ],
)
def test_quarantine(changes: dict[str, Any], reason: str | None) -> None:
    assert found(allergy("a1", **changes), NORR, DEFAULT_REQUIRED).quarantine == reason


def _found(identity: str, content: int | None) -> Found:
    """-1 is quarantined, None withdrawn."""
    if content is None:
        return Found(identity, None, None)
    if content < 0:
        return Found(identity, None, None, "mandatory-missing:code")
    return Found(identity, {"n": content}, bytes([content]))


def _record(identity: str, content: int | None, state: RecordState, **more: Any) -> Record:
    hash_ = None if content is None else bytes([content])
    return Record(f"key-{identity}", identity, 1, hash_, state, **{"attempted": True, **more})


def test_the_plan() -> None:
    same = _record("same", 1, RecordState.delivered)
    other = _record("other", 1, RecordState.delivered)
    gone = _record("gone", 1, RecordState.delivered)
    never_left = _record("never-left", 1, RecordState.pending, attempted=False)
    wrong = _record("wrong", 1, RecordState.pending)
    back = _record("back", None, RecordState.retracted)
    bad = _record("bad", 1, RecordState.delivered)
    cured = _record("cured", 1, RecordState.delivered, quarantine="mandatory-missing:code")
    actions = plan(
        [same, other, gone, never_left, wrong, back, bad, cured],
        [_found("same", 1), _found("other", 2), _found("wrong", None), _found("back", 1), _found("bad", -1),
         _found("cured", 1), _found("new", 3), _found("new-and-wrong", None), _found("new-and-bad", -1)],
    )  # fmt: skip
    expected = [
        Submit(other, _found("other", 2)),
        Retract(wrong),
        Submit(back, _found("back", 1)),
        Quarantine(bad, "bad", "mandatory-missing:code"),
        Release(cured),
        Submit(None, _found("new", 3)),
        Quarantine(None, "new-and-bad", "mandatory-missing:code"),
        Retract(gone),
        Cancel(never_left),
    ]
    assert sorted(actions, key=repr) == sorted(expected, key=repr)
    assert [type(each) for each in plan([gone], [])] == [Retract]
    assert plan([_record("x", None, RecordState.retracting)], []) == ()


_contents = st.one_of(st.none(), st.integers(-1, 3))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 3), st.sampled_from(RecordState)), max_size=4),
    st.dictionaries(st.sampled_from("abcd"), _contents, max_size=4),
)
def test_after_the_plan_the_register_mirrors_the_unit(
    known: dict[str, tuple[int, RecordState]], holds: dict[str, int | None]
) -> None:
    gone = (RecordState.retracting, RecordState.retracted)
    records = [
        _record(identity, None if state in gone else content, state) for identity, (content, state) in known.items()
    ]
    mirror = {identity: content for identity, (content, state) in known.items() if state not in gone}
    actions = plan(records, [_found(identity, content) for identity, content in holds.items()])
    for action in actions:
        match action:
            case Submit(found=each):
                mirror[each.source_record] = dict(each.content or {})["n"]
            case Retract(record=record) | Cancel(record=record):
                del mirror[record.source_record]
            case _:
                pass
    for identity in set(known) | set(holds):
        content = holds.get(identity)
        if content is None:
            assert identity not in mirror
        elif content >= 0:
            assert mirror[identity] == content
    touched = [_source_record(action) for action in actions]
    assert len(touched) == len(set(touched))


def _source_record(action: Any) -> str:
    match action:
        case Submit(found=each):
            return each.source_record
        case Quarantine(source_record=identity):
            return identity
        case _:
            return str(action.record.source_record)


def _message(kind: Kind = Kind.upsert) -> dict[str, Any]:
    content = found(allergy("a1"), NORR, ()).content or {}
    sent = message(
        kind, Subject("key", 3, "PSEUDONYM"), {} if kind is Kind.retract else content,
        Destination(REGISTER, "https://register.example", "SE0000000099-OP"),
        message_id=MESSAGE, record_id=RECORD, now=NOW,
    )  # fmt: skip
    return dict(json.loads(sent))


def test_the_message_is_a_fhir_message() -> None:
    bundle = _message()
    header, record = (each["resource"] for each in bundle["entry"])
    assert (bundle["type"], header["resourceType"], header["eventCoding"]["code"]) == (
        "message",
        "MessageHeader",
        "upsert",
    )
    assert header["focus"] == [{"reference": bundle["entry"][1]["fullUrl"]}]
    assert record["identifier"][0]["value"] == "key"
    assert record["meta"] == {"versionId": "3"}
    assert record["patient"]["identifier"]["value"] == "PSEUDONYM"


def test_a_retraction_says_only_what_to_erase() -> None:
    record = _message(Kind.retract)["entry"][1]["resource"]
    assert set(record) == {"resourceType", "meta", "identifier", "patient", "verificationStatus"}


@pytest.mark.parametrize("kind", list(Kind))
def test_messages_are_valid_r4(kind: Kind) -> None:
    from fhir.resources.R4B.bundle import Bundle

    Bundle.model_validate(_message(kind))


def _answer(identifier: str = str(MESSAGE), code: str = "ok", **header: Any) -> bytes:
    value = {"resourceType": "MessageHeader", "response": {"identifier": identifier, "code": code}, **header}
    issue = {"severity": "error", "diagnostics": "because"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return json.dumps(
        {"resourceType": "Bundle", "type": "message", "entry": [{"resource": value}, {"resource": outcome}]}
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, _answer(), Acknowledged()),
        (200, _answer(code="transient-error"), TryAgain("transient-error")),
        (200, _answer(code="fatal-error"), Refused("fatal-error: because")),
        (200, _answer(code="fine"), TryAgain("broken-answer: unknown response code")),
        (200, _answer("another"), TryAgain("broken-answer: the response is to another message")),
        (200, b"", TryAgain("broken-answer: no message with MessageHeader.response")),
        (200, b"<html>", TryAgain("broken-answer: no message with MessageHeader.response")),
        (200, b"[]", TryAgain("broken-answer: no message with MessageHeader.response")),
        (200, _answer(resourceType="Basic"), TryAgain("broken-answer: no message with MessageHeader.response")),
        (200, _answer(response="ok"), TryAgain("broken-answer: no message with MessageHeader.response")),
        (202, b"", TryAgain("broken-answer: no message with MessageHeader.response")),
        (503, b"", TryAgain("http-503")),
        (408, b"", TryAgain("http-408")),
        (429, b"", TryAgain("http-429")),
        (401, b"", TryAgain("http-401")),
        (302, b"", TryAgain("http-302")),
        (422, _answer(), Refused("http-422: because")),
        (400, b"?", Refused("http-400: no reason given")),
        (400, b'{"resourceType":"OperationOutcome","issue":5}', Refused("http-400: no reason given")),
        (409, b'{"resourceType":"OperationOutcome","issue":[{"details":{"text":"x"}}]}', Refused("http-409: x")),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, expected: object) -> None:
    assert result(status, {}, body, str(MESSAGE), NOW) == expected


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_by_chance_is_an_acknowledgement(status: int, body: bytes) -> None:
    assert not isinstance(result(status, {}, body, str(MESSAGE), NOW), Acknowledged)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("120", 120), ("soon", None), ("99999999999", 86400), ("-5", None),
     ("Mon, 04 May 2026 08:00:30 GMT", 30), ("Mon, 04 May 2026 07:00:00 GMT", 0)],
)  # fmt: skip
def test_retry_after(header: str | None, seconds: int | None) -> None:
    assert retry_after(header, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.integers(-3, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_double_to_the_cap_and_are_spread(attempts: int, chance: float) -> None:
    seconds = Backoff(1, 300).seconds(attempts, chance)
    assert 0.5 <= seconds <= 300
    assert Backoff(1, 300).next(attempts, chance, NOW, timedelta(hours=1)) == NOW + timedelta(hours=1)


def test_a_pseudonym_cannot_be_made_again_without_its_nonce() -> None:
    person, key = PersonKey(bytes(16)), bytes(32)
    made = {new_pseudonym(key, person, nonce) for nonce in (b"1", b"2")} | {new_pseudonym(b"k" * 32, person, b"1")}
    assert len(made) == 3
    assert all(len(each) == 32 and person.hex() not in each.lower() for each in made)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hsa_id": "REG"}, "HSA-id"),
        ({"address": "register"}, "https"),
        ({"information_types": ()}, "at least one"),
        ({"information_types": ("imaging",)}, "imaging"),
        ({"required": ("shoe-size",)}, "shoe-size"),
        ({"purpose_sv": " "}, "purpose"),
    ],
)
def test_a_register_must_be_whole(changes: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {
        "hsa_id": REGISTER, "name": "R", "address": "https://r.example/", "information_types": ("alert",),
        "required": (), "purpose_sv": "a", "purpose_en": "b",
    }  # fmt: skip
    assert register(**values).address == "https://r.example"
    with pytest.raises(Invalid, match=text):
        register(**{**values, **changes})


def test_a_source_record_is_known_by_the_source_that_gave_it() -> None:
    def given(assigner: str) -> str:
        system = "https://ndi.example/fhir/NamingSystem/source-record"
        own = {"system": system, "value": "17", "assigner": {"identifier": {"value": assigner}}}
        return found(allergy("a1", identifier=[{"value": "x"}, own]), NORR, ()).source_record

    assert given("SE0000000011-SYS") != given("SE0000000022-SYS")
