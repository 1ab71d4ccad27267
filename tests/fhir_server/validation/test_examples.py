# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The 505 official examples: sound, but for those that break the specification themselves."""

from fhir_server.validation import check
from tests.fhir_server.validation.published import needs_data
from tools.conformance.examples import BROKEN
from tools.conformance.published import examples

pytestmark = needs_data


def test_all_are_accepted_but_those_that_break_a_rule() -> None:
    some = examples()
    refused = {name for name, body in some if any(each.severity == "error" for each in check(body))}
    assert len(some) == 505
    assert refused == set(BROKEN)


def test_no_coded_value_misses_its_required_binding() -> None:
    assert not [each for _, body in examples() for each in check(body) if each.issue == "code-invalid"]
