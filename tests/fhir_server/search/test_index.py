# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Search values extracted at write time."""

from datetime import UTC, datetime, timedelta
import gzip
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import orjson
import pytest

from fhir_server.search.index import Extraction, SearchValues, extract_values
from fhir_server.search.parameters import codes_of, parameters_for
from fhir_server.search.values import date_range, normalised

EARLY, LATE = (datetime(year, 1, 1) for year in (1800, 9000))  # noqa: DTZ001 - hypothesis adds the zone


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        ("2024-02", datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        ("2024-12", datetime(2024, 12, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        (
            "2024-02-29T10:00:00+02:00",
            datetime(2024, 2, 29, 8, tzinfo=UTC),
            datetime(2024, 2, 29, 8, 0, 1, tzinfo=UTC),
        ),
    ],
)
def test_a_date_covers_the_range_of_its_precision(text: str, low: datetime, high: datetime) -> None:
    assert date_range(text) == (low, high)


@pytest.mark.parametrize("text", ["", "24", "2024-13", "2023-02-29", "2024-01-01T25:00:00Z", "x"])
def test_what_is_no_date_covers_nothing(text: str) -> None:
    assert date_range(text) is None


@given(st.datetimes(min_value=EARLY, max_value=LATE, timezones=st.just(UTC)))
def test_a_moment_lies_in_its_own_range(moment: datetime) -> None:
    covered = date_range(moment.isoformat())
    assert covered is not None
    assert covered[0] <= moment < covered[1] <= covered[0] + timedelta(seconds=1)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_the_values_of_an_organization() -> None:
    parameters = parameters_for("Organization", ("identifier", "name", "active", "partof", "type", "endpoint"))
    values = extract_values(
        {
            "resourceType": "Organization",
            "meta": {"tag": [{"system": "t", "code": "c"}]},
            "identifier": [{"system": "urn:x", "value": "1"}],
            "active": True,
            "name": "Åsa Vård",
            "alias": ["AV"],
            "type": [{"coding": [{"system": "k", "code": "prov"}]}],
            "partOf": {"reference": "Organization/9", "identifier": {"system": "urn:h", "value": "H"}},
            "endpoint": [{"reference": "http://other/Endpoint/3"}],
        },
        parameters.values(),
    )
    assert set(values.tokens) == {
        ("_tag", "t", "c"),
        ("identifier", "urn:x", "1"),
        ("active", None, "true"),
        ("type", "k", "prov"),
    }
    assert set(values.strings) == {("name", "asa vard", "Åsa Vård"), ("name", "av", "AV")}
    assert set(values.references) == {
        ("partof", "Organization", "9", None, "urn:h", "H"),
        ("endpoint", "Endpoint", "3", "http://other", None, None),
    }


def test_what_is_left_out_without_being_tried_has_no_value(shared: Path) -> None:
    """Over all published examples: the parameters that a resource's names call for give what all of them give."""
    with gzip.open(shared / "fhir" / "examples-r4.ndjson.gz") as lines:
        for resource in map(orjson.loads, lines):
            kind = resource["resourceType"]
            parameters = parameters_for(kind, codes_of(kind)).values()
            some, every = Extraction(parameters).values(resource), extract_values(resource, parameters)
            for table in SearchValues.__slots__:
                assert sorted(map(repr, getattr(some, table))) == sorted(map(repr, getattr(every, table)))
