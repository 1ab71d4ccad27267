# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Organisation numbers: every vector and the published list, and properties that hold for any text."""

import json
from pathlib import Path
import string

from hypothesis import given
from hypothesis import strategies as st
import pytest

from identifiers.check_digit import luhn
from identifiers.organisation_number import InvalidOrganisationNumber, formatted, group, parse_organisation_number


def test_vectors(shared: Path) -> None:
    vectors = json.loads((shared / "directory/identifiers/orgnr-vectors.json").read_text("utf-8"))["vectors"]
    assert len(vectors) == 34
    for vector in vectors:
        if vector["valid"]:
            found = parse_organisation_number(vector["input"], vat=True)
            assert (found, formatted(found), group(found)) == (
                vector["normalized"],
                vector["formatted"],
                vector["group"],
            ), vector["id"]
        else:
            with pytest.raises(InvalidOrganisationNumber) as caught:
                parse_organisation_number(vector["input"], vat=True)
            assert caught.value.reason == vector["reason"], vector["id"]


def test_published_list(shared: Path) -> None:
    entries = json.loads((shared / "directory/identifiers/organisationsnummer-list.json").read_text("utf-8"))
    assert len(entries) == 24
    for entry in entries:
        personal = entry["type"] == "Enskild firma"
        if not entry["valid"]:
            with pytest.raises(InvalidOrganisationNumber):
                parse_organisation_number(entry["input"])
            continue
        assert parse_organisation_number(entry["input"], sole_trader=personal) == entry["short_format"]
        if personal:
            with pytest.raises(InvalidOrganisationNumber):
                parse_organisation_number(entry["input"])
        else:
            assert parse_organisation_number(entry["vat_number"], vat=True) == entry["short_format"]


def test_the_vat_form_only_where_allowed() -> None:
    with pytest.raises(InvalidOrganisationNumber) as caught:
        parse_organisation_number("SE556016068001")
    assert caught.value.reason == "format"


def test_a_first_digit_that_is_not_given_out_has_no_group() -> None:
    body = "002000000"
    assert group(parse_organisation_number(body + str(luhn(body)))) is None


@given(st.integers(0, 9), st.characters(categories=["Nd"]).filter(lambda char: char not in string.digits))
def test_digits_of_other_scripts_are_refused(position: int, digit: str) -> None:
    number = "2321000016"
    with pytest.raises(InvalidOrganisationNumber):
        parse_organisation_number(number[:position] + digit + number[position + 1 :])


@given(st.text(max_size=20), st.booleans(), st.booleans())
def test_any_text_is_parsed_or_refused_without_repeating_it(text: str, vat: bool, sole_trader: bool) -> None:
    try:
        found = parse_organisation_number(text, vat=vat, sole_trader=sole_trader)
    except InvalidOrganisationNumber as error:
        assert len(text.strip()) < 6 or text.strip() not in str(error)
    else:
        assert len(found) == 10
