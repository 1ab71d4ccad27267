# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""openEHR sources: one AQL query finds the compositions, each is read (openEHR REST API 1.0.3).

The number travels as a query parameter in the body: `GET /ehr?subject_id=` would put it into a URL.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from fhir_server.context import Context
from gateway.model import openehr, tree
from gateway.model.openehr_rules import QUERIED
from gateway.model.record import Record, WrongPatient
from gateway.model.record import Source as Asked
from gateway.model.translations import Translations
from gateway.soap import NotXml, parse_xml
from gateway.sources import SourceAnswer, SourceFailed
from gateway.sources.http import Received, SourceHttp, accepted
from identifiers.person_number import PersonIdentifier
from provider_catalog.client import ResolvedEndpoint

_HEADERS: Final = {"Accept": "application/json", "Content-Type": "application/json"}
_READ: Final = {"Accept": "application/json, application/xml;q=0.5"}
_AT_ONCE: Final = 8
_MAX_COMPOSITIONS: Final = 200
AQL: Final = (
    "SELECT DISTINCT e/ehr_id/value AS ehr, e/ehr_status/subject/external_ref/id/value AS subject, c/uid/value AS uid "
    "FROM EHR e CONTAINS COMPOSITION c CONTAINS EVALUATION a "
    "WHERE e/ehr_status/subject/external_ref/id/value = $subject "
    "AND e/ehr_status/subject/external_ref/namespace = $namespace "
    f"AND a/archetype_node_id matches {{{', '.join(repr(each) for each in QUERIED)}}}"
)


class OpenEhrSource:
    """Asks servers of connection type openehr-rest."""

    def __init__(self, http: SourceHttp) -> None:
        self._http = http

    async def fetch(
        self,
        context: Context,
        endpoint: ResolvedEndpoint,
        identifier: PersonIdentifier,
        resource_type: str,
        units: tuple[str, ...] = (),
    ) -> SourceAnswer:
        """See `Source`."""
        address = endpoint.address.rstrip("/")
        parameters = {"subject": identifier.value, "namespace": identifier.system}
        question = orjson.dumps({"q": AQL, "query_parameters": parameters})
        received = await self._http.send(context, "POST", f"{address}/query/aql", content=question, headers=_HEADERS)
        found = _rows(accepted(received, 200).json(), identifier)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(ehr: str, uid: str) -> tree.Node | None:
            async with gate:
                url = f"{address}/ehr/{quote(ehr, safe='')}/composition/{quote(uid, safe=':')}"
                return _composition(await self._http.send(context, "GET", url, headers=_READ))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(read(ehr, uid)) for ehr, uid in found]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        compositions = [each for each in (task.result() for task in tasks) if each is not None]
        asked = Asked(endpoint.logical_address, identifier)
        return SourceAnswer.of(lambda known: _map(compositions, asked, known))


def _rows(answer: Mapping[str, Any], identifier: PersonIdentifier) -> list[tuple[str, str]]:
    """EHR id and composition uid of each row. Raises `SourceFailed`, `WrongPatient`."""
    columns, rows = answer.get("columns"), answer.get("rows")
    if not isinstance(rows, list) or not isinstance(columns, list):
        raise SourceFailed("the answer is no AQL result set")
    names = [each.get("name") if isinstance(each, dict) else None for each in columns]
    if names != ["ehr", "subject", "uid"] or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        raise SourceFailed("the result set has other columns than were asked for")
    found: dict[tuple[str, str], None] = {}
    for ehr, subject, uid in rows:
        if subject != identifier.value:
            raise WrongPatient("the result set names another subject")
        if not isinstance(ehr, str) or not isinstance(uid, str) or identifier.value in ehr + uid:
            raise SourceFailed("the result set holds no usable ids")
        found[(ehr, uid)] = None
    if len(found) > _MAX_COMPOSITIONS:
        raise SourceFailed(f"holds more than {_MAX_COMPOSITIONS} compositions")
    return list(found)


def _composition(received: Received) -> tree.Node | None:
    """The composition; None if it was deleted in between (204)."""
    if accepted(received, 200, 204).status == 204:
        return None
    if "xml" in received.headers.get("content-type", ""):
        try:
            root = parse_xml(received.content)
        except NotXml as error:
            raise SourceFailed(str(error)) from None
        return tree.from_xml(root, frozenset({openehr.NAMESPACE}))
    value = received.json()
    if value.get("_type", "COMPOSITION") != "COMPOSITION":
        raise SourceFailed("the answer is no COMPOSITION")
    return tree.from_json("composition", value)


def _map(compositions: list[tree.Node], asked: Asked, known: Translations) -> tuple[Record, ...]:
    return tuple(openehr.composition(each, asked, known) for each in compositions)
