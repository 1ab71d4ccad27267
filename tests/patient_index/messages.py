# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""SOAP messages as a source writes them, and what an answer says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESS = "urn:riv:itintegration:registry:1"
CORE = "urn:riv:itintegration:engagementindex:1"
UPDATE = "urn:riv:itintegration:engagementindex:UpdateResponder:1"
FIND = "urn:riv:itintegration:engagementindex:FindContentResponder:1"
OWNER = "INDEX-OWNER-HSAID"
DOMAIN = "riv:clinicalprocess:healthcond:description"

ORDER = (
    "registeredResidentIdentification", "serviceDomain", "categorization", "logicalAddress",
    "businessObjectInstanceIdentifier", "clinicalProcessInterestId", "mostRecentContent", "sourceSystem",
    "creationTime", "updateTime", "dataController", "owner",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A SOAP fault."""

    status: int
    code: str
    text: str


def row(number: str, **changed: str | None) -> dict[str, str]:
    """An engagement of Medicinkliniken Norr; None leaves an element out."""
    values: dict[str, str | None] = {
        "registeredResidentIdentification": number,
        "serviceDomain": DOMAIN,
        "categorization": "upp",
        "logicalAddress": "SE0000000011-VE1",
        "businessObjectInstanceIdentifier": "BO-1",
        "clinicalProcessInterestId": "NA",
        "mostRecentContent": "20260115120000",
        "sourceSystem": "SE0000000011-SYS",
        "dataController": "SE0000000011-VG",
        **changed,
    }
    return {name: value for name, value in values.items() if value is not None}


def update(transactions: Iterable[Mapping[str, Any]]) -> etree._Element:
    """The Update element."""
    root = etree.Element(f"{{{UPDATE}}}Update", nsmap={"u": UPDATE, "e": CORE})
    for each in transactions:
        transaction = etree.SubElement(root, f"{{{UPDATE}}}engagementTransaction")
        etree.SubElement(transaction, f"{{{CORE}}}deleteFlag").text = "true" if each["deleteFlag"] else "false"
        engagement = etree.SubElement(transaction, f"{{{CORE}}}engagement")
        for name in ORDER:
            if name in each["engagement"]:
                etree.SubElement(engagement, f"{{{CORE}}}{name}").text = each["engagement"][name]
    return root


def find_content(query: Mapping[str, str]) -> etree._Element:
    """The FindContent element."""
    root = etree.Element(f"{{{FIND}}}FindContent", nsmap={"f": FIND})
    for name in ORDER:
        if name in query:
            etree.SubElement(root, f"{{{FIND}}}{name}").text = query[name]
    return root


def envelope(payload: etree._Element, address: str | None = OWNER) -> bytes:
    """The payload in a SOAP envelope."""
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP, "r": ADDRESS})
    header = etree.SubElement(root, f"{{{SOAP}}}Header")
    if address is not None:
        etree.SubElement(header, f"{{{ADDRESS}}}LogicalAddress").text = address
    etree.SubElement(root, f"{{{SOAP}}}Body").append(payload)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def payload_of(body: bytes) -> etree._Element:
    """The element in the body of an answer."""
    content = etree.fromstring(body).find(f"{{{SOAP}}}Body")
    assert content is not None and len(content) == 1
    return content[0]


def fault_of(status: int, body: bytes) -> Fault:
    """The fault that an answer holds."""
    fault = payload_of(body)
    assert fault.tag == f"{{{SOAP}}}Fault", body
    text = fault.findtext("faultstring") or ""
    return Fault(status, text.partition(":")[0], text)


def rows_of(payload: etree._Element) -> list[dict[str, str]]:
    """The engagements of a FindContentResponse."""
    assert payload.tag == f"{{{FIND}}}FindContentResponse"
    return [{etree.QName(each).localname: each.text or "" for each in engagement} for engagement in payload]
