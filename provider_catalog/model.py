# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The catalogue's values and rules: what an entry says, who owns it, which endpoint answers for a unit. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from fhir_server.outcome import Forbidden, Unprocessable
from identifiers import information_type, systems
from identifiers.hsa_id import HsaId, InvalidHsaId, owner_number, parse_hsa_id
from identifiers.organisation_number import InvalidOrganisationNumber, parse_organisation_number
from provider_catalog.client import CONNECTION_SYSTEM, ResolvedEndpoint

KIND_SYSTEM: Final = "https://ndi.example/fhir/CodeSystem/organization-kind"
KINDS: Final = ("care-provider", "care-unit", "register")
CONNECTION_TYPES: Final = ("fhir-rest", "openehr-rest", "rivta-soap")
"""In the order they are preferred where a unit offers several."""

_STATUSES: Final = ("active", "suspended", "error", "off", "entered-in-error", "test")
_ABSENT: Final = frozenset({"off", "entered-in-error", "test"})
"""Endpoints that are as if they were not there; a suspended one is there and stops the search."""

_OWNING: Final[Mapping[str, tuple[str, ...]]] = {
    "Organization": ("partOf",),
    "Endpoint": ("managingOrganization",),
    "Location": ("managingOrganization",),
    "HealthcareService": ("providedBy",),
}
"""The elements of each type that say to whom an entry belongs."""

Reason = Literal["no-route", "endpoint-suspended", "ambiguous"]


@dataclass(frozen=True, slots=True)
class Unit:
    """An organisation that takes part in addressing."""

    hsa_id: HsaId
    name: str
    kind: str
    active: bool
    parent: HsaId | None


@dataclass(frozen=True, slots=True)
class Route:
    """One information type that one endpoint serves for one organisation."""

    unit: HsaId
    information_type: str
    connection_type: str
    logical_address: HsaId
    address: str
    status: str
    valid_from: datetime | None
    valid_to: datetime | None
    """First instant after the period."""

    def counts(self, now: datetime, source_system: str | None) -> bool:
        """Whether the route is to be considered at all."""
        return (
            self.status not in _ABSENT
            and (self.valid_from is None or self.valid_from <= now)
            and (self.valid_to is None or now < self.valid_to)
            and (source_system is None or self.logical_address == source_system)
        )


@dataclass(frozen=True, slots=True)
class Step:
    """An organisation on the way from the unit to its provider, with its routes for the type asked for."""

    unit: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """The endpoint, or why there is none; the way that was taken in either case."""

    endpoint: ResolvedEndpoint | None
    reason: Reason | None
    path: tuple[str, ...]


def choose(steps: Sequence[Step], *, now: datetime, source_system: str | None = None) -> Resolution:
    """The endpoint for a unit: its own, else that of the nearest organisation above it, up to the care provider.

    The first organisation with a route that counts ends the search, even if that endpoint is suspended: going on
    would send the request to another system. Several of one connection type are ambiguous.
    """
    path: list[str] = []
    for step in steps:
        path.append(step.unit)
        found = [route for route in step.routes if route.counts(now, source_system)]
        if not found:
            continue
        best = min(CONNECTION_TYPES.index(route.connection_type) for route in found)
        preferred = [route for route in found if route.connection_type == CONNECTION_TYPES[best]]
        if len(preferred) > 1:
            return Resolution(None, "ambiguous", tuple(path))
        route = preferred[0]
        if route.status != "active":
            return Resolution(None, "endpoint-suspended", tuple(path))
        endpoint = ResolvedEndpoint(route.address, route.connection_type, route.logical_address, step.unit, tuple(path))
        return Resolution(endpoint, None, tuple(path))
    return Resolution(None, "no-route", tuple(path))


def path_of(unit: Unit, above: Sequence[HsaId] | None) -> tuple[HsaId, ...]:
    """The way from the unit up to its care provider; `above` is the parent's, None while the parent is not known.

    Raises `Unprocessable` if the unit would stand above itself.
    """
    if unit.parent is None or unit.kind != "care-unit":
        return (unit.hsa_id,)
    rest = tuple(above) if above is not None else (unit.parent,)
    if unit.hsa_id in rest:
        raise Unprocessable("the organisation would be part of itself", code="ring", expression="Organization.partOf")
    return (unit.hsa_id, *rest)


def unit_of(resource: Mapping[str, Any]) -> Unit | None:
    """What an Organization says about addressing; None if it has no HSA-id or none of our kinds."""
    hsa_id = hsa_id_of(resource)
    kind = next((code for code in _codes(resource.get("type"), KIND_SYSTEM) if code in KINDS), None)
    if hsa_id is None or kind is None:
        return None
    parent = _identified(resource.get("partOf"))
    return Unit(hsa_id, resource["name"], kind, resource.get("active", True), parent)


def routes_of(resource: Mapping[str, Any]) -> tuple[Route, ...]:
    """The routes an Endpoint makes: one for each of our information types it carries for an identified organisation."""
    unit = _identified(resource.get("managingOrganization"))
    system = hsa_id_of(resource)
    connection = resource["connectionType"]
    if unit is None or system is None or connection.get("system") != CONNECTION_SYSTEM:
        return ()
    period = resource.get("period") or {}
    return tuple(
        Route(
            unit=unit,
            information_type=code,
            connection_type=connection["code"],
            logical_address=system,
            address=resource["address"],
            status=resource["status"],
            valid_from=_instant(period.get("start"), end=False),
            valid_to=_instant(period.get("end"), end=True),
        )
        for code in dict.fromkeys(_codes(resource["payloadType"], information_type.SYSTEM))
    )


def hsa_id_of(resource: Mapping[str, Any]) -> HsaId | None:
    """The HSA-id of a normalised entry."""
    found = [each["value"] for each in resource.get("identifier", ()) if each.get("system") == systems.HSA_ID]
    return HsaId(found[0]) if found else None


def normalised(resource: dict[str, Any]) -> dict[str, Any]:
    """The entry with identifiers in canonical form; the same object if nothing had to change.

    HSA-ids in capitals under one system, organisation numbers as ten digits. Raises `Unprocessable` where they are
    wrong.
    """
    changed = deepcopy(resource)
    kind = resource["resourceType"]
    for index, identifier in enumerate(changed.get("identifier", ())):
        _normalise(identifier, f"{kind}.identifier[{index}]")
    for element in _OWNING[kind]:
        if "identifier" in changed.get(element, {}):
            _normalise(changed[element]["identifier"], f"{kind}.{element}.identifier")
    return resource if changed == resource else changed


def check(resource: Mapping[str, Any]) -> None:
    """Raises `Unprocessable` if a normalised entry breaks a rule of the catalogue."""
    identifiers = [each for each in resource.get("identifier", ()) if each.get("system") == systems.HSA_ID]
    kind = resource["resourceType"]
    if len(identifiers) > 1:
        raise Unprocessable("an entry has one HSA-id", expression=f"{kind}.identifier", code="one-hsa-id")
    if kind == "Organization":
        _check_organization(resource)
    elif kind == "Endpoint":
        _check_endpoint(resource)


def check_owner(resource: Mapping[str, Any], organisation: str | None) -> None:
    """Raises `Forbidden` unless everything the entry belongs to has the ten digits of `organisation`'s HSA-id.

    Literal references say nothing we could check without looking them up; a source names organisations by HSA-id.
    """
    kind = resource["resourceType"]
    owners = {owner_number(hsa_id)} if (hsa_id := hsa_id_of(resource)) is not None else set()
    for element in _OWNING[kind]:
        reference = resource.get(element) or {}
        if "reference" in reference:
            raise Forbidden(
                f"name the organisation by its HSA-id in {element}.identifier",
                code="foreign-entry",
                expression=f"{kind}.{element}",
            )
        if (named := _identified(reference)) is not None:
            owners.add(owner_number(named))
    if organisation is None or owners != {organisation.upper()[2:12]}:
        raise Forbidden(
            "a source writes only entries of its own care provider: the HSA-ids must begin as its own does",
            code="foreign-entry",
            expression=f"{kind}.identifier",
        )


def _check_organization(resource: Mapping[str, Any]) -> None:
    codes = _codes(resource.get("type"), KIND_SYSTEM)
    unknown = [code for code in codes if code not in KINDS]
    if unknown or len(codes) > 1:
        raise Unprocessable(
            f"the kind is one of {', '.join(KINDS)}", expression="Organization.type", code="unknown-kind"
        )
    if codes and not resource.get("name"):
        raise Unprocessable(
            "an organisation with a kind has a name", expression="Organization.name", code="name-missing"
        )
    if codes and hsa_id_of(resource) is None:
        raise Unprocessable(
            "an organisation with a kind has an HSA-id", expression="Organization.identifier", code="hsa-id-missing"
        )


def _check_endpoint(resource: Mapping[str, Any]) -> None:
    if resource["status"] not in _STATUSES:
        raise Unprocessable(
            f"status is one of {', '.join(_STATUSES)}", expression="Endpoint.status", code="unknown-status"
        )
    _check_address(resource["address"])
    unknown = [
        code
        for code in _codes(resource["payloadType"], information_type.SYSTEM)
        if code not in information_type.BY_CODE
    ]
    if unknown:
        raise Unprocessable(
            f"the information types are {', '.join(information_type.BY_CODE)}",
            expression="Endpoint.payloadType",
            code="unknown-information-type",
        )
    connection = resource["connectionType"]
    if connection.get("system") != CONNECTION_SYSTEM:
        return
    if connection.get("code") not in CONNECTION_TYPES:
        raise Unprocessable(
            f"connectionType is one of {', '.join(CONNECTION_TYPES)}",
            expression="Endpoint.connectionType",
            code="unknown-connection-type",
        )
    if hsa_id_of(resource) is None or _identified(resource.get("managingOrganization")) is None:
        raise Unprocessable(
            "the endpoint needs the HSA-id of its system in identifier and that of the organisation it serves in "
            "managingOrganization.identifier",
            expression="Endpoint.identifier",
            code="hsa-id-missing",
        )


def check_connection_type(resource: Mapping[str, Any]) -> None:
    """Raises `Unprocessable` unless an Endpoint uses our connection types: others are kept for the operator alone."""
    if resource["resourceType"] == "Endpoint" and resource["connectionType"].get("system") != CONNECTION_SYSTEM:
        raise Unprocessable(
            f"connectionType is a code of {CONNECTION_SYSTEM}",
            expression="Endpoint.connectionType",
            code="unknown-connection-type",
        )


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    else:
        sound = sound and parts.username is None and not parts.fragment and not any(c.isspace() for c in address)
    if not sound:
        raise Unprocessable(
            "the address is an http or https URL without user name and fragment",
            expression="Endpoint.address",
            code="bad-address",
        )


def _codes(concepts: Iterable[Mapping[str, Any]] | None, system: str) -> list[str]:
    return [
        coding["code"]
        for concept in concepts or ()
        for coding in concept.get("coding", ())
        if coding.get("system") == system and "code" in coding
    ]


def _identified(reference: Mapping[str, Any] | None) -> HsaId | None:
    identifier = (reference or {}).get("identifier") or {}
    return HsaId(identifier["value"]) if identifier.get("system") == systems.HSA_ID and "value" in identifier else None


def _normalise(identifier: dict[str, Any], path: str) -> None:
    if "system" not in identifier:
        return
    identifier["system"] = systems.canonical_system(identifier["system"])
    try:
        if identifier["system"] == systems.HSA_ID:
            identifier["value"] = parse_hsa_id(identifier.get("value", ""))
        elif identifier["system"] == systems.ORGANISATION_NUMBER:
            identifier["value"] = parse_organisation_number(identifier.get("value", ""))
    except (InvalidHsaId, InvalidOrganisationNumber) as error:
        raise Unprocessable(str(error), expression=f"{path}.value", code="invalid-identifier") from None


def _instant(text: str | None, *, end: bool) -> datetime | None:
    """The first instant of a FHIR dateTime, or with `end` the first after it: periods hold both their ends."""
    if text is None:
        return None
    if "T" in text:
        moment = datetime.fromisoformat(text)
        return moment + timedelta(seconds=1) if end else moment
    year, month, day = (int(part) for part in (text + "-01-01")[:10].split("-"))
    start = datetime(year, month, day, tzinfo=UTC)
    if not end:
        return start
    if len(text) == 10:
        return start + timedelta(days=1)
    if len(text) == 7:
        return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return datetime(year + 1, 1, 1, tzinfo=UTC)
