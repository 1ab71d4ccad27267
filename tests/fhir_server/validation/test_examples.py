# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The 505 official examples: sound, but for those that break the specification themselves."""

from fhir_server.validation import check
from tests.fhir_server.validation.published import examples, needs_data

pytestmark = needs_data

BROKEN = {
    "Questionnaire/qs1": "items without linkId",
    "ActivityDefinition/blood-tubes-supply": "a narrative that shows nothing (txt-2)",
    "EventDefinition/example": "a narrative that shows nothing (txt-2)",
    "Questionnaire/zika-virus-exposure-assessment": "a narrative that shows nothing (txt-2)",
    "Media/1.2.840.11361907579238403408700.3.1.04.19970327150033": "an image fetched from elsewhere in the narrative",
    "DeviceMetric/example": "parent refers to a DeviceDefinition, not to a Device",
    "MedicationRequest/medrx0301": "dispenseRequest.performer refers to a Practitioner, not to an Organization",
    "Observation/clinical-gender": "performer refers to an Encounter",
    "Bundle/10bb101f-a121-4264-a920-67be9cb82c74": "fullUrl with another id than the resource's",
    "Bundle/3a0707d3-549e-4467-b8b8-5a2ab3800efe": "fullUrl with another id than the resource's",
    "Bundle/lri-example": "fullUrl with another id than the resource's",
}


def test_all_are_accepted_but_those_that_break_a_rule() -> None:
    some = examples()
    refused = {name for name, body in some if any(each.severity == "error" for each in check(body))}
    assert len(some) == 505
    assert refused == set(BROKEN)


def test_no_coded_value_misses_its_required_binding() -> None:
    assert not [each for _, body in examples() for each in check(body) if each.issue == "code-invalid"]
