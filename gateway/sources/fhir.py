# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""FHIR R4 sources: search by POST, so that the identifier stands in the body (https://hl7.org/fhir/R4/http.html#search)."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import orjson

from fhir_server.context import Context
from fhir_server.outcome import FhirError
from fhir_server.validation import validate
from gateway.model import fhir
from gateway.model.account import Loss
from gateway.model.record import Record
from gateway.model.record import Source as Asked
from gateway.model.translations import Translations
from gateway.sources import SourceAnswer, SourceFailed
from gateway.sources.http import Received, SourceHttp, accepted
from identifiers.person_number import PersonIdentifier
from provider_catalog.client import ResolvedEndpoint

_JSON: Final = {"Accept": "application/fhir+json"}
_FORM: Final = {**_JSON, "Content-Type": "application/x-www-form-urlencoded"}
_MAX_PAGES: Final = 20
_INCOMPLETE: Final = Loss("OperationOutcome", "marks the answer as incomplete")


class FhirSource:
    """Asks servers of connection type fhir-rest."""

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
        form = urlencode({"patient.identifier": f"{identifier.system}|{identifier.value}"}).encode()
        url: str | None = f"{address}/{resource_type}/_search"
        received = await self._http.send(context, "POST", str(url), content=form, headers=_FORM)
        resources: list[dict[str, Any]] = []
        losses: list[Loss] = []
        for _ in range(_MAX_PAGES):
            bundle = _bundle(received)
            resources += _resources(bundle, losses)
            url = _next(bundle, address, identifier)
            if url is None:
                break
            received = await self._http.send(context, "GET", url, headers=_JSON)
        else:
            raise SourceFailed(f"has more than {_MAX_PAGES} pages")
        asked = Asked(endpoint.logical_address, identifier)
        return SourceAnswer.of(lambda known: _map(resources, asked, known), tuple(losses))


def _bundle(received: Received) -> dict[str, Any]:
    bundle = accepted(received, 200).json()
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "searchset":
        raise SourceFailed("the answer is no searchset Bundle")
    return bundle


def _resources(bundle: Mapping[str, Any], losses: list[Loss]) -> list[dict[str, Any]]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise SourceFailed("Bundle.entry is no list")
    found: list[dict[str, Any]] = []
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise SourceFailed("an entry of the Bundle holds no resource")
        if resource["resourceType"] == "OperationOutcome":
            severities = {issue.get("severity") for issue in resource.get("issue", []) if isinstance(issue, dict)}
            if severities & {"fatal", "error", "warning"}:
                losses.append(_INCOMPLETE)
            continue
        if resource["resourceType"] not in ("AllergyIntolerance", "Provenance"):
            continue
        _check(resource)
        found.append(resource)
    return found


def _check(resource: Mapping[str, Any]) -> None:
    try:
        validate(orjson.dumps(resource))
    except FhirError as error:
        where = f" at {error.expression}" if error.expression else ""
        raise SourceFailed(f"a {resource['resourceType']} is not valid FHIR R4{where}") from None


def _next(bundle: Mapping[str, Any], address: str, identifier: PersonIdentifier) -> str | None:
    """The next page, only at the same server and only if the link shows no identifier."""
    links = bundle.get("link", [])
    url = next((each.get("url") for each in links if isinstance(each, dict) and each.get("relation") == "next"), None)
    if url is None:
        return None
    there, here = urlsplit(str(url)), urlsplit(address)
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise SourceFailed("the next page lies at another server")
    if identifier.value in str(url) or identifier.value[2:] in str(url):
        raise SourceFailed("the link to the next page shows the identifier")
    return str(url)


def _map(resources: list[dict[str, Any]], asked: Asked, known: Translations) -> tuple[Record, ...]:
    provenances = [each for each in resources if each["resourceType"] == "Provenance"]
    allergies = [each for each in resources if each["resourceType"] == "AllergyIntolerance"]
    records = (fhir.allergy(each, asked, known, provenances) for each in allergies)
    return tuple(each for each in records if each is not None)
