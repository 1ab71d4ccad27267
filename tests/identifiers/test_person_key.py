# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Person keys: one for each identifier, another with another secret, nothing to see in them."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from identifiers import systems
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import PersonIdentifier

SECRETS = {1: b"1" * 32, 2: b"2" * 32}
KEYS = PersonKeys(SECRETS, current=2)


@given(st.text(min_size=1), st.text(min_size=1))
def test_equal_only_for_the_same_identifier(one: str, other: str) -> None:
    first = KEYS.of(PersonIdentifier(systems.PERSONNUMMER, one))
    assert first == KEYS.of(PersonIdentifier(systems.PERSONNUMMER, one))
    assert (first == KEYS.of(PersonIdentifier(systems.PERSONNUMMER, other))) is (one == other)
    assert first != KEYS.of(PersonIdentifier(systems.SAMORDNINGSNUMMER, one))


@given(st.text(min_size=1, alphabet="0123456789"))
def test_system_and_value_cannot_run_together(value: str) -> None:
    assert KEYS.of(PersonIdentifier("urn:a", "1" + value)) != KEYS.of(PersonIdentifier("urn:a1", value))


def test_versions() -> None:
    identifier = PersonIdentifier(systems.PERSONNUMMER, "195701032863")
    assert KEYS.of(identifier) == KEYS.of(identifier, version=2) != KEYS.of(identifier, version=1)
    assert KEYS.of(identifier, version=1) == PersonKeys(SECRETS, current=1).of(identifier)


def test_hexadecimal_form_round_trips() -> None:
    key = KEYS.of(PersonIdentifier(systems.PERSONNUMMER, "195701032863"))
    assert PersonKey.from_hex(key.hex()) == key
    assert len(key.hex()) == 32


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        PersonKey(b"short")
    with pytest.raises(ValueError, match="no secret"):
        PersonKeys(SECRETS, current=3)
    with pytest.raises(ValueError, match="32 bytes"):
        PersonKeys({1: b"short"}, current=1)
    with pytest.raises(KeyError):
        KEYS.of(PersonIdentifier(systems.PERSONNUMMER, "1"), version=9)
