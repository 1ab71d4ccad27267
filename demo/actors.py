# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Who takes part in the demo. All of them are invented; HSA-ids have the national form."""

from dataclasses import dataclass
from typing import Final

HSA_SYSTEM: Final = "urn:oid:1.2.752.29.4.19"
PERSONNUMMER: Final = "http://electronichealth.se/identifier/personnummer"
PERSONNUMMER_OID: Final = "1.2.752.129.2.1.3.1"
CANONICAL: Final = "https://ndi.example/fhir"
INFORMATION_TYPES: Final = f"{CANONICAL}/CodeSystem/information-type"
ORGANISATION_KINDS: Final = f"{CANONICAL}/CodeSystem/organization-kind"
CONNECTION_TYPES: Final = f"{CANONICAL}/CodeSystem/connection-type"


@dataclass(frozen=True, slots=True)
class Actor:
    """A care provider with one unit and one record system."""

    name: str
    client_id: str
    provider: str
    """HSA-id of the care provider (vårdgivare)."""
    provider_name: str
    unit: str
    """HSA-id of the care unit (vårdenhet)."""
    unit_name: str
    system: str
    """HSA-id of the record system."""
    protocol: str
    """connection-type code: fhir-rest, openehr-rest or rivta-soap."""
    path: str
    """Path of the service under the system's address."""
    port_offset: int


NORR: Final = Actor("norr", "region-norr", "SE0000000011-VG", "Region Norr", "SE0000000011-VE1",
                    "Medicinkliniken Norr", "SE0000000011-SYS", "fhir-rest", "/fhir", 21)  # fmt: skip
MITT: Final = Actor("mitt", "region-mitt", "SE0000000022-VG", "Region Mitt", "SE0000000022-VE1",
                    "Allergimottagningen Mitt", "SE0000000022-SYS", "openehr-rest", "/openehr/v1", 22)  # fmt: skip
SYD: Final = Actor("syd", "region-syd", "SE0000000033-VG", "Region Syd", "SE0000000033-VE1",
                   "Akutmottagningen Syd", "SE0000000033-SYS", "rivta-soap", "/GetAlertInformation", 23)  # fmt: skip
ANEMONEN: Final = Actor("anemonen", "anemonen", "SE0000000044-VG", "Tandkliniken Anemonen AB", "SE0000000044-VE1",
                        "Tandkliniken Anemonen", "SE0000000044-SYS", "fhir-rest", "/fhir", 24)  # fmt: skip

REGIONS: Final[tuple[Actor, ...]] = (NORR, MITT, SYD)
SOURCES: Final[tuple[Actor, ...]] = (*REGIONS, ANEMONEN)
BY_NAME: Final[dict[str, Actor]] = {each.name: each for each in SOURCES}

REGISTER_HSA: Final = "SE0000000055-REG"
REGISTER_NAME: Final = "Allergiregistret"
REGISTER_SYSTEM: Final = "SE0000000055-SYS"
REGISTER_PORT_OFFSET: Final = 31
NOT_CONNECTED_HSA: Final = "SE0000000066-VG"
NOT_CONNECTED_NAME: Final = "Hälsocentralen Väst AB"
OPERATOR_HSA: Final = "SE0000000099-OP"
