# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The official FHIRPath cases, beside two other engines in the same run."""

from tests.fhir_server.validation.published import needs_data
from tools.conformance.fhirpath import FAILING, outcome, run
from tools.conformance.published import fhirpath_cases

pytestmark = needs_data


def test_the_official_cases() -> None:
    area = run()
    assert not area.failures
    assert (area.rows[0].passed, area.rows[0].of) == (653, 658)


def test_every_case_that_fails_is_named_with_its_effect() -> None:
    assert {case.name for case in fhirpath_cases() if outcome(case) != "pass"} == set(FAILING)
    assert all("Effect: " in each for each in FAILING.values())
