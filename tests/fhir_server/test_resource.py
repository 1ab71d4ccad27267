# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Stamping id and meta into the bytes of a resource without disturbing the rest."""

from datetime import UTC, datetime
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import orjson
import pytest

from fhir_server.outcome import Malformed
from fhir_server.resource import check_depth, stamp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, JSON_VALUES, max_size=6), st.sampled_from([None, 2]), st.booleans())
def test_everything_but_id_and_meta_stays(members: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    resource = {**members, "resourceType": "Basic", "id": "old", "meta": {"profile": ["p"], "versionId": "9"}}
    body = json.dumps(resource, indent=indent, ensure_ascii=ascii_only).encode()
    stamped = orjson.loads(stamp(body, resource, resource_id="new", version=3, updated=NOW))
    assert stamped.pop("id") == "new"
    assert stamped.pop("meta") == {"profile": ["p"], "versionId": "3", "lastUpdated": "2026-03-01T12:00:00.000Z"}
    assert stamped == {key: value for key, value in resource.items() if key not in ("id", "meta")}


@pytest.mark.parametrize("number", ["1.500", "0.1e-7", "12345678901234567890.123", "-0.0"])
def test_the_text_of_numbers_survives(number: str) -> None:
    body = f'{{"resourceType":"Basic","extension":[{{"url":"u","valueDecimal":{number}}}]}}'.encode()
    assert f'"valueDecimal":{number}}}'.encode() in stamp(
        body, orjson.loads(body), resource_id="1", version=1, updated=NOW
    )


def test_an_element_that_occurs_twice_is_refused() -> None:
    body = b'{"resourceType":"Basic","language":"sv","language":"en"}'
    with pytest.raises(Malformed, match="twice"):
        stamp(body, orjson.loads(body), resource_id="1", version=1, updated=NOW)


def test_deep_nesting_is_refused_before_parsing() -> None:
    check_depth(b"[" * 64 + b"]" * 64)
    with pytest.raises(Malformed, match="deeper"):
        check_depth(b"[" * 65 + b"]" * 65)


def test_brackets_in_strings_do_not_count() -> None:
    check_depth(b'{"a":"' + b"[" * 500 + b'\\""}')
