# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the clinicians of the demo write down, as each system takes it (`regions/records`)."""

from pathlib import Path
from typing import Any, Final

from demo.actors import HSA_SYSTEM, PERSONNUMMER
from demo.people import ASTRID, DISA

RECORDS: Final = Path(__file__).parents[1] / "regions" / "records"
_FILES: Final = {"norr": "norr.json", "mitt": "mitt.json", "syd": "syd.xml"}


def record_text(region: str) -> str:
    """The region's record of Astrid's allergy in the region's own format; it names her by the local patient id."""
    return (RECORDS / _FILES[region]).read_text(encoding="utf-8")


OBSERVATION_TEXT: Final = "Urtikaria efter lokalbedövning"
_VERIFICATION: Final = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


def observation(*, active: bool) -> dict[str, Any]:
    """What the dentist observes, always under the same identifier; not `active`: entered in error."""
    certainty = "unconfirmed" if active else "entered-in-error"
    resource: dict[str, Any] = {
        "resourceType": "AllergyIntolerance",
        "identifier": [
            {"system": "https://anemonen.example/journal/allergy", "value": "3b1d3c52-0c0f-4f0b-a1b7-5f5b0a6a4401"}
        ],
        "verificationStatus": {"coding": [{"system": _VERIFICATION, "code": certainty}]},
        "type": "intolerance",
        "category": ["medication"],
        "code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "N01BB02", "display": "lidocaine"}]},
        "patient": {"identifier": {"system": PERSONNUMMER, "value": ASTRID.number}},
        "recorder": {"identifier": {"system": HSA_SYSTEM, "value": DISA.hsa_id}, "display": DISA.name},
        "reaction": [{"manifestation": [{"text": OBSERVATION_TEXT}], "severity": "mild"}],
    }
    if active:
        resource["clinicalStatus"] = {"coding": [{"system": _CLINICAL, "code": "active"}]}
    return resource
