# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The patient's pages: who holds, who read, consents and blocks, registers."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from audit.client import AccessLogRow
from fhir_server.outcome import Invalid
from identifiers.hsa_id import InvalidHsaId, parse_hsa_id
from portal.desk import HEADERS, Page, Services, Visit, wants_json
from portal.model import CONSENT, KINDS, OPT_OUT, OUTER_BLOCK, consent_resource, consent_row, holder_rows
from transfer.client import RegisterView


class PatientPages:
    """What a patient sees and does."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def overview(self, visit: Visit, request: Request) -> Page:
        """`GET /patient`: who holds what, whether it is blocked, and the latest in the access log."""
        entries, consents, log = await asyncio.gather(
            self._services.index.holders(visit.context),
            self._consents(visit),
            self._services.audit.access_log(visit.context, limit=5),
        )
        data = {
            "name": visit.caller.user_name,
            "csrf": visit.session.csrf,
            "holders": holder_rows(entries, consents, visit.language),
            "consents": consents,
            "log": [_log_row(row, visit.language) for row in log.rows],
        }
        return Page("patient.html", data)

    async def log(self, visit: Visit, request: Request) -> Page:
        """`GET /patient/log`: who accessed what, where, why and when (PDL 5:5, 8:5)."""
        page = await self._services.audit.access_log(visit.context, cursor=request.query_params.get("cursor"))
        rows = [_log_row(row, visit.language) for row in page.rows]
        return Page("log.html", {"rows": rows, "cursor": page.cursor, "csrf": visit.session.csrf})

    async def consents(self, visit: Visit, request: Request) -> Page:
        """`GET /patient/consents`: consents, blocks and opt-outs, in force and ended."""
        return Page("consents.html", {"consents": await self._consents(visit), "csrf": visit.session.csrf})

    async def give(self, visit: Visit, request: Request) -> Response | Page:
        """`POST /patient/consents`: gives a consent, sets a block, opts out of a register."""
        kind = visit.form.get("kind", "")
        if kind not in KINDS:
            raise Invalid(f"kind: {', '.join(KINDS)}")
        try:
            party = parse_hsa_id(visit.form.get("hsa_id", ""))
        except InvalidHsaId as error:
            raise Invalid(str(error)) from None
        stored = await self._services.consent.give(visit.context, consent_resource(kind, party))
        return self._done(visit, request, stored, 201)

    async def withdraw(self, visit: Visit, request: Request) -> Response | Page:
        """`POST /patient/consents/{id}/withdraw`: withdraws a consent, lifts a block, takes part again."""
        stored = await self._services.consent.withdraw(visit.context, request.path_params["id"])
        return self._done(visit, request, stored, 200)

    async def registers(self, visit: Visit, request: Request) -> Page:
        """`GET /patient/registers`: what each quality register holds, and the right to say no (PDL 7:2)."""
        views, consents = await asyncio.gather(self._services.transfer.registers(visit.context), self._consents(visit))
        opted = {row["party"]: row["id"] for row in consents if row["active"] and row["kind"] == OPT_OUT}
        rows = [_register_row(view, opted.get(view.hsa_id), visit.language) for view in views]
        return Page("registers.html", {"registers": rows, "csrf": visit.session.csrf})

    async def _consents(self, visit: Visit) -> list[dict[str, Any]]:
        rows = [consent_row(resource) for resource in await self._services.consent.consents(visit.context)]
        names = await self._services.catalog.organisations(visit.context, sorted({row["party"] for row in rows}))
        for row in rows:
            known = names.get(row["party"])
            row["partyName"] = known.name if known is not None else row["party"]
        return rows

    def _done(self, visit: Visit, request: Request, stored: dict[str, Any], status: int) -> Response | Page:
        row = consent_row(stored)
        if wants_json(request):
            return Page("consents.html", row, status)
        target = {CONSENT: "/patient/consents", OUTER_BLOCK: "/patient", OPT_OUT: "/patient/registers"}
        return RedirectResponse(target.get(row["kind"], "/patient"), 303, HEADERS)


_PURPOSES = {
    "TREAT": ("vård och behandling", "care and treatment"),
    "PATRQT": ("du själv", "yourself"),
    "HQUALIMP": ("kvalitetsregister", "quality register"),
    "HOPERAT": ("drift av vården", "health care operations"),
}
_WHAT = {
    "locate": ("sökte vilka som har uppgifter", "asked who holds data"),
    "index-search": ("sökte vilka som har uppgifter", "asked who holds data"),
    "read": ("läste uppgifter", "read data"),
    "create": ("antecknade", "recorded data"),
    "login": ("loggade in", "logged in"),
    "access-log-read": ("läste loggen", "read the log"),
    "holders": ("såg vilka som har uppgifter", "saw who holds data"),
    "state-care-relation": ("uppgav en vårdrelation", "stated a care relation"),
    "create Consent": ("gav samtycke eller spärrade", "gave a consent or set a block"),
    "update Consent": ("ändrade samtycke eller spärr", "changed a consent or a block"),
    "search Consent": ("såg samtycken och spärrar", "saw consents and blocks"),
    "own-registers": ("såg kvalitetsregister", "saw quality registers"),
    "find-content": ("sökte vilka som har uppgifter", "asked who holds data"),
    "decide": ("prövade åtkomst", "asked whether access is allowed"),
    "register-transfer": ("förde över till kvalitetsregister", "transferred to a quality register"),
    "transfer-to-register": ("förde över till kvalitetsregister", "transferred to a quality register"),
}
_GROUNDS = {
    "consent": ("ditt samtycke", "your consent"),
    "self": ("din egen direktåtkomst", "your own direct access"),
    "own-record": ("egen vårddokumentation", "the unit's own records"),
    "lawful-basis": ("stöd i lag", "lawful basis"),
    "emergency": ("nödöppning", "emergency access"),
}


def _log_row(row: AccessLogRow, language: str) -> dict[str, Any]:
    which = 0 if language == "sv" else 1
    purpose = _PURPOSES.get(row.purpose or "", (row.purpose or "–",) * 2)[which]
    ground = _GROUNDS.get(row.ground or "", (row.ground or "",) * 2)[which]
    return {
        "id": row.id,
        "recorded": row.recorded.isoformat(),
        "operation": row.operation,
        "what": _WHAT.get(row.operation, (row.operation,) * 2)[which],
        "outcome": row.outcome,
        "who": row.user_name,
        "organisation": row.organisation_name or row.organisation,
        "unit": row.unit_name or row.unit,
        "purpose": row.purpose,
        "ground": row.ground,
        "why": f"{purpose}, {ground}" if ground else purpose,
        "reason": row.reason,
        "law": row.law,
        "informationType": row.information_type,
        "holders": list(row.holders),
        "count": row.count,
        "automatic": row.automatic,
    }


def _register_row(view: RegisterView, opt_out: str | None, language: str) -> dict[str, Any]:
    return {
        "hsaId": view.hsa_id,
        "name": view.name,
        "purpose": view.purpose_sv if language == "sv" else view.purpose_en,
        "records": view.records,
        "optedOut": opt_out is not None,
        "optOut": opt_out,
        "lastDelivery": view.last_delivery.isoformat() if view.last_delivery else None,
        "erasedAt": view.erased_at.isoformat() if view.erased_at else None,
    }
