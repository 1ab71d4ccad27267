# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Region Syd: every message it sends or takes is valid by the published schemas, and what is not is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

from lxml import etree
import pytest

from demo.people import ASTRID, BERTIL
from demo.regions import rivta, soap
from demo.regions.rivta import DESCRIPTION, RESPONDER
from demo.scenario.documents import record_text
from tests.demo.network import STAFF, RunningSource, source

XML = {"Content-Type": "text/xml; charset=utf-8"}
CONTRACT = "gateway/rivta/GetAlertInformation"


@pytest.fixture
async def syd(tmp_path: Path) -> AsyncIterator[RunningSource]:
    async with source("syd", rivta.app, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def published(shared: Path) -> etree.XMLSchema:
    folder = shared / CONTRACT / "schemas/interactions/GetAlertInformationInteraction"
    return etree.XMLSchema(etree.parse(str(folder / "GetAlertInformationResponder_2.0.xsd")))


@pytest.fixture(scope="session")
def published_update(shared: Path) -> etree.XMLSchema:
    folder = shared / "index/ei/contracts/TD_ENGAGEMENTINDEX_1_0_R/interactions/UpdateInteraction"
    return etree.XMLSchema(etree.parse(str(folder / "UpdateResponder_1.0.xsd")))


def question(number: str = ASTRID.number, *, address: str = "SE0000000033-SYS", more: str = "") -> bytes:
    names = f'xmlns:s="{soap.SOAP}" xmlns:reg="{soap.REGISTRY}" xmlns:r="{RESPONDER}" xmlns:d="{DESCRIPTION}"'
    return f"""<s:Envelope {names}>
      <s:Header><reg:LogicalAddress>{address}</reg:LogicalAddress></s:Header>
      <s:Body><r:GetAlertInformation><r:patientId><d:id>{number}</d:id><d:type>1.2.752.129.2.1.3.1</d:type></r:patientId>
      {more}</r:GetAlertInformation></s:Body></s:Envelope>""".encode()


async def ask(syd: RunningSource, body: bytes, status: int = 200) -> etree._Element:
    answer = await syd.http.post(rivta.PATH, content=body, headers=syd.network.bearer() | XML)
    assert answer.status_code == status, answer.text
    return soap.payload(answer.content)[1]


async def document(syd: RunningSource, text: str | None = None) -> int:
    answer = await syd.http.post("/document", content=(text or record_text("syd")).encode(), headers=STAFF | XML)
    return answer.status_code


def alone(element: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(element, with_tail=False))


async def test_the_answer_is_valid_by_the_published_schema(syd: RunningSource, published: etree.XMLSchema) -> None:
    assert await document(syd) == 201
    asked = question()
    published.assertValid(alone(soap.payload(asked)[1]))
    answer = await ask(syd, asked)
    published.assertValid(alone(answer))
    assert answer.findtext(f".//{{{DESCRIPTION}}}atcSubstance/{{{DESCRIPTION}}}code") == "J01DC02"
    assert answer.findtext(f".//{{{DESCRIPTION}}}patientId/{{{DESCRIPTION}}}id") == ASTRID.number
    empty = await ask(syd, question(BERTIL.number))
    published.assertValid(alone(empty))
    assert empty.find(f"{{{RESPONDER}}}alertInformation") is None


async def test_what_the_index_is_told_is_valid_by_the_published_schema(
    syd: RunningSource, published_update: etree.XMLSchema
) -> None:
    await document(syd)
    await syd.settled()
    gone = record_text("syd").replace(
        "</careContactId>", "</careContactId><nullified>true</nullified><nullifiedReason>fel patient</nullifiedReason>"
    )
    syd.network.refusals = 1
    assert await document(syd, gone) == 200
    await syd.settled()
    flags = []
    for message in syd.network.updates:
        address, element = soap.payload(message)
        published_update.assertValid(alone(element))
        assert address == "SE0000000099-OP"
        values = {etree.QName(each).localname: each.text for each in element.iter()}
        assert values["logicalAddress"] == "SE0000000033-VE1"
        assert values["registeredResidentIdentification"] == ASTRID.number
        flags.append(values["deleteFlag"])
    assert flags == ["false", "true"]
    assert (await ask(syd, question())).find(f"{{{RESPONDER}}}alertInformation") is None


def test_the_published_messages_go_through_our_schema(shared: Path) -> None:
    examples = sorted((shared / CONTRACT / "examples").glob("*.xml"))
    checked = 0
    for example in examples:
        _, element = soap.payload(example.read_bytes())
        if etree.QName(element).localname != "Fault":
            soap.check(element, rivta.SCHEMA)
            checked += 1
    assert checked == 7


def test_our_schema_is_not_wider_than_the_published(published: etree.XMLSchema) -> None:
    """What ours takes with one element changed or left out, the published takes too."""
    _, element = soap.payload(question(more="<r:careContactId>1</r:careContactId>"))
    for path in ("patientId", "careContactId"):
        for change in ("drop", "rename"):
            other = alone(element)
            child = other.find(f"{{{RESPONDER}}}{path}")
            assert child is not None
            if change == "drop":
                other.remove(child)
            else:
                child.tag = f"{{{RESPONDER}}}somethingElse"
            assert soap.schema(rivta.SCHEMA).validate(other) == published.validate(other)


async def test_the_answer_keeps_the_contracts_rules(syd: RunningSource, shared: Path) -> None:
    """The published Schematron rules for code values: code with codeSystem and displayName, or originalText alone."""
    await document(syd)
    answer = await ask(syd, question())
    for element in answer.iter(f"{{{DESCRIPTION}}}*"):
        names = {etree.QName(child).localname for child in element}
        if names & {"code", "originalText"}:
            assert names == {"originalText"} or {"code", "codeSystem", "displayName"} <= names - {"originalText"}


@pytest.mark.parametrize(
    "body",
    [
        b"not xml",
        b"<a/>",
        question(address="SE0000000011-SYS"),
        question(more="<r:colour>red</r:colour>"),
        question(more="<r:careUnitHSAId>late</r:careUnitHSAId>"),
        question().replace(b"GetAlertInformation>", b"GetDiagnosis>"),
        b'<!DOCTYPE a [<!ENTITY x "y">]>' + question(),
        b" " * ((1 << 20) + 1),
    ],
)
async def test_a_wrong_message_is_a_fault(syd: RunningSource, body: bytes) -> None:
    fault = await ask(syd, body, 500)
    assert fault.findtext("faultcode") == "soap:Client"
    assert ASTRID.number not in (fault.findtext("faultstring") or "")


async def test_without_a_token_it_is_a_fault_too(syd: RunningSource) -> None:
    answer = await syd.http.post(rivta.PATH, content=question(), headers=XML)
    assert answer.status_code == 401
    assert soap.payload(answer.content)[1].tag == f"{{{soap.SOAP}}}Fault"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('patient="S-77"', 'patient="S-99"'),
        ("20230918093000</authorTime>", "18/9 2023</authorTime>"),
        ("<approvedForPatient>true</approvedForPatient>", ""),
        ("urn:example:syd:journal", "urn:example:other"),
    ],
)
async def test_a_wrong_document_is_not_stored(syd: RunningSource, old: str, new: str) -> None:
    assert old in record_text("syd")
    assert await document(syd, record_text("syd").replace(old, new)) == 500
    await syd.settled()
    assert syd.network.updates == []


async def test_filters_of_the_question(syd: RunningSource) -> None:
    await document(syd)
    for more, found in (
        ("", 1),
        ("<r:timePeriod><d:start>20200101</d:start><d:end>20991231</d:end></r:timePeriod>", 1),
        ("<r:sourceSystemHSAId>SE0000000033-SYS</r:sourceSystemHSAId>", 1),
        ("<r:sourceSystemHSAId>SE0000000011-SYS</r:sourceSystemHSAId>", 0),
    ):
        answer = await ask(syd, question(more=more))
        assert len(answer.findall(f"{{{RESPONDER}}}alertInformation")) == found
