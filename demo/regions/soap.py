# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""SOAP 1.1 envelopes, faults and schema checks (RIV-TA Basic Profile 2.1)."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from lxml import etree

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTRY: Final = "urn:riv:itintegration:registry:1"
MEDIA: Final = "text/xml; charset=utf-8"
SCHEMAS: Final = Path(__file__).with_name("schemas")


class SoapError(Exception):
    """A message that is not taken; the text repeats no value of it. `client`: whether the caller is to change it."""

    def __init__(self, text: str, *, client: bool = True) -> None:
        super().__init__(text)
        self.text, self.client = text, client


@cache
def schema(name: str) -> etree.XMLSchema:
    """One of the demo's own schemas, by file name."""
    return etree.XMLSchema(etree.parse(str(SCHEMAS / name)))


def parse(body: bytes) -> etree._Element:
    """The document element. No DTD, no entities, no network. Raises `SoapError`."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        line = error.position[0] if error.position else 0
        raise SoapError(f"the message is not well-formed XML (line {line})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise SoapError("a message has no document type declaration")
    return root


def payload(body: bytes) -> tuple[str | None, etree._Element]:
    """LogicalAddress and the element in the Body. Raises `SoapError`."""
    root = parse(body)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise SoapError("a SOAP 1.1 Envelope is expected")
    inside = root.find(f"{{{SOAP}}}Body")
    elements = [each for each in inside if isinstance(each.tag, str)] if inside is not None else []
    if len(elements) != 1:
        raise SoapError("the Body has exactly one element")
    address = root.findtext(f"{{{SOAP}}}Header/{{{REGISTRY}}}LogicalAddress")
    return (address.strip() if address else None), elements[0]


def check(element: etree._Element, schema_name: str) -> etree._Element:
    """The element, if it is valid. Raises `SoapError` naming line and element, never a value."""
    held = schema(schema_name)
    # Validated as a document of its own: namespaces declared further up are kept by the copy.
    own = etree.fromstring(etree.tostring(element, with_tail=False))
    if not held.validate(own):
        raise SoapError(f"the message breaks the schema: {_where(held.error_log)}")
    return own


def _where(log: Any) -> str:
    """Line, kind and element of the first error; lxml's stubs do not know the log as a sequence."""
    return f"line {log[0].line}, {str(log[0].type_name).lower()} at {log[0].path}"


def envelope(element: etree._Element, logical_address: str | None = None) -> bytes:
    """The element in an envelope, with a LogicalAddress if given."""
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    if logical_address is not None:
        header = etree.SubElement(root, f"{{{SOAP}}}Header")
        etree.SubElement(header, f"{{{REGISTRY}}}LogicalAddress", nsmap={"r": REGISTRY}).text = logical_address
    etree.SubElement(root, f"{{{SOAP}}}Body").append(element)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def fault(text: str, *, client: bool) -> bytes:
    """A SOAP 1.1 Fault."""
    element = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
    etree.SubElement(element, "faultcode").text = "soap:Client" if client else "soap:Server"
    etree.SubElement(element, "faultstring").text = text
    return envelope(element)


def add(parent: etree._Element, namespace: str, name: str, text: str | None = None) -> etree._Element:
    """A new child element."""
    child = etree.SubElement(parent, f"{{{namespace}}}{name}")
    child.text = text
    return child
