# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
import gzip
import json
from pathlib import Path
from typing import Any

import fhirkit
from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway import soap
from gateway.model import openehr, tree
from gateway.model.account import Account
from gateway.model.codes import SNOMED
from gateway.model.openehr_rules import ARCHETYPES
from gateway.model.record import Record, Source, Unmappable, WrongPatient
from gateway.model.translations import Target, Translations, Wish
from tests.gateway.records import ASTRID, LATEX, composition, element, evaluation, local, text

SOURCE = Source("SE0000000022-SYS", ASTRID)


def mapped(value: dict[str, Any], translations: Translations | None = None) -> Record:
    record = openehr.composition(tree.from_json("composition", value), SOURCE, translations or Translations())
    for resource in record.resources:
        assert not fhirkit.validate(resource)
    return record


def xml(path: Path) -> tree.Node:
    return tree.from_xml(soap.parse_xml(path.read_bytes()), frozenset({openehr.NAMESPACE}))


def read(shared: Path, name: str) -> Record:
    path = shared / "gateway/openehr" / name
    if path.suffix == ".xml":
        node = xml(path)
    else:
        node = tree.from_json("composition", json.loads(gzip.decompress(path.read_bytes())))
    record = openehr.composition(node, SOURCE, Translations())
    for resource in record.resources:
        assert not fhirkit.validate(resource)
    return record


def test_an_adverse_reaction_is_an_allergy() -> None:
    (allergy,) = mapped(composition()).resources
    assert allergy["code"]["text"] == "Naturgummilatex"
    assert allergy["verificationStatus"]["coding"][0]["code"] == "confirmed"
    assert allergy["clinicalStatus"]["coding"][0]["code"] == "active"
    assert allergy["criticality"] == "high"
    assert allergy["recordedDate"] == "2021-11-02T10:40:00+01:00"
    assert allergy["recorder"] == {"display": "Mira Mellberg"}


def test_the_facility_is_the_unit_where_it_is_named_by_hsa_id() -> None:
    assert mapped(composition()).unit == "SE0000000022-VE1"
    assert mapped(composition(unit=None)).unit is None
    assert mapped(composition(unit="999999-345")).unit is None


def test_several_entries_of_one_archetype_keep_apart() -> None:
    other = evaluation(element("at0002", text("Jod")), version=1)
    record = mapped(composition(LATEX, other, LATEX))
    assert [each["code"]["text"] for each in record.resources] == ["Naturgummilatex", "Jod", "Naturgummilatex"]
    assert len({each["id"] for each in record.resources}) == 3


def test_ids_hold_over_versions_of_a_composition() -> None:
    first, second = (mapped(composition(uid=f"c0ffee00-1::mitt::{n}")).resources[0]["id"] for n in (1, 2))
    assert first == second


def test_resolved_of_version_one_is_a_clinical_status() -> None:
    entry = evaluation(element("at0002", text("Jod")), element("at0063", local("at0067", "Resolved")), version=1)
    (allergy,) = mapped(composition(entry)).resources
    assert allergy["clinicalStatus"]["coding"][0]["code"] == "resolved"
    assert allergy["verificationStatus"]["text"] == "Resolved"


def test_a_refuted_reaction_is_not_active() -> None:
    entry = evaluation(element("at0002", text("Jod")), element("at0063", local("at0066", "Refuted")))
    (allergy,) = mapped(composition(entry)).resources
    assert allergy["clinicalStatus"]["coding"][0]["code"] == "inactive"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"_type": "DV_DATE_TIME", "value": "2014-03-06T11:00:00"}, {"onsetDateTime": "2014-03-06T11:00:00+01:00"}),
        ({"_type": "DV_DATE_TIME", "value": "2014-07"}, {"onsetDateTime": "2014-07"}),
        ({"_type": "DV_DURATION", "value": "P7Y"}, {"onsetAge": 7}),
        ({"_type": "DV_TEXT", "value": "i barndomen"}, {"onsetString": "i barndomen"}),
        (
            {
                "_type": "DV_INTERVAL",
                "lower": {"_type": "DV_DATE_TIME", "value": "2014-03-06T11:00:00Z"},
                "upper": {"_type": "DV_DATE_TIME", "value": "2014-03-07T11:00:00Z"},
                "lower_included": True,
            },
            {"onsetPeriod": {"start": "2014-03-06T11:00:00+00:00", "end": "2014-03-07T11:00:00+00:00"}},
        ),
    ],
)
def test_onset_takes_every_form(value: dict[str, Any], expected: dict[str, Any]) -> None:
    record = mapped(composition(evaluation(element("at0002", text("Jod")), element("at0133", value))))
    (allergy,) = record.resources
    found = {key: each for key, each in allergy.items() if key.startswith("onset")}
    if "onsetAge" in found:
        found["onsetAge"] = found["onsetAge"]["value"]
    assert found == expected
    assert record.losses == ()


def test_a_reaction_of_the_slot_archetype() -> None:
    event = {
        "_type": "CLUSTER",
        "archetype_node_id": "openEHR-EHR-CLUSTER.adverse_reaction_event.v1",
        "name": text("Reaction event"),
        "items": [
            element("at0001", text("Handskar")),
            element("at0007", text("Utslag på händerna")),
            element("at0010", local("at0012", "Moderate")),
            element("at0024", text("Gick över")),
        ],
    }
    record = mapped(composition(evaluation(element("at0002.1", text("Latex")), event)))
    (reaction,) = record.resources[0]["reaction"]
    assert reaction["severity"] == "moderate"
    assert reaction["substance"]["text"] == "Handskar"
    assert reaction["manifestation"][0]["extension"][0]["valueCode"] == "unknown"
    assert record.resources[0]["code"]["text"] == "Latex"
    assert record.losses == ()


def test_a_code_without_a_place_in_the_binding_is_named() -> None:
    record = mapped(
        composition(evaluation(element("at0002", text("Jod")), element("at0120", local("at0123", "Other"))))
    )
    assert "category" not in record.resources[0]
    assert {loss.reason for loss in record.losses} == {"no code of AllergyIntolerance.category says the same"}


def test_an_entry_about_a_relative_is_left_out_and_named() -> None:
    relative = {**LATEX, "subject": {"_type": "PARTY_RELATED", "relationship": text("mother")}}
    record = mapped(composition(relative))
    assert record.resources == ()
    assert record.losses[0].reason == "is about another person than the patient"


def test_a_subject_with_another_number_is_the_wrong_patient() -> None:
    reference = {"id": {"_type": "GENERIC_ID", "value": "199001032391"}, "namespace": "x", "type": "PERSON"}
    with pytest.raises(WrongPatient):
        mapped(composition({**LATEX, "subject": {"_type": "PARTY_SELF", "external_ref": reference}}))


def test_local_substance_codes_get_a_coding_where_a_map_is_loaded() -> None:
    system = "https://ndi.example/fhir/CodeSystem/demo-substance"
    coded = local("latex", "Latex")
    coded["defining_code"]["terminology_id"]["value"] = system
    known = Translations({Wish(system, "latex", SNOMED): Target("111088007", "Latex")})
    (allergy,) = mapped(composition(evaluation(element("at0002", coded))), known).resources
    assert [each["system"] for each in allergy["code"]["coding"]] == [system, SNOMED]


def test_the_same_entries_are_found_in_any_template() -> None:
    section = {
        "_type": "SECTION", "archetype_node_id": "openEHR-EHR-SECTION.adhoc.v1", "name": text("Summary"),
        "items": [{"_type": "SECTION", "archetype_node_id": "openEHR-EHR-SECTION.adhoc.v1", "name": text("x"),
                   "items": [LATEX]}],
    }  # fmt: skip
    assert len(mapped(composition(section)).resources) == 1


def test_the_published_patient_summary(shared: Path) -> None:
    record = read(shared, "ehrbase/composition/canonical_json/ips_canonical.json.gz")
    (allergy,) = record.resources
    assert allergy["code"]["text"] == "Substance 64"
    assert allergy["verificationStatus"]["coding"][0]["code"] == "refuted"
    assert allergy["criticality"] == "high"
    assert allergy["type"] == "allergy"
    assert allergy["reaction"][0]["severity"] == "severe"
    other = [loss for loss in record.losses if loss.path.startswith("openEHR-EHR-")]
    assert len(other) > 20
    assert all("another kind of entry" in loss.reason for loss in other)


def test_the_published_reaction_with_feeder_audit(shared: Path) -> None:
    record = read(shared, "ehrbase/composition/canonical_xml/adverse_reac_with_feeder_audit.xml")
    (allergy,) = record.resources
    assert allergy["code"]["coding"][0] == {"system": SNOMED, "code": "304270095", "display": "Erythromycin"}
    assert allergy["category"] == ["medication"]
    assert allergy["reaction"][0]["manifestation"][0]["text"] == "Vomiting"
    assert any("feeder_audit" in loss.path for loss in record.losses)


def test_the_published_reaction_list(shared: Path) -> None:
    record = read(shared, "roundtrip/canonical-xml/Adverse_Reaction_List.v1_1.xml")
    assert [each["code"]["text"] for each in record.resources] == ["Betel nut", "Brazil nut"]
    assert {each["verificationStatus"]["coding"][0]["code"] for each in record.resources} == {"unconfirmed"}
    assert "openEHR-EHR-OBSERVATION.progress_note.v1" in {loss.path for loss in record.losses}


def test_the_older_archetype_of_a_published_history(shared: Path) -> None:
    assert read(shared, "roundtrip/canonical-xml/MED_Allergy_history_Summary_2.xml").resources


def test_the_published_expectations_for_discrete_entries(shared: Path) -> None:
    folder = shared / "gateway/openehr/fhirconnect/openfhir-sets/ips"
    content = json.loads((folder / "ips.discrete.json").read_text())
    expected = json.loads((folder / "expectations.json").read_text())["discrete"]["AllergyIntolerance"]
    record = mapped(composition(*content))
    assert len(record.resources) == 3
    for wanted in expected:
        (allergy,) = [
            each for each in record.resources if said(each, "onsetDateTime")[:10] == wanted["onsetDateTime"][:10]
        ]
        for path, value in wanted.items():
            assert value[:19] in said(allergy, path), path


def said(resource: dict[str, Any], path: str) -> str:
    value: Any = resource
    for part in path.split("."):
        value = value[0] if isinstance(value, list) else value
        value = value.get(part, {})
    return json.dumps(value).strip('"')


names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=3, max_size=12).filter(
    lambda name: name not in ("name", "language", "encoding", "category", "territory", "uid", "value", "mappings")
)
scalars = st.one_of(st.text(min_size=1).filter(str.strip), st.integers(), st.booleans())


@given(name=names, value=scalars, number=st.integers(0, 4))
def test_any_unknown_leaf_is_reported(name: str, value: Any, number: int) -> None:
    whole = composition(evaluation(element("at0002", text("Jod")), element("at0006", text("Se journal"))))
    entry = whole["content"][0]
    places = [whole, entry, entry["data"], entry["data"]["items"][1], entry["data"]["items"][1]["value"]]
    places[number][f"x_{name}"] = value
    losses = mapped(whole).losses
    assert [loss.path.rpartition("/")[2] for loss in losses] == [f"x_{name}"]


@given(st.recursive(scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(min_size=1), inner))))
def test_the_account_closes_over_anything(value: Any) -> None:
    node = tree.from_json("root", value)
    paths = list(tree.leaves(node))
    account = Account(paths)
    reader = tree.Reader(node, account)
    if node.children:
        reader.all(node.children[0].name)[0].take()
    losses = account.close()
    assert sum(loss.count for loss in losses) + len(account.mapped_leaves) == len(set(paths))
    assert account.open_leaves == ()


json_values = st.recursive(
    st.one_of(st.none(), st.just(" "), scalars),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["_type", "value", "items", "archetype_node_id", "defining_code", "uid", "name", "subject", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(value=json_values, number=st.integers(0, 7))
def test_whatever_a_server_sends_is_mapped_or_refused(value: Any, number: int) -> None:
    whole = composition(evaluation(element("at0002", text("Jod")), element("at0133", text("x"))))
    entry = whole["content"][0]
    first = entry["data"]["items"][0]
    places: list[tuple[Any, Any]] = [
        (whole, "content"), (whole, "context"), (whole, "composer"), (entry, "data"), (entry, "subject"),
        (first, "value"), (first["value"], "value"), (entry["data"]["items"][1], "value"),
    ]  # fmt: skip
    place, key = places[number]
    place[key] = value
    try:
        mapped(whole)
    except (Unmappable, WrongPatient):
        pass


def test_the_table_in_the_documents_is_the_one_in_use() -> None:
    page = (Path(__file__).parents[2] / "docs/api/gateway/mapping-openehr.md").read_text()
    for archetype in ARCHETYPES:
        for rule in (*archetype.rules, *(rule for rules in archetype.reactions.values() for rule in rules)):
            assert f"`{rule.path}`" in page, rule.path
            for code in rule.codes:
                assert not code.startswith("at0") or code in page, code
