# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""RIV-TA GetAlertInformation 2.0 over SOAP 1.1: the request, the answer checked by schema, faults. Pure.

The schemas in `schemas/` are our own, written from the contract's published facts (names, order, cardinality,
patterns); tests hold them against the published ones. Unknown extension elements are allowed where the contract
allows them and never fail.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final, Protocol, cast

from lxml import etree

from gateway.model.tree import Node, from_xml
from identifiers import systems
from identifiers.person_number import PersonIdentifier

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY: Final = "urn:riv:itintegration:registry:1"
RESPONDER: Final = "urn:riv:clinicalprocess:healthcond:description:GetAlertInformationResponder:2"
DESCRIPTION: Final = "urn:riv:clinicalprocess:healthcond:description:2"
ACTION: Final = f"{RESPONDER}:GetAlertInformation"
_KNOWN: Final = frozenset({RESPONDER, DESCRIPTION})
_OID_OF: Final = {
    systems.PERSONNUMMER: systems.OID_PERSONNUMMER,
    systems.SAMORDNINGSNUMMER: systems.OID_SAMORDNINGSNUMMER,
    systems.NATIONAL_RESERVE_NUMBER: systems.OID_NATIONAL_RESERVE_NUMBER,
}


class NotXml(ValueError):
    """The bytes are no XML we take: not well formed, or with a document type declaration."""


class NotTheContract(ValueError):
    """The XML is not what the contract says. The text names the element, never its content."""


class SoapFault(ValueError):
    """The source told a SOAP fault, or the business error the contract has a place for."""


def request(
    identifier: PersonIdentifier, *, logical_address: str, units: tuple[str, ...] = (), source_system: str | None = None
) -> bytes:
    """The SOAP envelope that asks for a person's alert information, of some units and one system if given."""
    envelope = etree.Element(
        f"{{{ENVELOPE}}}Envelope", nsmap={"s": ENVELOPE, "r": REGISTRY, "q": RESPONDER, "d": DESCRIPTION}
    )
    header = etree.SubElement(envelope, f"{{{ENVELOPE}}}Header")
    etree.SubElement(header, f"{{{REGISTRY}}}LogicalAddress").text = logical_address
    body = etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")
    question = etree.SubElement(body, f"{{{RESPONDER}}}GetAlertInformation")
    for unit in units:
        etree.SubElement(question, f"{{{RESPONDER}}}careUnitHSAId").text = unit
    patient = etree.SubElement(question, f"{{{RESPONDER}}}patientId")
    etree.SubElement(patient, f"{{{DESCRIPTION}}}id").text = identifier.value
    kind = _OID_OF.get(identifier.system, identifier.system.removeprefix("urn:oid:"))
    etree.SubElement(patient, f"{{{DESCRIPTION}}}type").text = kind
    if source_system:
        etree.SubElement(question, f"{{{RESPONDER}}}sourceSystemHSAId").text = source_system
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def parse_xml(content: bytes) -> etree._Element:
    """The root element, without document types, entities or the network. Raises `NotXml`."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise NotXml("the answer is no well-formed XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotXml("the answer carries a document type declaration")
    return root


def response(content: bytes, schema: etree.XMLSchema | None = None) -> tuple[Node, ...]:
    """The alertInformation elements of an answer, each as a tree; checked by `schema`, or by our own.

    Raises `NotXml`, `SoapFault`, `NotTheContract`.
    """
    payload = _payload(parse_xml(content))
    if payload.tag == f"{{{ENVELOPE}}}Fault":
        raise SoapFault("the source told a SOAP fault")
    if payload.tag != f"{{{RESPONDER}}}GetAlertInformationResponse":
        raise NotTheContract("the body is no GetAlertInformationResponse")
    check(payload, schema)
    answer = from_xml(payload, _KNOWN)
    # Business errors come with HTTP 200 in the element result; INFO and OK are answers.
    if answer.value("result", "resultCode") == "ERROR":
        raise SoapFault("the source told a business error")
    return tuple(each for each in answer.children if each.name == "alertInformation")


class _SchemaError(Protocol):
    path: str | None
    type_name: str


def check(payload: etree._Element, schema: etree.XMLSchema | None = None) -> None:
    """Raises `NotTheContract` naming the first element that breaks the schema."""
    schema = schema or own_schema()
    if schema.validate(payload):
        return
    # lxml's stubs do not know the log as a sequence.
    first = cast(Sequence[_SchemaError], schema.error_log)[0]
    path = "/".join(part.rpartition("}")[2].rpartition(":")[2] for part in (first.path or "").split("/") if part)
    raise NotTheContract(f"{path or 'the answer'} breaks the contract's schema ({first.type_name})")


def _payload(root: etree._Element) -> etree._Element:
    body = root.find(f"{{{ENVELOPE}}}Body") if root.tag == f"{{{ENVELOPE}}}Envelope" else None
    children = [] if body is None else [each for each in body if isinstance(each.tag, str)]
    if len(children) != 1:
        raise NotTheContract("the answer is no SOAP 1.1 envelope with one element in its body")
    return children[0]


@cache
def own_schema() -> etree.XMLSchema:
    """The schema that comes with the gateway."""
    folder = resources.files("gateway") / "schemas"
    with resources.as_file(folder) as path:
        return etree.XMLSchema(etree.parse(str(path / "get_alert_information_2.xsd")))
