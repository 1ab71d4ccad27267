# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What holds for every document and question: blocks only take away, lifting gives back, order does not matter."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.client import Decisions, DisclosureMode, Entity, Operation, Question
from consent.model.access import decide_question
from consent.model.document import EMPTY, AccessDocument, CareRelation, Entry, Kind
from consent.model.period import Period
from fhir_server.context import Caller
from identifiers.person_key import PersonKey
from tests.support.callers import DENTIST, OPERATOR, TRANSFER, patient

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PERSON = PersonKey(bytes(16))
PROVIDERS = [f"SE00000000{n}-VG" for n in (11, 22, 44)]
UNITS = [f"SE00000000{n}-VE{u}" for n in (11, 22, 44) for u in (1, 2)]
TYPES = ["alert", "diagnosis", "horoscope"]

moments = st.sampled_from([NOW + timedelta(hours=hours) for hours in (-48, -1, 0, 1, 48)])
periods = st.builds(lambda a, b: Period(*sorted((a, b))), moments, moments) | st.just(Period())
types = st.sets(st.sampled_from(TYPES[:2]), max_size=1).map(tuple)


def entries(*kinds: Kind) -> st.SearchStrategy[Entry]:
    return st.builds(
        lambda number, kind, where, limited, validity, documented: Entry(
            f"e{number}", kind, where, where[:12] + "-VG", limited, validity, documented
        ),
        st.integers(0, 999),
        st.sampled_from(kinds),
        st.sampled_from(PROVIDERS + UNITS),
        types,
        periods,
        periods,
    )


blocks = entries(Kind.outer_block, Kind.inner_block)
grants = entries(Kind.shared_record)
relations = st.builds(
    lambda number, period: CareRelation(f"r{number}", PROVIDERS[2], None, "u", period), st.integers(0, 9), periods
)
documents = st.builds(
    lambda some, related: AccessDocument(
        tuple(sorted({e.id: e for e in some}.values(), key=lambda e: e.id)),
        tuple(sorted({r.id: r for r in related}.values(), key=lambda r: r.id)),
    ),
    st.lists(entries(*Kind), max_size=5),
    st.lists(relations, max_size=2),
)
entities = st.builds(
    lambda unit, named, kind, recorded, social: Entity(
        unit[:12] + "-VG", unit if named else None, kind, recorded, social
    ),
    st.sampled_from(UNITS),
    st.booleans(),
    st.sampled_from(TYPES),
    moments | st.none(),
    st.booleans(),
)
questions = st.builds(
    lambda operation, asked: Question(PERSON, operation, tuple(asked), "SE0000000055-REG"),
    st.sampled_from(Operation),
    st.lists(entities, max_size=4),
)
callers = st.sampled_from([DENTIST, patient(PERSON), patient(PersonKey(bytes([9] * 16))), OPERATOR, TRANSFER])
modes = st.sampled_from(DisclosureMode)


def ask(document: AccessDocument, caller: Caller, question: Question, mode: DisclosureMode) -> Decisions:
    return decide_question("id", document, caller, question, mode=mode, now=NOW)


def permitted(decisions: Decisions) -> list[bool]:
    return [each.permitted for each in decisions.items]


@settings(max_examples=400)
@given(documents, blocks, callers, questions, modes)
def test_adding_a_block_never_grants(
    document: AccessDocument, block: Entry, caller: Caller, question: Question, mode: DisclosureMode
) -> None:
    if document.entry(block.id) is not None:
        return
    before, after = ask(document, caller, question, mode), ask(document.with_entry(block), caller, question, mode)
    assert all(old or not new for old, new in zip(permitted(before), permitted(after), strict=True))
    assert before.unblocked_exist or not after.unblocked_exist


@settings(max_examples=400)
@given(documents, grants, callers, questions, modes)
def test_withdrawing_a_consent_never_grants(
    document: AccessDocument, grant: Entry, caller: Caller, question: Question, mode: DisclosureMode
) -> None:
    held = document.with_entry(grant)
    before, after = ask(held, caller, question, mode), ask(held.without(grant.id), caller, question, mode)
    assert all(old or not new for old, new in zip(permitted(before), permitted(after), strict=True))


@given(documents, entries(*Kind))
def test_lifting_returns_exactly_the_state_before(document: AccessDocument, entry: Entry) -> None:
    if document.entry(entry.id) is None:
        assert document.with_entry(entry).without(entry.id) == document


@given(st.lists(entries(*Kind), max_size=5, unique_by=lambda e: e.id), st.randoms())
def test_the_order_of_registration_does_not_matter(given_entries: list[Entry], random: Random) -> None:
    shuffled = list(given_entries)
    random.shuffle(shuffled)
    one = two = EMPTY
    for entry in given_entries:
        one = one.with_entry(entry)
    for entry in shuffled:
        two = two.with_entry(entry)
    assert one == two


@settings(max_examples=300)
@given(documents, callers, questions)
def test_in_ehds_mode_a_block_is_as_if_the_data_were_not_there(
    document: AccessDocument, caller: Caller, question: Question
) -> None:
    if caller.person == PERSON:
        return
    answer = ask(document, caller, question, DisclosureMode.EHDS)
    shown = tuple(
        entity for entity, item in zip(question.entities, answer.items, strict=True) if item.reason != "NOT_DISCLOSED"
    )
    without = ask(document, caller, Question(PERSON, question.operation, shown, question.register), DisclosureMode.EHDS)
    assert without.items == tuple(each for each in answer.items if each.reason != "NOT_DISCLOSED")
    assert (without.unblocked_exist, without.blocked_exist) == (answer.unblocked_exist, answer.blocked_exist)
    assert not any(each.blocked for each in answer.items)


@given(documents, questions, modes)
def test_unknown_types_are_never_permitted(document: AccessDocument, question: Question, mode: DisclosureMode) -> None:
    for caller in (DENTIST, OPERATOR, TRANSFER, patient(PERSON)):
        answer = ask(document, caller, question, mode)
        for entity, item in zip(question.entities, answer.items, strict=True):
            assert not (item.permitted and entity.information_type == "horoscope")
