# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A record system that speaks RIV-TA: Region Syd, GetAlertInformation 2.0.

Its own documentation is XML too: a `document` with the house's patient id around an `alertInformation`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
import uuid

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.actors import PERSONNUMMER_OID, SYD
from demo.people import ASTRID, BERTIL
from demo.regions import engagement, soap
from demo.regions.serve import Arguments, Region, TooLarge, arguments, body_of, create_app, serve
from demo.regions.store import LocalPerson, Store
from demo.trust import Refused

RESPONDER: Final = "urn:riv:clinicalprocess:healthcond:description:GetAlertInformationResponder:2"
DESCRIPTION: Final = "urn:riv:clinicalprocess:healthcond:description:2"
JOURNAL: Final = "urn:example:syd:journal"
SCHEMA: Final = "get_alert_information.xsd"
PATH: Final = SYD.path
TABLES: Final = """
CREATE TABLE IF NOT EXISTS alert (
    document_id text PRIMARY KEY,
    local_id text NOT NULL REFERENCES person,
    body text NOT NULL,
    nullified boolean NOT NULL,
    changed timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS alert_person ON alert (local_id);
"""
PEOPLE: Final = (
    LocalPerson("S-77", ASTRID.number, ASTRID.name),
    LocalPerson("S-78", BERTIL.number, BERTIL.name),
)
Handler = Callable[[Request], Any]


def _d(name: str) -> str:
    return f"{{{DESCRIPTION}}}{name}"


def _answer(body: bytes, status: int = 200) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Response(body, status, media_type=soap.MEDIA, headers=headers)


def guarded(handler: Handler) -> Handler:
    """Tells refusals and broken messages as SOAP Faults."""

    async def run(request: Request) -> Response:
        try:
            answer: Response = await handler(request)
        except Refused as refused:
            return _answer(soap.fault(refused.text, client=refused.status < 500), refused.status)
        except soap.SoapError as error:
            return _answer(soap.fault(error.text, client=error.client), 500)
        except TooLarge:
            return _answer(soap.fault("the message is larger than 1 MiB", client=True), 500)
        return answer

    return run


def alert_of(document: etree._Element, number: str) -> etree._Element:
    """The alert of an own document with the person's number filled in, valid by the contract. Raises `SoapError`."""
    alert = document.find(f"{{{RESPONDER}}}alertInformation")
    header = alert.find(_d("alertInformationHeader")) if alert is not None else None
    before = header.find(_d("accountableHealthcareProfessional")) if header is not None else None
    if alert is None or header is None or before is None:
        raise soap.SoapError("a document has an alertInformation with its header")
    patient = etree.Element(_d("patientId"))
    soap.add(patient, DESCRIPTION, "id", number)
    soap.add(patient, DESCRIPTION, "type", PERSONNUMMER_OID)
    before.addprevious(patient)
    response = etree.Element(f"{{{RESPONDER}}}GetAlertInformationResponse", nsmap={"r": RESPONDER, "d": DESCRIPTION})
    response.append(alert)
    return soap.check(response, SCHEMA)[0]


def _after_start(alert: etree._Element, period: etree._Element) -> bool:
    end = alert.findtext(f"{_d('alertInformationBody')}/{_d('validityTimePeriod')}/{_d('end')}")
    return end is None or end[:8] >= (period.findtext(_d("start")) or "")


class RivtaSource:
    """The handlers; `region` gives what they work with."""

    def __init__(self, region: Callable[[], Region]) -> None:
        self._region = region

    @property
    def _store(self) -> Store:
        return self._region().store

    async def get_alert_information(self, request: Request) -> Response:
        """GetAlertInformation 2.0: valid in, valid out."""
        await self._region().askers.asker(request.headers.get("authorization"))
        address, element = soap.payload(await body_of(request))
        actor = self._region().actor
        if element.tag != f"{{{RESPONDER}}}GetAlertInformation":
            raise soap.SoapError("GetAlertInformation is expected in the Body")
        question = soap.check(element, SCHEMA)
        if address not in (actor.system, actor.unit, actor.provider):
            raise soap.SoapError("the LogicalAddress is not served here")
        answer = etree.Element(f"{{{RESPONDER}}}GetAlertInformationResponse", nsmap={"r": RESPONDER, "d": DESCRIPTION})
        if question.findtext(f"{{{RESPONDER}}}patientId/{_d('type')}") != PERSONNUMMER_OID:
            self._result(answer, "ERROR", "the type of patientId is not known here")
        else:
            for alert in await self._found(question):
                answer.append(alert)
            self._result(answer, "OK", None)
        return _answer(soap.envelope(soap.check(answer, SCHEMA)))

    async def _found(self, question: etree._Element) -> list[etree._Element]:
        number = question.findtext(f"{{{RESPONDER}}}patientId/{_d('id')}") or ""
        person = await self._store.person_by_number(number)
        if person is None:
            return []
        rows = await self._store.pool.fetch(
            "SELECT body FROM alert WHERE local_id = $1 AND NOT nullified ORDER BY changed, document_id",
            person.local_id,
        )
        alerts = [soap.parse(row["body"].encode()) for row in rows]
        units = {each.text for each in question.findall(f"{{{RESPONDER}}}careUnitHSAId")}
        system = question.findtext(f"{{{RESPONDER}}}sourceSystemHSAId")
        period = question.find(f"{{{RESPONDER}}}timePeriod")
        professional = f"{_d('alertInformationHeader')}/{_d('accountableHealthcareProfessional')}"
        return [
            alert
            for alert in alerts
            if (not units or alert.findtext(f"{professional}/{_d('healthcareProfessionalCareUnitHSAId')}") in units)
            and (system is None or system == self._region().actor.system)
            and (period is None or _after_start(alert, period))
        ]

    def _result(self, answer: etree._Element, code: str, message: str | None) -> None:
        result = soap.add(answer, RESPONDER, "result")
        soap.add(result, DESCRIPTION, "resultCode", code)
        if code == "ERROR":
            soap.add(result, DESCRIPTION, "errorCode", "INVALID_REQUEST")
        soap.add(result, DESCRIPTION, "logId", str(uuid.uuid4()))
        if message:
            soap.add(result, DESCRIPTION, "message", message)

    async def document(self, request: Request) -> Response:
        """How the house's own clinicians document; the same content again changes nothing but is told again."""
        self._region().staff.check(request.headers.get("authorization"))
        document = soap.parse(await body_of(request))
        if document.tag != f"{{{JOURNAL}}}document":
            raise soap.SoapError(f"a document of {JOURNAL} is expected")
        person = await self._store.person(document.get("patient") or "")
        if person is None:
            raise soap.SoapError("this patient is not known here")
        alert = alert_of(document, person.number)
        header = _d("alertInformationHeader")
        created = await self._save(
            person,
            alert.findtext(f"{header}/{_d('documentId')}") or "",
            etree.tostring(alert, encoding="unicode"),
            alert.findtext(f"{header}/{_d('nullified')}") in ("true", "1"),
        )
        self._region().sender.wake()
        return Response(status_code=201 if created else 200)

    async def _save(self, person: LocalPerson, document_id: str, body: str, nullified: bool) -> bool:
        async with self._store.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", person.local_id)
            created: bool = await connection.fetchval(
                "INSERT INTO alert AS a (document_id, local_id, body, nullified, changed) VALUES ($1, $2, $3, $4, $5) "
                "ON CONFLICT (document_id) DO UPDATE SET local_id = excluded.local_id, body = excluded.body, "
                "nullified = excluded.nullified, "
                "changed = CASE WHEN a.body = excluded.body THEN a.changed ELSE excluded.changed END "
                "RETURNING xmax = 0",
                document_id, person.local_id, body, nullified, datetime.now(UTC),
            )  # fmt: skip
            await self._store.tell(
                connection,
                person.local_id,
                "SELECT count(*) FILTER (WHERE NOT nullified), max(changed) FROM alert WHERE local_id = $1",
            )
        return created


def routes(region: Callable[[], Region]) -> Sequence[BaseRoute]:
    """The simulator's routes."""
    source = RivtaSource(region)
    return [
        Route(PATH, guarded(source.get_alert_information), methods=["POST"]),
        Route("/document", guarded(source.document), methods=["POST"]),
    ]


def app(given: Arguments) -> Starlette:
    """The simulator as an application."""
    return create_app(given, tables=TABLES, people=PEOPLE, routes=routes, publisher=engagement.publisher)


def main() -> None:
    """Serves the actor named on the command line."""
    given = arguments()
    serve(given, app(given))


if __name__ == "__main__":
    main()
