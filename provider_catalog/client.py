# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What others may know of `provider_catalog`: who an HSA-id is and where to reach it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

import httpx2

from fhir_server.context import Context
from fhir_server.outcome import BadGateway
from fhir_server.parameters import Parameters
from fhir_server.remote import invoke

T = TypeVar("T")

CONNECTION_SYSTEM = "https://ndi.example/fhir/CodeSystem/connection-type"
"""`Endpoint.connectionType` codes: fhir-rest, openehr-rest, rivta-soap."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """A care provider or care unit."""

    hsa_id: str
    name: str
    provider: str
    """HSA-id of the care provider (itself, for a care provider)."""
    provider_name: str
    kind: str
    """care-provider, care-unit or register."""
    active: bool = True


@dataclass(frozen=True, slots=True)
class ResolvedEndpoint:
    """Where to fetch one information type of one unit."""

    address: str
    connection_type: str
    """fhir-rest, openehr-rest or rivta-soap."""
    logical_address: str
    """HSA-id that goes into a RIV-TA LogicalAddress: the source system."""
    unit: str
    path: tuple[str, ...] = ()
    """HSA-ids passed on the way from unit to endpoint, for the operator."""


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A care provider as the network knows it, the same for every person."""

    hsa_id: str
    name: str
    connected: bool
    information_types: tuple[str, ...] = ()


class Place(NamedTuple):
    """What an endpoint is resolved for."""

    unit: str
    information_type: str
    source_system: str | None = None


class CatalogClient(Protocol):
    """How other services ask the catalogue."""

    async def resolve(
        self, context: Context, unit: str, information_type: str, source_system: str | None = None
    ) -> ResolvedEndpoint | None:
        """The endpoint for an information type of a unit: the unit's own, else its provider's, else None."""
        ...

    async def resolve_many(self, context: Context, places: Sequence[Place]) -> list[ResolvedEndpoint | None]:
        """The same for each place, in order, in one call."""
        ...

    async def organisations(self, context: Context, hsa_ids: Sequence[str]) -> dict[str, Organisation]:
        """The organisations known among these HSA-ids, by HSA-id, in one call."""
        ...

    async def providers(self, context: Context) -> Sequence[ProviderState]:
        """Every care provider with whether it is connected (has an active endpoint), sorted by HSA-id."""
        ...


_NAMES_A_CALL: Final = 1000
_PLACES_A_CALL: Final = 500


class HttpCatalog:
    """`CatalogClient` over HTTP, on the caller's behalf."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        """`base`: the catalogue's FHIR base, e.g. http://127.0.0.1:8700/provider-catalog/fhir."""
        self._http, self._base = http, base.rstrip("/")

    async def resolve(
        self, context: Context, unit: str, information_type: str, source_system: str | None = None
    ) -> ResolvedEndpoint | None:
        """See `CatalogClient`."""
        (found,) = await self.resolve_many(context, [Place(unit, information_type, source_system)])
        return found

    async def resolve_many(self, context: Context, places: Sequence[Place]) -> list[ResolvedEndpoint | None]:
        """See `CatalogClient`."""
        found: list[ResolvedEndpoint | None] = []
        for some in _batches(places, _PLACES_A_CALL):
            asked = Parameters([{"name": "query", "part": _place_parts(each)} for each in some])
            answer = await invoke(self._http, context, f"{self._base}/Endpoint/$resolve", asked)
            answers = answer.parts("answer")
            if [each.required("unit", str) for each in answers] != [each.unit for each in some]:
                raise BadGateway("the catalogue answered other questions than were asked")
            found += map(_endpoint, answers)
        return found

    async def organisations(self, context: Context, hsa_ids: Sequence[str]) -> dict[str, Organisation]:
        """See `CatalogClient`."""
        known: dict[str, Organisation] = {}
        for some in _batches(list(dict.fromkeys(hsa_ids)), _NAMES_A_CALL):
            asked = Parameters([{"name": "hsaId", "valueString": each} for each in some])
            answer = await invoke(self._http, context, f"{self._base}/Organization/$names", asked)
            for each in answer.parts("organisation"):
                organisation = Organisation(
                    hsa_id=each.required("hsaId", str),
                    name=each.required("name", str),
                    provider=each.required("provider", str),
                    provider_name=each.optional("providerName", str) or "",
                    kind=each.required("kind", str),
                    active=each.required("active", bool),
                )
                known[organisation.hsa_id] = organisation
        return known

    async def providers(self, context: Context) -> Sequence[ProviderState]:
        """See `CatalogClient`."""
        answer = await invoke(self._http, context, f"{self._base}/Organization/$providers", Parameters())
        return [
            ProviderState(
                hsa_id=each.required("hsaId", str),
                name=each.required("name", str),
                connected=each.required("connected", bool),
                information_types=each.values("informationType", str),
            )
            for each in answer.parts("provider")
        ]


def _batches(asked: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (asked[start : start + size] for start in range(0, len(asked), size))


def _place_parts(place: Place) -> list[dict[str, str]]:
    parts = [
        {"name": "unit", "valueString": place.unit},
        {"name": "informationType", "valueCode": place.information_type},
    ]
    if place.source_system is not None:
        parts.append({"name": "sourceSystem", "valueString": place.source_system})
    return parts


def _endpoint(answer: Parameters) -> ResolvedEndpoint | None:
    if not answer.all("endpoint"):
        return None
    found = answer.part("endpoint")
    return ResolvedEndpoint(
        address=found.required("address", str),
        connection_type=found.required("connectionType", str),
        logical_address=found.required("logicalAddress", str),
        unit=found.required("unit", str),
        path=found.values("path", str),
    )
