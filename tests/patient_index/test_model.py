# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The pure rules: keys, recency, custody, Swedish time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
import pytest

from fhir_server.outcome import Forbidden, Invalid
from identifiers.person_key import PersonKey
from patient_index.model import (
    Registration,
    StoredEntry,
    canonical_hsa,
    check_custodian,
    check_times,
    merged,
    shown,
    supersedes,
)
from patient_index.swedish_time import from_local, to_local

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROW = Registration(
    person=PersonKey(bytes(16)),
    custodian="SE0000000011-VG",
    unit="SE0000000011-VE1",
    information_type="alert",
    source_system="SE0000000011-SYS",
    business_object="bo",
    service_domain="d",
    categorization="c",
    most_recent=NOW,
)
TEXT = ("custodian", "unit", "information_type", "source_system", "business_object", "service_domain", "categorization",
        "clinical_process_interest", "owner")  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(TEXT), st.text(alphabet="ab\x00|", min_size=1, max_size=4)),
    st.dictionaries(st.sampled_from(TEXT), st.text(alphabet="ab\x00|", min_size=1, max_size=4)),
)
def test_keys_are_equal_exactly_when_every_field_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = replace(ROW, **one), replace(ROW, **other)
    same = all(getattr(first, name) == getattr(second, name) for name in TEXT)
    assert (first.entry_key == second.entry_key) is same


def test_the_key_of_another_person_is_another() -> None:
    assert ROW.entry_key != replace(ROW, person=PersonKey(b"\x01" * 16)).entry_key


def test_content_is_no_part_of_the_key() -> None:
    assert ROW.entry_key == replace(ROW, items=4, status="withdrawn", most_recent=None).entry_key


@given(st.integers(-3, 3), st.booleans(), st.booleans())
def test_an_older_message_never_supersedes(minutes: int, withdrawn: bool, was_withdrawn: bool) -> None:
    incoming = replace(
        ROW, most_recent=NOW + timedelta(minutes=minutes), items=2, status="withdrawn" if withdrawn else "current"
    )
    stored = replace(ROW, items=1, status="withdrawn" if was_withdrawn else "current")
    assert supersedes(incoming, stored) is (minutes >= 0)


def test_what_is_the_same_does_not_supersede() -> None:
    assert not supersedes(ROW, ROW)


def test_an_undated_message_does_not_replace_a_dated_one_but_an_undated_deletion_deletes() -> None:
    assert not supersedes(replace(ROW, most_recent=None, items=9), ROW)
    assert supersedes(replace(ROW, most_recent=None, status="withdrawn"), ROW)


def test_an_entry_that_comes_back_is_created_anew() -> None:
    stored = StoredEntry(replace(ROW, status="withdrawn"), NOW - timedelta(days=2), NOW - timedelta(days=1), 2)
    again = merged(ROW, stored, now=NOW)
    assert again == StoredEntry(ROW, NOW, None, 3)


def test_an_undated_deletion_keeps_the_date_that_was_known() -> None:
    gone = merged(replace(ROW, status="withdrawn", most_recent=None), StoredEntry(ROW, NOW, None, 1), now=NOW)
    assert gone is not None
    assert (gone.registration.status, gone.registration.most_recent) == ("withdrawn", NOW)


def test_the_future_is_refused_beyond_the_skew_of_clocks() -> None:
    check_times(replace(ROW, most_recent=NOW + timedelta(minutes=5)), now=NOW)
    with pytest.raises(Invalid, match="future"):
        check_times(replace(ROW, most_recent=NOW + timedelta(minutes=5, seconds=1)), now=NOW)


@pytest.mark.parametrize(
    ("organisation", "roles", "code"),
    [
        (None, {"source"}, "foreign-custodian"),
        ("SE0000000022-VG", {"source"}, "foreign-custodian"),
        ("SE0000000011-VE1", {"source"}, "foreign-custodian"),
        ("SE0000000011-VG", {"clinician"}, "not-a-source"),
        ("SE0000000011-VG", set(), "not-a-source"),
    ],
)
def test_nobody_registers_for_another(organisation: str | None, roles: set[str], code: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        check_custodian(organisation, frozenset(roles), ROW.custodian)
    assert refusal.value.detail_code == code


def test_the_custodian_compares_without_case() -> None:
    check_custodian("se0000000011-vg", frozenset({"source"}), "SE0000000011-VG")
    assert canonical_hsa("se0000000011-ve1") == "SE0000000011-VE1"
    assert canonical_hsa("Klinik 7") == "Klinik 7"


@pytest.mark.parametrize(
    ("name", "seen"), [("date", "date"), ("195701032863", "an unknown name"), ("a b", "an unknown name")]
)
def test_names_that_may_be_values_are_not_shown(name: str, seen: str) -> None:
    assert shown(name) == seen


STOCKHOLM = ZoneInfo("Europe/Stockholm")


@given(st.integers(0, 80 * 366 * 24 * 3600))
def test_swedish_time_is_that_of_the_time_zone_database(seconds: int) -> None:
    utc = datetime(1981, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    local = utc.astimezone(STOCKHOLM)
    assert to_local(utc) == local.strftime("%Y%m%d%H%M%S")
    back = from_local(to_local(utc))
    assert back == utc or (local.fold and back == utc - timedelta(hours=1))


@pytest.mark.parametrize(
    "text", ["", "20260101", "2026010112000", "20260229000000", "20260101240000", "２0260101000000"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_local(text)
