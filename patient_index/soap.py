# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""SOAP 1.1 as RIV-TA BP 2.1 uses it: envelope in, envelope or fault out; pure.

https://www.w3.org/TR/2000/NOTE-SOAP-20000508/. The parser takes no document type, no entities and no network.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol, cast

from lxml import etree

from fhir_server.context import Answer
from fhir_server.outcome import FhirError
from patient_index.engagement import EngagementFault

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESSING: Final = "urn:riv:itintegration:registry:1"
CORE: Final = "urn:riv:itintegration:engagementindex:1"
UPDATE: Final = "urn:riv:itintegration:engagementindex:UpdateResponder:1"
FIND_CONTENT: Final = "urn:riv:itintegration:engagementindex:FindContentResponder:1"

_SCHEMAS: Final = Path(__file__).parent / "schemas"
_MEDIA: Final = "text/xml; charset=utf-8"


class _Logged(Protocol):
    """What lxml, whose types leave it out, tells of a fault."""

    line: int
    path: str
    type_name: str


@dataclass(frozen=True, slots=True)
class Message:
    """A SOAP message: whom it is addressed to, and the element in its body."""

    logical_address: str | None
    payload: etree._Element


def parse(body: bytes, schema_name: str, element: str) -> Message:
    """The message with a payload that is valid by our schema and has the expected name.

    Raises `EngagementFault` (EI001) telling line and element of the first fault, never a value.
    """
    try:
        root = etree.fromstring(body, _parser())
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise EngagementFault(f"the body is not XML: line {line}, column {column}", code="EI001") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise EngagementFault("a document type is not taken", code="EI001")
    if root.tag != f"{{{ENVELOPE}}}Envelope":
        raise EngagementFault("the body must be a SOAP 1.1 envelope", code="EI001")
    header, content = root.find(f"{{{ENVELOPE}}}Header"), root.find(f"{{{ENVELOPE}}}Body")
    payload = [] if content is None else [each for each in content if isinstance(each.tag, str)]
    if len(payload) != 1 or payload[0].tag != element:
        raise EngagementFault(f"the SOAP body must hold one {etree.QName(element).localname}", code="EI001")
    _validate(payload[0], schema_name)
    address = None if header is None else header.findtext(f"{{{ADDRESSING}}}LogicalAddress")
    return Message(address, payload[0])


def elements(parent: etree._Element, names: Iterable[str], namespace: str) -> dict[str, str]:
    """The texts of the named children that are there."""
    found = {}
    for name in names:
        child = parent.find(f"{{{namespace}}}{name}")
        if child is not None:
            found[name] = child.text or ""  # comments and processing instructions were removed, elements refused
    return found


def append(parent: etree._Element, namespace: str, values: Mapping[str, str]) -> None:
    """Adds a child for each value."""
    for name, value in values.items():
        etree.SubElement(parent, f"{{{namespace}}}{name}").text = value


def answer(payload: etree._Element, schema_name: str) -> Answer:
    """The payload in an envelope. Raises `ValueError` if it is not valid: we send nothing our schema refuses."""
    if not _schema(schema_name).validate(payload):
        raise ValueError("the answer breaks the schema")
    return Answer(_enveloped(payload), media_type=_MEDIA)


def fault(error: FhirError, trace_id: str) -> Answer:
    """The error as a SOAP fault: HTTP status 500, save where HTTP itself refuses (401, 403, 413, 503 and such).

    The text starts with the code of the engagement index where a rule of it is broken (`EI004: …`); a failure of ours
    is EI000, a technical error.
    """
    ours = error.status >= 500
    code = error.detail_code if isinstance(error, EngagementFault) else "EI000" if ours else error.detail_code
    built = etree.Element(f"{{{ENVELOPE}}}Fault", nsmap={"soapenv": ENVELOPE})
    # SOAP 1.1 4.4: the children of a fault have no namespace.
    etree.SubElement(built, "faultcode").text = "soapenv:Server" if ours else "soapenv:Client"
    etree.SubElement(built, "faultstring").text = f"{code}: {error.message}"
    detail = etree.SubElement(built, "detail")
    etree.SubElement(detail, "{https://ndi.example/soap}traceId").text = trace_id
    status = 500 if isinstance(error, EngagementFault) else error.status
    return Answer(_enveloped(built), status=status, headers=error.headers, media_type=_MEDIA)


def _enveloped(payload: etree._Element) -> bytes:
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soapenv": ENVELOPE})
    etree.SubElement(envelope, f"{{{ENVELOPE}}}Body").append(payload)
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)


def _parser() -> etree.XMLParser:
    """A new one for each message: parsers keep state."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip


@cache
def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(_SCHEMAS / name)))


def _validate(payload: etree._Element, schema_name: str) -> None:
    schema = _schema(schema_name)
    if schema.validate(payload):
        return
    first = next(iter(cast("Iterable[_Logged]", schema.error_log)))
    # The log's own text quotes the value, which may be a person's number.
    element = first.path.rpartition("/")[2].rpartition(":")[2]
    rule = first.type_name.removeprefix("SCHEMAV_").replace("_", " ").lower()
    raise EngagementFault(f"the payload breaks the schema: line {first.line}, {element} ({rule})", code="EI001")
