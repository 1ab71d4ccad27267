# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Reading Parameters: values, repeated values, parts in parts; faults say where, and whose they are."""

from datetime import datetime
from typing import Any

import pytest

from fhir_server.outcome import BadGateway, FhirError, Invalid, Malformed
from fhir_server.parameters import Parameters

GIVEN: dict[str, Any] = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "code", "valueCode": "a"},
        {"name": "entry", "part": [{"name": "unit", "valueString": "x"}, {"name": "inner", "part": []}]},
        {"name": "code", "valueString": "b"},
        {"name": "entry", "part": [{"name": "unit", "valueInteger": 1}]},
        {"name": "flat", "valueString": "x"},
        {"name": "bare", "part": [{"valueString": "x"}]},
    ],
}


def test_values_and_parts_come_in_their_order() -> None:
    given = Parameters.of(GIVEN)
    assert given.values("code", str) == ("a", "b")
    assert given.values("none", str) == ()
    first, second = given.parts("entry")
    assert (first.required("unit", str), second.required("unit", int)) == ("x", 1)
    assert first.part("inner").parameter == []
    assert given.parts("none") == []


@pytest.mark.parametrize(
    ("read", "place"),
    [
        (lambda given: given.parts("flat"), "Parameters.parameter[4].part"),
        (lambda given: given.parts("bare"), "Parameters.parameter[5].part"),
        (lambda given: given.part("entry"), "Parameters.parameter"),
        (lambda given: given.part("none"), "Parameters.parameter"),
        (lambda given: given.required("code", str), "Parameters.parameter[0]"),
        (lambda given: given.values("entry", str), "Parameters.parameter[1]"),
        (lambda given: given.parts("entry")[1].required("unit", str), "Parameters.parameter[3].part[0]"),
        (lambda given: given.parts("entry")[1].required("none", str), "Parameters.parameter[3].part"),
    ],
)
def test_a_fault_says_where_and_is_the_service_s_own_in_an_answer(read: Any, place: str) -> None:
    for given, kind in ((Parameters.of(GIVEN), Invalid), (Parameters.of(GIVEN, fault=BadGateway), BadGateway)):
        with pytest.raises(FhirError) as refused:
            read(given)
        assert (type(refused.value), refused.value.expression) == (kind, place)


@pytest.mark.parametrize("resource", [{}, {**GIVEN, "parameter": {}}, {**GIVEN, "parameter": [{"valueCode": "a"}]}])
def test_what_is_no_parameters_resource(resource: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Parameters.of(resource)
    with pytest.raises(BadGateway):
        Parameters.of(resource, fault=BadGateway)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00"])
def test_a_moment_that_cannot_be_stored_is_refused(moment: str) -> None:
    """In UTC it is before the first or after the last there is: a query with it would fail."""
    asked = Parameters().add("since", valueDateTime=moment)
    with pytest.raises(Invalid):
        asked.required("since", datetime)
