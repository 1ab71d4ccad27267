# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Tells the index by the national engagement index contract: `Update`, riv:itintegration:engagementindex 1.0."""

from typing import Final
from zoneinfo import ZoneInfo

from lxml import etree

from demo.actors import OPERATOR_HSA, Actor
from demo.regions import soap
from demo.regions.publish import Network, NotTaken, Publisher
from demo.regions.store import Engagement

UPDATE: Final = "urn:riv:itintegration:engagementindex:UpdateResponder:1"
TYPES: Final = "urn:riv:itintegration:engagementindex:1"
ACTION: Final = f"{UPDATE}:Update"
PATH: Final = "/patient-index/soap/Update"
DOMAIN: Final = "riv:clinicalprocess:healthcond:description"
CATEGORIZATION: Final = "upp"
STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")


def update(actor: Actor, engagement: Engagement) -> etree._Element:
    """The Update element; what is gone is deleted. Times are Swedish local time without zone (contract)."""
    root = etree.Element(f"{{{UPDATE}}}Update", nsmap={"u": UPDATE, "e": TYPES})
    transaction = soap.add(root, UPDATE, "engagementTransaction")
    soap.add(transaction, TYPES, "deleteFlag", "false" if engagement.items else "true")
    row = soap.add(transaction, TYPES, "engagement")
    for name, value in (
        ("registeredResidentIdentification", engagement.number),
        ("serviceDomain", DOMAIN),
        ("categorization", CATEGORIZATION),
        ("logicalAddress", actor.unit),
        ("businessObjectInstanceIdentifier", str(engagement.business_object)),
        ("clinicalProcessInterestId", "NA"),
        ("mostRecentContent", engagement.most_recent.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")),
        ("sourceSystem", actor.system),
        ("dataController", actor.provider),
    ):
        soap.add(row, TYPES, name, value)
    return soap.check(root, "update.xsd")


def publisher(network: Network) -> Publisher:
    """The way to tell the index by SOAP."""

    async def send(engagement: Engagement) -> None:
        message = soap.envelope(update(network.actor, engagement), OPERATOR_HSA)
        answer = await network.post_xml(PATH, ACTION, message)
        try:
            _, element = soap.payload(answer.content)
            if element.tag == f"{{{soap.SOAP}}}Fault":
                raise NotTaken(f"Update: {answer.status_code}, {(element.findtext('faultstring') or '')[:200]}")
            element = soap.check(element, "update.xsd")
        except soap.SoapError as error:
            raise NotTaken(f"Update: {answer.status_code}, {error.text}") from None
        if element.findtext(f"{{{UPDATE}}}ResultCode") == "ERROR":
            raise NotTaken("Update: the index answered ERROR")

    return send
