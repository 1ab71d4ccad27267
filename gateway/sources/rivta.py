# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""RIV-TA sources: GetAlertInformation 2.0 over SOAP (RIV-TA Basic Profile 2.1)."""

from typing import Final

from fhir_server.context import Context
from gateway import soap
from gateway.contracts import Contracts
from gateway.model import rivta, tree
from gateway.model.record import Record
from gateway.model.record import Source as Asked
from gateway.model.translations import Translations
from gateway.sources import SourceAnswer, SourceFailed
from gateway.sources.http import SourceHttp, accepted
from identifiers.person_number import PersonIdentifier
from provider_catalog.client import ResolvedEndpoint

_HEADERS: Final = {
    "Content-Type": "text/xml; charset=utf-8",
    "Accept": "text/xml",
    "SOAPAction": f'"{soap.ACTION}"',
}


class RivtaSource:
    """Asks servers of connection type rivta-soap."""

    def __init__(self, http: SourceHttp, contracts: Contracts) -> None:
        self._http, self._contracts = http, contracts

    async def fetch(
        self,
        context: Context,
        endpoint: ResolvedEndpoint,
        identifier: PersonIdentifier,
        resource_type: str,
        units: tuple[str, ...] = (),
    ) -> SourceAnswer:
        """See `Source`."""
        question = soap.request(identifier, logical_address=endpoint.logical_address, units=units)
        received = await self._http.send(context, "POST", endpoint.address, content=question, headers=_HEADERS)
        schema = await self._contracts.alert_information()
        try:
            # A SOAP 1.1 fault comes with status 500; whatever else is no answer.
            alerts = soap.response(accepted(received, 200, 500).content, schema)
        except (soap.NotXml, soap.NotTheContract, soap.SoapFault) as error:
            raise SourceFailed(str(error)) from None
        if received.status != 200:
            raise SourceFailed(f"answered with HTTP status {received.status}")
        asked = Asked(endpoint.logical_address, identifier)
        return SourceAnswer.of(lambda known: _map(alerts, asked, known))


def _map(alerts: tuple[tree.Node, ...], asked: Asked, known: Translations) -> tuple[Record, ...]:
    records = (rivta.alert(each, asked, known) for each in alerts)
    return tuple(each for each in records if each is not None)
