# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published patch cases (FHIR/fhir-test-cases, r4/patch): FHIRPath Patch and JSON Patch."""

from tests.fhir_server.validation.published import needs_data
from tools.conformance.patch import FHIRPATH_PATCH, FOLDER, JSON_PATCH, NOT_APPLICABLE, USED, run

pytestmark = needs_data


def test_every_file_of_the_set_is_used_or_named_as_not_applicable() -> None:
    assert {each.name for each in FOLDER.iterdir()} == {*USED, *NOT_APPLICABLE}


def test_all_cases_of_both_patches() -> None:
    area = run()
    assert not area.failures
    assert (area.row(FHIRPATH_PATCH).passed, area.row(FHIRPATH_PATCH).of) == (22, 22)
    assert (area.row(JSON_PATCH).passed, area.row(JSON_PATCH).of) == (11, 11)
