# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Scopes: read strictly, and never granted beyond what either side has."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from fhir_server.context import Caller, CallerKind
from security.model.scopes import PERMISSIONS, Level, Scope, grant, parse_scope, split_scopes

RESOURCES = ["Consent", "Patient", "Organization", "DocumentReference"]
permissions = st.sets(st.sampled_from(PERMISSIONS), min_size=1).map(lambda s: "".join(p for p in PERMISSIONS if p in s))
levels: st.SearchStrategy[Level] = st.sampled_from(["system", "user", "patient"])
scopes = st.builds(Scope, levels, st.sampled_from([*RESOURCES, "*"]), permissions)
KINDS = {"system": CallerKind.system, "user": CallerKind.staff, "patient": CallerKind.patient}


def may(level: Level, texts: list[str] | tuple[str, ...], resource: str, permission: str) -> bool:
    return Caller("c", KINDS[level], frozenset(texts)).may(resource, permission)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("system/DocumentReference.cu", Scope("system", "DocumentReference", "cu")),
        ("user/*.cruds", Scope("user", "*", "cruds")),
        ("patient/Consent.s", Scope("patient", "Consent", "s")),
        ("patient/Consent.read", Scope("patient", "Consent", "rs")),
        ("patient/Consent.write", Scope("patient", "Consent", "cud")),
        ("patient/*.*", Scope("patient", "*", "cruds")),
    ],
)
def test_scopes_of_both_versions(text: str, read: Scope) -> None:
    assert parse_scope(text) == read


@pytest.mark.parametrize(
    "text",
    ["", "openid", "launch/patient", "system/Consent", "system/Consent.", "system/Consent.sr", "system/Consent.rr",
     "system/consent.r", "System/Consent.r", "system/Consent.r ", " system/Consent.r", "system/Consent.rs?category=x",
     "system/.r", "system//Consent.r", "system/Consent.readwrite", "system/Consent.r\n", "system/Cönsent.r",
     "system/Con*.r", "*/Consent.r", "system/Consent.cruds.r"],
)  # fmt: skip
def test_what_is_no_scope_of_ours(text: str) -> None:
    assert parse_scope(text) is None


@given(st.text(max_size=60))
def test_any_text_is_read_or_not(text: str) -> None:
    scope = parse_scope(text)
    if scope is not None:
        assert parse_scope(str(scope)) == scope
    parts = split_scopes(text)
    assert parts is None or " ".join(parts).split() == parts


@given(scopes)
def test_a_scope_reads_back(scope: Scope) -> None:
    assert parse_scope(str(scope)) == scope


@given(st.lists(scopes, max_size=6), st.lists(scopes, max_size=6), levels)
def test_a_grant_is_exactly_what_both_sides_have(asked: list[Scope], registered: list[Scope], level: Level) -> None:
    asked_texts, registered_texts = [str(each) for each in asked], [str(each) for each in registered]
    granted = grant(asked_texts, registered_texts, level)
    for resource in [*RESOURCES, "SomethingElse"]:
        for permission in PERMISSIONS:
            both = may(level, asked_texts, resource, permission) and may(level, registered_texts, resource, permission)
            assert may(level, granted, resource, permission) == both
    assert all(each.startswith(f"{level}/") for each in granted)
    assert grant(granted, registered_texts, level) == granted


@given(st.lists(scopes, max_size=6), levels)
def test_asking_for_nothing_is_asking_for_all(registered: list[Scope], level: Level) -> None:
    texts = [str(each) for each in registered]
    assert grant(None, texts, level) == grant(texts, texts, level)


@given(st.lists(st.text(max_size=30), max_size=6), st.lists(scopes, max_size=4), levels)
def test_noise_is_never_granted(asked: list[str], registered: list[Scope], level: Level) -> None:
    granted = grant(asked, [str(each) for each in registered], level)
    assert all(parse_scope(each) is not None for each in granted)
