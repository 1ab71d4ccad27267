# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
import csv
import json
from pathlib import Path
import re
from typing import Any

import fhirkit
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
import pytest

from gateway import soap
from gateway.model import rivta
from gateway.model.account import Loss
from gateway.model.record import CRITICALITY, SEVERITY, VERIFICATION, Record, Source, WrongPatient
from gateway.model.translations import Target, Translations, Wish
from gateway.model.tree import Node, leaves
from identifiers.person_number import parse
from tests.gateway.records import HYPERSENSITIVITY, SOURCE, alert, message

SEVERITY_OID, CERTAINTY_OID = "urn:oid:1.2.752.129.2.2.3.3", "urn:oid:1.2.752.129.2.2.3.11"
MAPS = {
    Wish(SEVERITY_OID, "sk", SEVERITY): Target("moderate"),
    Wish(SEVERITY_OID, "sk", CRITICALITY): Target("high"),
    Wish(CERTAINTY_OID, "m", VERIFICATION): Target("unconfirmed"),
}


def nodes(*alerts: str) -> tuple[Node, ...]:
    return soap.response(message(*alerts))


def mapped(xml: str, translations: Translations | None = None) -> Record:
    record = rivta.alert(nodes(xml)[0], SOURCE, translations or Translations())
    assert record is not None
    return record


def valid(record: Record) -> None:
    for resource in record.resources:
        assert not fhirkit.validate(resource), resource["resourceType"]


def test_a_hypersensitivity_is_a_flag_and_an_allergy_it_points_to() -> None:
    record = mapped(alert())
    allergy, flag = record.resources
    assert (allergy["resourceType"], flag["resourceType"]) == ("AllergyIntolerance", "Flag")
    assert flag["extension"][0]["valueReference"]["reference"] == f"urn:uuid:{allergy['id']}"
    assert allergy["meta"]["source"] == "urn:oid:1.2.752.129.2.1.4.1#SE0000000033-SYS"
    assert allergy["recordedDate"] == "2023-09-18T09:30:00+02:00"
    assert allergy["onsetDateTime"] == "2023-09-18"
    assert allergy["category"] == ["medication"]
    assert {each["system"] for each in allergy["code"]["coding"]} == {
        "urn:oid:1.2.752.129.2.2.3.1.1", "http://www.whocc.no/atc",
    }  # fmt: skip
    assert (record.unit, record.provider) == ("SE0000000033-VE1", "SE0000000033-VG")
    valid(record)


def test_ids_are_the_same_at_every_reading() -> None:
    assert [r["id"] for r in mapped(alert()).resources] == [r["id"] for r in mapped(alert()).resources]
    assert mapped(alert(document="other")).resources[0]["id"] != mapped(alert()).resources[0]["id"]


def test_codes_are_translated_where_a_map_is_loaded() -> None:
    record = mapped(alert(), Translations(MAPS))
    allergy = record.resources[0]
    assert allergy["criticality"] == "high"
    assert allergy["reaction"][0]["severity"] == "moderate"
    assert allergy["verificationStatus"]["coding"][0]["code"] == "unconfirmed"
    assert record.losses == ()
    valid(record)


def test_codes_without_a_map_keep_their_text_and_are_named() -> None:
    record = mapped(alert())
    allergy = record.resources[0]
    assert "verificationStatus" not in allergy
    assert "Misstänkt" in json.dumps(allergy["extension"], ensure_ascii=False)
    assert [loss.path.rpartition("/")[0].rpartition("/")[2] for loss in record.losses] == [
        "degreeOfCertainty", "degreeOfSeverity",
    ]  # fmt: skip


def test_a_translation_that_is_not_exact_says_so() -> None:
    known = {**MAPS, Wish(CERTAINTY_OID, "m", VERIFICATION): Target("presumed", None, "relatedto")}
    record = mapped(alert(), Translations(known))
    assert record.resources[0]["verificationStatus"]["coding"][0]["code"] == "presumed"
    (loss,) = record.losses
    assert loss.path.endswith("degreeOfCertainty/code")
    assert "relatedto" in loss.reason


def test_a_translation_outside_the_required_binding_is_not_used() -> None:
    record = mapped(alert(), Translations({Wish(SEVERITY_OID, "sk", SEVERITY): Target("nasty")}))
    assert "reaction" not in record.resources[0]


def test_not_approved_for_the_patient_is_labelled() -> None:
    record = mapped(alert(approved="false"))
    assert not record.patient_may_see
    assert all(each["meta"]["security"][0]["code"] == "NOPATIENT" for each in record.resources)


def test_a_nullified_alert_is_dropped() -> None:
    (node,) = nodes(alert(header="<d:nullified>true</d:nullified>"))
    assert rivta.alert(node, SOURCE, Translations()) is None


def test_an_alert_about_another_person_is_refused() -> None:
    (node,) = nodes(alert("199001032391"))
    with pytest.raises(WrongPatient) as caught:
        rivta.alert(node, SOURCE, Translations())
    assert "1990" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "status", "end", "lost"),
    [
        ("<d:obsoleteTime>20240101120000</d:obsoleteTime>", "inactive", "2024-01-01T12:00:00+01:00", False),
        ("<d:obsoleteTime>20200101120000</d:obsoleteTime>", "inactive", None, True),
        ("", "active", None, False),
    ],
)
def test_an_obsolete_alert_is_inactive(more: str, status: str, end: str | None, lost: bool) -> None:
    record = mapped(alert(body=more + HYPERSENSITIVITY), Translations(MAPS))
    flag = record.of_type("Flag")[0]
    assert (flag["status"], flag["period"].get("end")) == (status, end)
    assert record.resources[0]["clinicalStatus"]["coding"][0]["code"] == status
    assert bool(record.losses) is lost


@pytest.mark.parametrize(
    "body",
    [
        "<d:seriousDisease><d:disease><d:originalText>Hemofili</d:originalText></d:disease></d:seriousDisease>",
        "<d:treatment><d:treatmentDescription>Dialys</d:treatmentDescription></d:treatment>",
        "<d:restrictionOfCare><d:restrictionOfCareComment>Ej blod</d:restrictionOfCareComment></d:restrictionOfCare>",
        "<d:unstructuredAlertInformation><d:unstructuredAlertInformationHeading>Obs</d:unstructuredAlertInformationHeading>"
        "<d:unstructuredAlertInformationContent>Tolk</d:unstructuredAlertInformationContent></d:unstructuredAlertInformation>",
    ],
)
def test_other_alerts_are_flags_alone(body: str) -> None:
    record = mapped(alert(body=body))
    assert [each["resourceType"] for each in record.resources] == ["Flag"]
    assert record.losses == ()
    valid(record)


def example_messages(shared: Path) -> list[Path]:
    return sorted((shared / "gateway/rivta/GetAlertInformation/examples").glob("response-*.xml"))


PUBLISHED_PATIENT = Source("SE0000000033-SYS", parse("urn:oid:1.2.752.129.2.1.3.1", "191212121212"))


def published_records(shared: Path) -> list[tuple[Node, Record]]:
    found = []
    for path in example_messages(shared):
        if "fault" not in path.name:
            for node in soap.response(path.read_bytes()):
                record = rivta.alert(node, PUBLISHED_PATIENT, Translations())
                assert record is not None
                found.append((node, record))
    return found


def test_every_published_example_maps_to_valid_fhir_with_every_leaf_accounted_for(shared: Path) -> None:
    records = published_records(shared)
    assert len(records) >= 11
    for node, record in records:
        valid(record)
        # Everything that is neither lost nor context stands somewhere in the answer.
        told = json.dumps(record.resources, ensure_ascii=False) + str(record.unit) + str(record.provider)
        lost = {loss.path for loss in record.losses}
        for path in leaves(node):
            general = re.sub(r"\[\d+\]", "", path)
            value = value_at(node, path)
            if general in lost or general.endswith(("/codeSystemName", "/approvedForPatient", "/sourceSystemHSAId")):
                continue
            if re.fullmatch(r"(19|20)\d{6,12}", value) and not general.endswith("patientId/id"):
                value = f"{value[:4]}-{value[4:6]}-{value[6:8]}"
            assert value.removeprefix("1.2.752.129.2.1.3.1") in told, general


def value_at(node: Node, path: str) -> str:
    from gateway.model.tree import located

    for place, child in located(node):
        if place == path:
            return child.text or ""
        if path.startswith(place + "/"):
            return value_at(child, path[len(place) + 1 :])
    raise AssertionError(path)


def test_what_the_published_table_leaves_unmapped_is_named_as_a_loss(shared: Path) -> None:
    table = shared / "gateway/ehds-tk/mapping/GetAlertInformation.csv"
    with table.open() as file:
        unmapped = {row["source"] for row in csv.DictReader(file) if row["mapped"] == "no"}
    for node, record in published_records(shared):
        lost = {loss.path for loss in record.losses}
        for path in leaves(node):
            if path.replace("/", ".") in unmapped:
                assert path in lost


def targets_of(resource: dict[str, Any], path: str) -> bool:
    """Whether the element the table names is there; extensions by the slice's name in the extension's URL."""
    value: Any = [resource]
    for part in path.split("."):
        name, _, slice_ = part.partition("[")
        if name == "extension" and slice_:
            words = re.sub(r"([A-Z])", r"-\1", slice_.rstrip("]")).lower().split("-")
            value = [e for v in value for e in v.get("extension", []) if words[-1] in e["url"].lower()]
            return bool(value)
        value = [item for v in value if isinstance(v, dict) for item in as_list(v.get(name))]
    return bool(value)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def test_what_the_published_table_maps_is_there(shared: Path) -> None:
    with (shared / "gateway/ehds-tk/mapping/GetAlertInformation.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["mapped"] == "yes"]
    seen = 0
    for node, record in published_records(shared):
        present = {re.sub(r"\[\d+\]", "", path).replace("/", ".") for path in leaves(node)}
        lost = {loss.path.replace("/", ".") for loss in record.losses}
        for row in rows:
            source, target = row["source"].replace("patientId.extension", "patientId.id"), row["target"]
            found = {each for each in present if each == source or each.startswith(source + ".")}
            type_, _, path = target.partition(" ")[0].partition(".")
            # Degrees need a map, a label an alert not approved; other types are built when merging.
            if not found or found & lost or any(each.startswith(source) for each in lost):
                continue
            if path in ("meta.security", "verificationStatus", "category", "reaction.severity") or type_ not in (
                "Flag",
                "AllergyIntolerance",
            ):
                continue
            for resource in record.of_type(type_):
                seen += 1
                assert targets_of(resource, path), f"{source} -> {target}"
    assert seen > 100


names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)


@given(
    where=st.sampled_from(
        ["", "alertInformationHeader", "alertInformationBody", "alertInformationBody/hypersensitivity"]
    ),
    name=names,
    value=st.text(min_size=1, max_size=20).filter(lambda text: text.strip()),
    deep=st.integers(0, 3),
)
def test_any_unknown_leaf_is_reported(where: str, name: str, value: str, deep: int) -> None:
    (node,) = nodes(alert())
    unknown = Node(f"{{urn:x}}{name}", value)
    for _ in range(deep):
        unknown = Node(f"{{urn:x}}{name}", None, (unknown,))
    changed = planted(node, [part for part in where.split("/") if part], unknown)
    record = rivta.alert(changed, SOURCE, Translations(MAPS))
    assert record is not None
    prefix = f"{where}/" if where else ""
    assert record.losses == (
        Loss(prefix + "/".join([f"{{urn:x}}{name}"] * (deep + 1)), "has no place in the FHIR resource"),
    )


def planted(node: Node, where: list[str], unknown: Node) -> Node:
    if not where:
        return Node(node.name, node.text, (*node.children, unknown))
    children = tuple(planted(each, where[1:], unknown) if each.name == where[0] else each for each in node.children)
    return Node(node.name, node.text, children)


def test_no_loss_and_no_error_repeats_a_value() -> None:
    record = mapped(alert(header="<x:hidden xmlns:x='urn:x'>195701032863</x:hidden>"))
    assert "195701032863" not in repr(record.losses)
    with pytest.raises(soap.NotTheContract) as caught:
        soap.response(message(alert().replace("20230918093000", "195701032863")))
    assert "1957" not in str(caught.value)


def test_extension_elements_never_fail_a_message() -> None:
    extra = "<x:note xmlns:x='urn:riv:clinicalprocess:healthcond:description:2.1'>nytt</x:note>"
    record = mapped(alert(header=extra), Translations(MAPS))
    assert record.losses[0].path.endswith("description:2.1}note")


def test_soap_answers_are_told_apart() -> None:
    fault = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault/></s:Body></s:Envelope>'
    error = "<d:resultCode>ERROR</d:resultCode><d:errorCode>INVALID_REQUEST</d:errorCode><d:logId>1</d:logId>"
    for content, kind in [
        (fault, soap.SoapFault),
        (message(result=error), soap.SoapFault),
        (b"<not-soap/>", soap.NotTheContract),
        (b"<broken", soap.NotXml),
        (b'<!DOCTYPE x [<!ENTITY e "boom">]><x>&e;</x>', soap.NotXml),
    ]:
        with pytest.raises(kind):
            soap.response(content)
    assert soap.response(message(result="")) == ()


def responder(shared: Path) -> etree.XMLSchema:
    folder = shared / "gateway/rivta/GetAlertInformation/schemas/interactions/GetAlertInformationInteraction"
    return etree.XMLSchema(etree.parse(str(folder / "GetAlertInformationResponder_2.0.xsd")))


def body_of(envelope: bytes) -> etree._Element:
    body = soap.parse_xml(envelope).find(f"{{{soap.ENVELOPE}}}Body")
    assert body is not None
    return etree.fromstring(etree.tostring(body[0]))


def test_our_request_is_valid_by_the_published_schema(shared: Path) -> None:
    content = soap.request(
        SOURCE.patient, logical_address="SE0000000033-SYS", units=("SE0000000033-VE1", "SE0000000033-VE2")
    )
    responder(shared).assertValid(body_of(content))
    soap.check(body_of(content))


def test_our_messages_are_valid_by_the_published_schema(shared: Path) -> None:
    schema = responder(shared)
    for content in (message(alert()), message(alert(header="<d:nullified>true</d:nullified>")), message()):
        schema.assertValid(body_of(content))


def ours_says(element: etree._Element) -> bool:
    try:
        soap.check(element)
    except soap.NotTheContract:
        return False
    return True


def test_our_schema_says_the_same_as_the_published_one(shared: Path) -> None:
    """Every message with one element removed, doubled, renamed, emptied or moved gets the same verdict."""
    published = responder(shared)
    compared = refused = 0
    for path in example_messages(shared):
        payload = body_of(path.read_bytes())
        if "Fault" in str(payload.tag):
            continue
        for position in range(1, len(list(payload.iter("*")))):
            for change in ("remove", "double", "rename", "empty", "foreign", "last"):
                copy = etree.fromstring(etree.tostring(payload))
                element = list(copy.iter("*"))[position]
                parent = element.getparent()
                assert parent is not None
                match change:
                    case "remove":
                        parent.remove(element)
                    case "double":
                        element.addnext(etree.fromstring(etree.tostring(element)))
                    case "rename":
                        element.tag = str(element.tag) + "X"
                    case "empty":
                        element.text = "?"
                    case "foreign":
                        element.tag = "{urn:foreign}element"
                    case _:
                        parent.append(element)
                verdict = published.validate(copy)
                assert ours_says(copy) == verdict, (path.name, element.tag, change)
                compared += 1
                refused += not verdict
    assert compared > 2000
    assert refused > 500
