# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The clinician's pages: state a care relation, locate, read."""

from typing import Any

from starlette.requests import Request

from fhir_server.outcome import Forbidden, Invalid
from identifiers import systems
from identifiers.person_key import PersonKeys
from identifiers.person_number import PersonIdentifier, parse
from portal.desk import Page, Services, Visit
from portal.model import LOSS, allergy_rows, notices

_RELATION_HOURS = 24
_MAX_REASON = 200


class ClinicianPages:
    """What a clinician sees and does."""

    def __init__(self, services: Services, keys: PersonKeys) -> None:
        self._services, self._keys = services, keys

    async def start(self, visit: Visit, request: Request) -> Page:
        """`GET /clinician`: the form."""
        return Page("clinician.html", {"csrf": visit.session.csrf, "located": None, "read": None, "number": ""})

    async def locate(self, visit: Visit, request: Request) -> Page:
        """`POST /clinician/locate`: states the care relation and asks the index. The number comes in the form only."""
        identifier = _identifier(visit)
        await self._relate(visit, identifier)
        located = await self._services.index.locate(visit.context, identifier)
        entries = [
            {
                "custodianName": entry.custodian_name or entry.custodian,
                "unitName": entry.unit_name or entry.unit,
                "unit": entry.unit,
                "informationType": entry.information_type,
                "mostRecent": entry.most_recent.isoformat() if entry.most_recent else None,
                "items": entry.items,
            }
            for entry in located.entries
        ]
        data: dict[str, Any] = {
            "unblockedExist": located.unblocked_exist,
            "blockedExist": located.blocked_exist,
            "mode": located.mode.value,
            "reason": located.reason,
            "law": located.law,
            "explanation": located.explanation_sv if visit.language == "sv" else located.explanation_en,
            "entries": entries,
            "coverage": {
                "connected": located.coverage.connected,
                "notConnected": located.coverage.not_connected,
                "notConnectedNames": list(located.coverage.not_connected_names),
            },
        }
        return Page("clinician.html", {**_form_state(visit, identifier), "located": data, "read": None})

    async def read(self, visit: Visit, request: Request) -> Page:
        """`POST /clinician/read`: the patient's allergies, merged over all sources."""
        identifier = _identifier(visit)
        await self._relate(visit, identifier)
        try:
            fetched = await self._services.gateway.search(visit.context, identifier, "AllergyIntolerance")
        except Forbidden as refused:
            data = {
                "refused": refused.message,
                "allergies": [],
                "notices": [],
                "losses": [],
                "sources": [],
                "complete": True,
            }
            return Page("clinician.html", {**_form_state(visit, identifier), "located": None, "read": data}, 403)
        told = notices(fetched.bundle)
        data = {
            "refused": None,
            "allergies": allergy_rows(fetched.bundle),
            "notices": [each for each in told if each["code"] != LOSS],
            "losses": [each for each in told if each["code"] == LOSS],
            "sources": [
                {
                    "unitName": each.unit_name,
                    "status": each.status,
                    "milliseconds": each.milliseconds,
                    "count": each.count,
                }
                for each in fetched.sources
            ],
            "complete": fetched.complete,
        }
        return Page("clinician.html", {**_form_state(visit, identifier), "located": None, "read": data})

    async def _relate(self, visit: Visit, identifier: PersonIdentifier) -> None:
        reason = visit.form.get("reason", "").strip()
        if not reason:
            return
        if len(reason) > _MAX_REASON:
            raise Invalid(f"{len(reason)} > {_MAX_REASON}")
        await self._services.consent.state_care_relation(
            visit.context, self._keys.of(identifier), reason, _RELATION_HOURS
        )


def _identifier(visit: Visit) -> PersonIdentifier:
    return parse(systems.PERSONNUMMER, visit.form.get("number", ""), today=visit.context.now.date())


def _form_state(visit: Visit, identifier: PersonIdentifier) -> dict[str, str]:
    return {"csrf": visit.session.csrf, "number": identifier.value}
