# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The access document, the caller and the question become decisions: the worked example, in both modes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consent.client import Decision, Decisions, Disclosure, DisclosureMode, Entity, Operation, Question
from consent.model.access import decide_question
from consent.model.document import EMPTY, AccessDocument, CareRelation, Entry, Kind
from consent.model.period import Period
from fhir_server.context import Caller
from identifiers.person_key import PersonKey
from tests.support.callers import DENTIST, OPERATOR, SOURCE_NORR, TRANSFER, patient

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PERSON, STRANGER = PersonKey(bytes(16)), PersonKey(bytes([1] * 16))
NORR = Entity("SE0000000011-VG", "SE0000000011-VE1", "alert")
MITT = Entity("SE0000000022-VG", "SE0000000022-VE1", "alert")
ANEMONEN = Entity("SE0000000044-VG", "SE0000000044-VE1", "alert")
REGISTER = "SE0000000055-REG"

RELATION = CareRelation(
    "r", "SE0000000044-VG", "SE0000000044-VE1", "SE0000000044-D1", Period(NOW, NOW + timedelta(hours=1))
)
CONSENT = Entry("c", Kind.shared_record, "SE0000000044-VG")
BLOCK_NORR = Entry("b", Kind.outer_block, "SE0000000011-VE1", "SE0000000011-VG")
OPT_OUT = Entry("o", Kind.register_opt_out, REGISTER)

RELATED = AccessDocument((), (RELATION,))
CONSENTED = RELATED.with_entry(CONSENT)
BLOCKED = CONSENTED.with_entry(BLOCK_NORR)


def ask(
    document: AccessDocument,
    *entities: Entity,
    caller: Caller = DENTIST,
    operation: Operation = Operation.read_content,
    mode: DisclosureMode = DisclosureMode.SE,
    now: datetime = NOW,
    register: str | None = None,
) -> Decisions:
    question = Question(PERSON, operation, entities, register)
    return decide_question("id", document, caller, question, mode=mode, now=now)


def one(document: AccessDocument, entity: Entity = NORR, **more: Any) -> Decision:
    return ask(document, entity, **more).items[0]


def test_without_a_relation_nothing_but_existence() -> None:
    answer = ask(EMPTY, NORR)
    assert (answer.items[0].reason, answer.items[0].disclosure) == ("NO_PATIENT_RELATION", Disclosure.none)
    assert (answer.unblocked_exist, answer.blocked_exist) == (True, False)


@pytest.mark.parametrize("operation", [Operation.read_content, Operation.list_holders])
def test_relation_without_consent(operation: Operation) -> None:
    decision = one(RELATED, operation=operation)
    assert (decision.permitted, decision.reason, decision.blocked) == (False, "NO_CONSENT", False)


def test_existence_is_told_yes_or_no_before_consent() -> None:
    answer = ask(RELATED, NORR, operation=Operation.existence)
    assert (answer.items[0].permitted, answer.items[0].disclosure) == (True, Disclosure.existence)
    assert answer.items[0].law == "SVOD 2 kap. 4 § andra stycket"
    assert answer.unblocked_exist and answer.blocked_exist is False
    assert ask(RELATED, operation=Operation.existence).unblocked_exist is False


@pytest.mark.parametrize("operation", [Operation.read_content, Operation.list_holders])
def test_relation_and_consent_permit(operation: Operation) -> None:
    decision = one(CONSENTED, operation=operation)
    assert (decision.permitted, decision.reason, decision.ground) == (True, "SVOD_3_1", "consent")
    assert decision.disclosure is Disclosure.full


def test_own_records_need_no_consent() -> None:
    decision = one(EMPTY, ANEMONEN)
    assert (decision.permitted, decision.reason, decision.ground) == (True, "PDL_4_1", "own-record")


@pytest.mark.parametrize("where", ["SE0000000011-VE1", "SE0000000011-VG", "se0000000011-ve1"])
def test_an_outer_block_of_unit_or_provider(where: str) -> None:
    answer = ask(CONSENTED.with_entry(replace(BLOCK_NORR, organisation=where)), NORR, MITT)
    blocked, still_open = answer.items
    assert (blocked.permitted, blocked.reason, blocked.blocked) == (False, "OUTER_BLOCK", True)
    assert blocked.disclosure is Disclosure.existence
    assert still_open.permitted
    assert (answer.unblocked_exist, answer.blocked_exist) == (True, True)


def test_a_block_of_one_unit_leaves_the_others_but_covers_what_names_no_unit() -> None:
    assert one(BLOCKED, replace(NORR, unit="SE0000000011-VE2")).permitted
    assert one(BLOCKED, replace(NORR, unit=None)).reason == "OUTER_BLOCK"


def test_a_block_by_type_and_period_of_documentation() -> None:
    typed = replace(BLOCK_NORR, types=("diagnosis",))
    assert one(CONSENTED.with_entry(typed)).permitted
    assert not one(CONSENTED.with_entry(typed), replace(NORR, information_type="diagnosis")).permitted
    dated = CONSENTED.with_entry(replace(BLOCK_NORR, documented=Period(NOW, None)))
    assert one(dated, replace(NORR, recorded=NOW - timedelta(seconds=1))).permitted
    assert not one(dated, replace(NORR, recorded=NOW)).permitted
    assert not one(dated, replace(NORR, recorded=None)).permitted, "a time that is not told is covered"


def test_a_block_does_not_bind_its_own_provider() -> None:
    own = Entry("b", Kind.outer_block, ANEMONEN.holder, ANEMONEN.holder)
    assert one(CONSENTED.with_entry(own), ANEMONEN).permitted


def test_an_inner_block_binds_other_units_and_fails_closed_towards_others() -> None:
    inner = Entry("b", Kind.inner_block, "SE0000000044-VE2", "SE0000000044-VG")
    blocked = replace(ANEMONEN, unit="SE0000000044-VE2")
    assert (one(EMPTY.with_entry(inner), blocked).reason, one(EMPTY.with_entry(inner), ANEMONEN).permitted) == (
        "INNER_BLOCK",
        True,
    )
    foreign = Entry("b", Kind.inner_block, "SE0000000011-VE1", "SE0000000011-VG")
    answer = ask(CONSENTED.with_entry(foreign), NORR)
    assert (answer.items[0].permitted, answer.items[0].disclosure, answer.blocked_exist) == (
        False,
        Disclosure.none,
        False,
    )


def test_in_ehds_mode_blocked_and_hidden_equals_nothing_there() -> None:
    hidden = ask(BLOCKED, NORR, mode=DisclosureMode.EHDS)
    nothing = ask(CONSENTED, mode=DisclosureMode.EHDS)
    (decision,) = hidden.items
    assert (decision.permitted, decision.disclosure, decision.blocked) == (False, Disclosure.none, False)
    assert decision.reason == "NOT_DISCLOSED"
    told = tuple(each for each in hidden.items if each.disclosure is not Disclosure.none)
    assert replace(hidden, items=told) == nothing
    assert hidden.blocked_exist is None


@pytest.mark.parametrize("operation", [Operation.existence, Operation.list_holders, Operation.read_content])
def test_in_ehds_mode_a_block_tells_nothing_before_consent_either(operation: Operation) -> None:
    hidden = ask(RELATED.with_entry(BLOCK_NORR), NORR, mode=DisclosureMode.EHDS, operation=operation)
    assert hidden.items[0].disclosure is Disclosure.none
    assert (hidden.unblocked_exist, hidden.blocked_exist) == (False, None)


def test_the_person_sees_everything_and_her_own_blocks() -> None:
    for operation in (Operation.read_content, Operation.list_holders, Operation.existence):
        answer = ask(BLOCKED, NORR, MITT, caller=patient(PERSON), operation=operation)
        assert all(each.permitted and each.ground == "self" for each in answer.items)
        assert (answer.unblocked_exist, answer.blocked_exist) == (True, True)


def test_another_person_sees_nothing() -> None:
    answer = ask(CONSENTED, NORR, caller=patient(STRANGER))
    assert (answer.items[0].reason, answer.unblocked_exist, answer.blocked_exist) == ("NOT_SELF", False, False)


def test_a_weak_login_is_not_enough() -> None:
    assert one(EMPTY, caller=replace(patient(PERSON), assurance=2)).reason == "LOGIN_TOO_WEAK"


def test_register_transfer_and_opt_out() -> None:
    transfer: dict[str, Any] = {"caller": TRANSFER, "operation": Operation.register_transfer, "register": REGISTER}
    assert one(EMPTY, **transfer).reason == "PDL_7_2"
    assert one(EMPTY.with_entry(OPT_OUT), **transfer).reason == "REGISTER_OPT_OUT"
    assert one(EMPTY.with_entry(replace(OPT_OUT, organisation="SE0000000056-REG")), **transfer).permitted
    assert one(BLOCKED, **transfer).permitted, "a block is no opposition to a register"
    assert not one(EMPTY, **{**transfer, "caller": DENTIST}).permitted


@pytest.mark.parametrize("caller", [OPERATOR, SOURCE_NORR, TRANSFER])
@pytest.mark.parametrize("operation", [Operation.existence, Operation.list_holders, Operation.read_content])
def test_systems_are_denied_and_told_nothing(caller: Caller, operation: Operation) -> None:
    answer = ask(BLOCKED, NORR, MITT, caller=caller, operation=operation)
    assert not any(each.permitted for each in answer.items)
    assert (answer.unblocked_exist, answer.blocked_exist) == (False, False)


def test_what_is_unknown_denies() -> None:
    assert one(CONSENTED, replace(NORR, information_type="horoscope")).reason == "UNKNOWN_TYPE"
    assert not one(CONSENTED, caller=replace(DENTIST, purpose="HMARKT")).permitted
    assert not one(CONSENTED, caller=replace(DENTIST, purpose=None)).permitted
    assert ask(CONSENTED, NORR, caller=replace(DENTIST, purpose=None)).unblocked_exist is False
    assert not one(CONSENTED, caller=replace(DENTIST, organisation=None)).permitted
    assert not one(CONSENTED, caller=replace(DENTIST, user=None)).permitted


def test_the_relation_is_the_unit_s_and_ends() -> None:
    assert one(CONSENTED, caller=replace(DENTIST, unit="SE0000000044-VE9")).reason == "NO_PATIENT_RELATION"
    assert one(CONSENTED, now=NOW + timedelta(hours=1)).permitted
    assert one(CONSENTED, now=NOW + timedelta(hours=1, seconds=1)).reason == "NO_PATIENT_RELATION"


def test_consent_is_for_one_provider_its_types_and_its_time() -> None:
    for entry in (
        replace(CONSENT, organisation="SE0000000033-VG"),
        replace(CONSENT, types=("diagnosis",)),
        replace(CONSENT, validity=Period(None, NOW - timedelta(seconds=1))),
        replace(CONSENT, validity=Period(NOW + timedelta(seconds=1), None)),
    ):
        assert one(RELATED.with_entry(entry)).reason == "NO_CONSENT"
    assert one(RELATED.with_entry(replace(CONSENT, validity=Period(NOW, NOW)))).permitted


def test_consent_may_be_for_one_unit() -> None:
    document = RELATED.with_entry(replace(CONSENT, organisation="SE0000000044-VE1"))
    assert one(document).permitted
    elsewhere = replace(RELATION, id="s", unit=None)
    other_unit = replace(DENTIST, unit="SE0000000044-VE9")
    assert one(document.with_relation(elsewhere, NOW), caller=other_unit).reason == "NO_CONSENT"


def test_social_care_data_blocked_are_not_told() -> None:
    answer = ask(BLOCKED, replace(NORR, social=True))
    assert (answer.items[0].permitted, answer.items[0].disclosure, answer.blocked_exist) == (
        False,
        Disclosure.none,
        False,
    )


def test_the_document_survives_its_json() -> None:
    document = BLOCKED.with_entry(OPT_OUT).with_entry(
        Entry("x", Kind.inner_block, "SE0000000044-VE2", "SE0000000044-VG", ("alert",), Period(NOW), Period(None, NOW))
    )
    assert AccessDocument.of_json(document.json()) == document


def test_relations_that_have_ended_leave_the_document() -> None:
    later = NOW + timedelta(days=1)
    document = RELATED.with_relation(replace(RELATION, id="s", period=Period(later, later)), later)
    assert [each.id for each in document.relations] == ["s"]
