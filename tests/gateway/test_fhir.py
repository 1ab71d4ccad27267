# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
from typing import Any

import fhirkit
from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway.model import fhir, times
from gateway.model.account import general
from gateway.model.record import Record, Source, WrongPatient
from gateway.model.translations import Translations
from tests.gateway.records import ASTRID, allergy

SOURCE = Source("SE0000000011-SYS", ASTRID)


def mapped(resource: dict[str, Any], provenances: tuple[dict[str, Any], ...] = ()) -> Record:
    record = fhir.allergy(resource, SOURCE, Translations(), provenances)
    assert record is not None
    assert not fhirkit.validate(record.resources[0])
    return record


def test_a_resource_passes_through_normalised() -> None:
    record = mapped(allergy())
    (passed,) = record.resources
    assert passed["id"] != "n-1"
    assert passed["meta"]["source"].endswith("#SE0000000011-SYS")
    assert passed["patient"] == {
        "type": "Patient",
        "identifier": {"system": ASTRID.system, "value": ASTRID.value},
    }
    assert "text" not in passed
    assert passed["encounter"] == {"display": "Akutbesök"}
    assert [loss.path for loss in record.losses] == ["encounter/reference"]
    assert passed["identifier"][-1]["value"] == "n-1"


def test_unit_and_provider_come_from_the_sources_provenance() -> None:
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": "AllergyIntolerance/n-1/_history/3"}],
        "agent": [
            {"type": {"coding": [{"code": "author"}]}, "who": {"identifier": hsa("SE0000000011-VE9")}},
            {"type": {"coding": [{"code": "custodian"}]}, "who": {"identifier": hsa("SE0000000011-VG")}},
        ],
    }
    record = mapped(allergy(), (provenance,))
    assert (record.unit, record.provider) == ("SE0000000011-VE9", "SE0000000011-VG")
    assert mapped(allergy(id_="n-2"), (provenance,)).unit is None


def hsa(value: str) -> dict[str, str]:
    return {"system": "urn:oid:1.2.752.129.2.1.4.1", "value": value}


def test_entered_in_error_is_dropped() -> None:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
    resource = allergy(verificationStatus={"coding": [{"system": system, "code": "entered-in-error"}]})
    assert fhir.allergy(resource, SOURCE, Translations()) is None


@pytest.mark.parametrize(
    "patient",
    [{"reference": "Patient/1"}, {"identifier": {"system": ASTRID.system, "value": "199001032391"}}, {"display": "x"}],
)
def test_another_patient_or_none_is_refused(patient: dict[str, Any]) -> None:
    with pytest.raises(WrongPatient):
        mapped({**allergy(), "patient": patient})


def test_a_label_against_the_patient_is_understood() -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOPATIENT"}
    assert not mapped(allergy(meta={"security": [label]})).patient_may_see


extensions = st.lists(
    st.fixed_dictionaries({"url": st.just("https://x.example/e"), "valueString": st.text(min_size=1)}), max_size=3
)


@given(
    extension=extensions, note=st.text(min_size=1), reference=st.sampled_from(["Practitioner/1", "http://x/1", "#c"])
)
def test_every_leaf_is_kept_or_named(extension: list[dict[str, Any]], note: str, reference: str) -> None:
    resource = allergy(note=[{"text": note, "authorReference": {"reference": reference, "display": "x"}}])
    resource["extension"] = extension
    record = fhir.allergy(resource, SOURCE, Translations())
    assert record is not None
    kept = {(general(path), value) for path, value in fhir.json_leaves(record.resources[0])}
    lost = {loss.path for loss in record.losses}
    for path, value in fhir.json_leaves(resource):
        place = general(path)
        if (place, value) not in kept and not place.startswith(("id", "meta/", "patient/", "text/")):
            assert place in lost


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20230918093000", "2023-09-18T09:30:00+02:00"),
        ("20230118093000", "2023-01-18T09:30:00+01:00"),
        ("20231029023000", "2023-10-29T02:30:00+02:00"),
        ("20230918", "2023-09-18"),
        ("202309", "2023-09"),
        ("2023", "2023"),
    ],
)
def test_rivta_times_are_swedish_and_keep_their_precision(written: str, expected: str) -> None:
    assert times.from_rivta(written) == expected


@pytest.mark.parametrize("written", ["20230230120000", "2023091", "", "20230918250000", "x"])
def test_times_that_are_none_are_refused(written: str) -> None:
    with pytest.raises(times.BadTime):
        times.from_rivta(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2016-12-20T00:11:02,518+02:00", "2016-12-20T00:11:02.518000+02:00"),
        ("2016-07-20T10:11", "2016-07-20T10:11:00+02:00"),
        ("2016-12", "2016-12"),
        ("20161220T101112Z", "2016-12-20T10:11:12+00:00"),
    ],
)
def test_iso_times(written: str, expected: str) -> None:
    assert times.from_iso(written) == expected
