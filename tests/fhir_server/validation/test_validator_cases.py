# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The cases of the reference validator: which verdicts are the same, and for what reason the others are not."""

from collections import Counter

from tests.fhir_server.validation.published import needs_data
from tools.conformance.validator import OTHERWISE, verdicts

pytestmark = needs_data


def test_the_verdicts_are_the_reference_validators_but_for_these() -> None:
    found = verdicts()
    same = Counter((each.expected, each.structural) for each in found if each.expected == each.got)
    print(f"{same.total()} of {len(found)} agree: {dict(same)} (invalid, structural)")
    assert len(found) == 109
    assert {each.name for each in found if each.expected != each.got} == set(OTHERWISE)
    structural = [each for each in found if each.structural]
    assert len(structural) == 72
    assert {each.name for each in structural if each.expected != each.got} == {"uk-msg", "ips-nz-pj"}
