# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""HSA-ids: every vector, and properties that hold for any text."""

import json
from pathlib import Path
import string

from hypothesis import given
from hypothesis import strategies as st
import pytest

from identifiers.hsa_id import InvalidHsaId, owner_check_digit_holds, owner_number, parse_hsa_id

ALPHABET = string.ascii_letters + string.digits


def test_vectors(shared: Path) -> None:
    vectors = json.loads((shared / "directory/identifiers/hsaid-vectors.json").read_text("utf-8"))["vectors"]
    assert len(vectors) == 23
    for vector in vectors:
        if not vector["valid"]:
            with pytest.raises(InvalidHsaId) as caught:
                parse_hsa_id(vector["input"])
            assert caught.value.reason == vector["reason"], vector["id"]
            continue
        found = parse_hsa_id(vector["input"])
        assert found == vector.get("same_as", vector["input"]).upper(), vector["id"]
        assert owner_check_digit_holds(found) is ("warning" not in vector), vector["id"]
        if "owner_orgnr" in vector:
            assert owner_number(found) == vector["owner_orgnr"], vector["id"]


@given(
    st.from_regex(r"[0-9]{10}", fullmatch=True),
    st.text(ALPHABET, min_size=1, max_size=18),
    st.sampled_from(["SE", "se"]),
)
def test_case_does_not_matter(digits: str, suffix: str, country: str) -> None:
    written = f"{country}{digits}-{suffix}"
    assert parse_hsa_id(written) == parse_hsa_id(written.lower()) == written.upper()


@given(st.characters().filter(lambda char: char not in ALPHABET), st.integers(0, 3))
def test_nothing_but_ascii_letters_and_digits(char: str, position: int) -> None:
    suffix = "AB1"
    with pytest.raises(InvalidHsaId):
        parse_hsa_id(f"SE0000000011-{suffix[:position]}{char}{suffix[position:]}")


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse_hsa_id(text)
    except InvalidHsaId as error:
        assert error.reason
    else:
        assert parse_hsa_id(found) == found
