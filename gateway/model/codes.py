# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Code systems by the names sources give them."""

import re
from typing import Final

ATC: Final = "http://www.whocc.no/atc"
SNOMED: Final = "http://snomed.info/sct"
OID_ATC: Final = "1.2.752.129.2.2.3.1.1"
OID_NPL: Final = "1.2.752.129.2.1.5.1"
OID_SEVERITY: Final = "1.2.752.129.2.2.3.3"
OID_CERTAINTY: Final = "1.2.752.129.2.2.3.11"

_BY_OID: Final[dict[str, str]] = {
    "1.2.752.116.1.1.1.1.3": "https://www.icd10.se/",
    "1.2.752.116.2.1.1": SNOMED,
    "2.16.840.1.113883.6.96": SNOMED,
    "2.16.840.1.113883.6.1": "http://loinc.org",
}
_BY_NAME: Final[dict[str, str]] = {
    "snomed-ct": SNOMED,
    "snomed ct": SNOMED,
    "snomed": SNOMED,
    "sct": SNOMED,
    "loinc": "http://loinc.org",
    "atc": ATC,
    "icd10": "http://hl7.org/fhir/sid/icd-10",
    "icd-10": "http://hl7.org/fhir/sid/icd-10",
    "icd-10-se": "https://www.icd10.se/",
}
_OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.ASCII | re.IGNORECASE)
_ATC_SUBSTANCE: Final = re.compile(r"[A-Z]\d{2}[A-Z]{2}\d{2}", re.ASCII)


def uri(name: str) -> str | None:
    """The URI of a code system given as OID, URI or openEHR terminology id; None if it names none we know."""
    value = name.strip()
    if value in _BY_OID:
        return _BY_OID[value]
    if _OID.fullmatch(value):
        return f"urn:oid:{value}"
    if value.lower() in _BY_NAME:
        return _BY_NAME[value.lower()]
    return value if _URI.fullmatch(value) else None


def is_atc(code: str) -> bool:
    """Whether the code has the form of an ATC substance, level 5."""
    return _ATC_SUBSTANCE.fullmatch(code) is not None
