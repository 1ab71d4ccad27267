# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Personal numbers: every vector and every published test number, and properties that hold for any text."""

from datetime import date
import json
from pathlib import Path
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from identifiers import systems
from identifiers.check_digit import luhn
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier, birth_date, parse, parse_swedish, sex

KIND = {
    "personnummer": systems.PERSONNUMMER,
    "samordningsnummer": systems.SAMORDNINGSNUMMER,
    "nationellt-reservnummer": systems.NATIONAL_RESERVE_NUMBER,
}
TODAY = date(2026, 6, 30)


def _parsed(text: str, today: date) -> PersonIdentifier | None:
    try:
        return parse_swedish(text, today=today)
    except InvalidPersonNumber:
        return None


def _vectors(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["vectors"]
    return found


def test_validity_vectors(shared: Path) -> None:
    vectors = _vectors(shared / "index/identity/validity-vectors.json")
    assert len(vectors) == 177
    for vector in vectors:
        found = _parsed(vector["input"], date.fromisoformat(vector["asOf"]))
        expected = None if vector["kind"] is None else PersonIdentifier(KIND[vector["kind"]], vector["normalised"])
        if vector["valid"] is None:
            assert found in (None, expected), vector["id"]
        else:
            assert found == (expected if vector["valid"] else None), vector["id"]
        if found is not None and found.system != systems.NATIONAL_RESERVE_NUMBER:
            assert (birth_date(found), sex(found)) == (vector["birthDate"], vector["sex"]), vector["id"]


def test_normalisation_vectors(shared: Path) -> None:
    vectors = _vectors(shared / "index/identity/normalisation-vectors.json")
    assert len(vectors) == 61
    for vector in vectors:
        try:
            found = parse(vector["system"], vector["value"], today=date.fromisoformat(vector["asOf"]))
        except InvalidPersonNumber:
            assert vector["expected"] is None, vector["id"]
        else:
            assert {"system": found.system, "value": found.value} == vector["expected"], vector["id"]


@pytest.mark.parametrize(
    ("kind", "count"),
    [("personnummer", 41_127), ("samordningsnummer", 2_264)],
    ids=["personnummer", "samordningsnummer"],
)
def test_published_test_numbers(shared: Path, kind: str, count: int) -> None:
    numbers = (shared / f"index/identity/skv-test-{kind}.txt").read_text("ascii").split()
    assert len(numbers) == count
    assert all(parse_swedish(number) == PersonIdentifier(KIND[kind], number) for number in numbers)


@pytest.mark.parametrize(
    ("short", "today", "full"),
    [
        # The day itself is not after today; the day after belongs to the century before.
        ("1212121212", date(2012, 12, 12), "201212121212"),
        ("1212121212", date(2012, 12, 11), "191212121212"),
    ],
)
def test_century_of_a_short_number(short: str, today: date, full: str) -> None:
    assert parse_swedish(short, today=today).value == full


def test_month_unknown_counts_as_january_for_the_century() -> None:
    body = "2600601" + "23"
    number = body + str(luhn(body))
    assert parse_swedish(number, today=date(2026, 1, 1)).value == "20" + number
    assert parse_swedish(number, today=date(2025, 12, 31)).value == "19" + number


def test_a_short_number_needs_today() -> None:
    with pytest.raises(InvalidPersonNumber, match="century"):
        parse_swedish("1212121212")


def test_a_reserve_number_takes_one_hyphen_only() -> None:
    assert parse_swedish("22900101-ab12").value == "22900101AB12"
    with pytest.raises(InvalidPersonNumber):
        parse_swedish("2-2-9-0-0-1-0-1-AB12")


def test_other_systems_keep_their_value() -> None:
    assert parse("urn:oid:1.2.246.21", "131052-308T") == PersonIdentifier("urn:oid:1.2.246.21", "131052-308T")
    with pytest.raises(InvalidPersonNumber, match="empty"):
        parse("urn:oid:1.2.246.21", "  ")
    with pytest.raises(InvalidPersonNumber, match="HSA-id"):
        parse(systems.HSA_ID, "SE1-X")


def test_no_date_or_sex_for_other_systems() -> None:
    assert birth_date(PersonIdentifier(systems.NATIONAL_RESERVE_NUMBER, "22900101AB12")) is None
    assert sex(PersonIdentifier(systems.HSA_ID, "SE0000000011-VE1")) is None


OTHER_DIGITS = st.characters(categories=["Nd"]).filter(lambda char: char not in string.digits)


@given(st.integers(0, 11), OTHER_DIGITS)
def test_digits_of_other_scripts_are_refused(position: int, digit: str) -> None:
    number = "191212121212"
    with pytest.raises(InvalidPersonNumber):
        parse_swedish(number[:position] + digit + number[position + 1 :], today=TODAY)


@given(st.integers(0, 3), st.characters(exclude_characters=string.ascii_letters + string.digits))
def test_letters_of_other_alphabets_are_refused(position: int, letter: str) -> None:
    """Some become ASCII when raised to capitals (ſ, ı): they must not slip in that way."""
    tail = "AB12"
    with pytest.raises(InvalidPersonNumber):
        parse_swedish("22900101" + tail[:position] + letter + (tail[position + 1 :] or "2"), today=TODAY)


@given(st.text(max_size=20))
def test_any_text_is_parsed_or_refused_without_repeating_it(text: str) -> None:
    try:
        found = parse_swedish(text, today=TODAY)
    except InvalidPersonNumber as error:
        assert len(text.strip()) < 6 or text.strip() not in str(error)
    else:
        assert parse_swedish(found.value, today=TODAY) == found


@given(st.from_regex(r"[0-9]{12}", fullmatch=True))
def test_repr_and_errors_never_show_the_number(number: str) -> None:
    shown = [repr(PersonIdentifier(systems.PERSONNUMMER, number)), f"{PersonIdentifier(systems.PERSONNUMMER, number)}"]
    try:
        parse_swedish(number, today=TODAY)
    except InvalidPersonNumber as error:
        shown.append(str(error))
    assert not any(number in each or number[2:] in each for each in shown)


@given(st.dates(date(1900, 1, 1), TODAY), st.integers(1, 999), st.sampled_from(["", "-"]))
def test_every_form_of_a_number_gives_the_same(born: date, serial: int, sign: str) -> None:
    body = f"{born:%y%m%d}{serial:03d}"
    full = f"{born:%Y%m%d}{serial:03d}{luhn(body)}"
    expected = PersonIdentifier(systems.PERSONNUMMER, full)
    assert parse_swedish(f"{full[:8]}{sign}{full[8:]}", today=TODAY) == expected
    assert birth_date(expected) == born.isoformat()
    assert sex(expected) == ("male" if serial % 2 else "female")


@given(st.from_regex(r"[0-9]{9}", fullmatch=True), st.integers(0, 8), st.integers(1, 9))
def test_the_check_digit_notices_any_one_wrong_digit(digits: str, position: int, change: int) -> None:
    wrong = str((int(digits[position]) + change) % 10)
    assert luhn(digits) != luhn(digits[:position] + wrong + digits[position + 1 :])
