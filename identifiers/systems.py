# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Identifier and code systems by URI and OID, with the aliases that are accepted on input."""

import re
from typing import Final

PERSONNUMMER: Final = "http://electronichealth.se/identifier/personnummer"
SAMORDNINGSNUMMER: Final = "http://electronichealth.se/identifier/samordningsnummer"
NATIONAL_RESERVE_NUMBER: Final = "http://electronichealth.se/identifier/nationelltReservnummer"
HSA_ID: Final = "urn:oid:1.2.752.29.4.19"
ORGANISATION_NUMBER: Final = "urn:oid:2.5.4.97"

OID_PERSONNUMMER: Final = "1.2.752.129.2.1.3.1"
OID_SAMORDNINGSNUMMER: Final = "1.2.752.129.2.1.3.3"
OID_NATIONAL_RESERVE_NUMBER: Final = "1.2.752.74.9.1"
OID_HSA_ID_RIVTA: Final = "1.2.752.129.2.1.4.1"

ALIASES: Final[dict[str, str]] = {
    f"urn:oid:{OID_PERSONNUMMER}": PERSONNUMMER,
    f"urn:oid:{OID_SAMORDNINGSNUMMER}": SAMORDNINGSNUMMER,
    f"urn:oid:{OID_NATIONAL_RESERVE_NUMBER}": NATIONAL_RESERVE_NUMBER,
    f"urn:oid:{OID_HSA_ID_RIVTA}": HSA_ID,
    "urn:oid:1.2.752.29.6.2.1": HSA_ID,
}

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)


def canonical_system(system: str) -> str:
    """The system that is stored and sent for `system`; unknown systems come back unchanged.

    RIV-TA writes an OID without `urn:oid:`; both forms are taken.
    """
    uri = f"urn:oid:{system}" if _OID.fullmatch(system) else system
    return ALIASES.get(uri, uri)
