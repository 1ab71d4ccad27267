# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A FHIR Consent as we take it, and the entry it means. Nothing is stored that was not understood.

The resource is built anew from what was read, so that no free text, no display and no number reaches the store.
"""

from collections.abc import Mapping
from typing import Any, Final

from consent.model.document import Entry, Kind
from consent.model.period import ALWAYS, Period, period_of
from consent.model.question import KIND_SYSTEM
from fhir_server.outcome import Invalid, Unprocessable
from identifiers import information_type, systems
from identifiers.hsa_id import InvalidHsaId, parse_hsa_id
from identifiers.person_key import PersonKey

SCOPE: Final = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
LAW_SYSTEM: Final = "https://ndi.example/fhir/CodeSystem/law"
_ROLE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_LAW: Final = {
    Kind.shared_record: "SVOD-3-1",
    Kind.outer_block: "SVOD-2-3",
    Kind.inner_block: "PDL-4-4",
    Kind.register_opt_out: "PDL-7-2",
}
_PROVISION_TYPE: Final = {Kind.shared_record: "permit"}
_ROLE: Final = {
    Kind.shared_record: "IRCP",
    Kind.outer_block: "CST",
    Kind.inner_block: "CST",
    Kind.register_opt_out: "IRCP",
}
_ROLE_CODES: Final = frozenset({"IRCP", "CST"})
_BLOCKS: Final = frozenset({Kind.outer_block, Kind.inner_block})

_TOP: Final = frozenset(
    {"resourceType", "id", "meta", "status", "scope", "category", "patient", "dateTime", "policyRule", "provision",
     "organization"}
)  # fmt: skip
_PROVISION: Final = frozenset({"type", "actor", "code", "period", "dataPeriod"})


def kind_of(resource: Mapping[str, Any]) -> Kind:
    """The kind of consent. Raises `Unprocessable` unless there is exactly one, of ours."""
    codes = [
        coding.get("code")
        for category in resource.get("category", ())
        for coding in category.get("coding", ())
        if coding.get("system") == KIND_SYSTEM
    ]
    known = {kind.value: kind for kind in Kind}
    if len(codes) != 1 or codes[0] not in known:
        raise Unprocessable(
            f"category must hold one code of {KIND_SYSTEM}: {', '.join(known)}",
            expression="Consent.category",
            code="unknown-consent-kind",
        )
    return known[codes[0]]


def active(resource: Mapping[str, Any]) -> bool:
    """Whether it is in force. Raises `Unprocessable` on a status other than active and inactive."""
    status = resource.get("status")
    if status not in ("active", "inactive"):
        raise Unprocessable("status must be active or inactive", expression="Consent.status", code="consent-status")
    return bool(status == "active")


def entry_of(resource: Mapping[str, Any]) -> Entry:
    """What the resource means. Raises `Invalid` or `Unprocessable` on anything that we would not honour."""
    _only(resource, _TOP, "Consent")
    kind = kind_of(resource)
    provision = resource.get("provision")
    if not isinstance(provision, dict):
        raise Unprocessable("provision is required", expression="Consent.provision", code="consent-provision")
    _only(provision, _PROVISION, "Consent.provision")
    wanted = _PROVISION_TYPE.get(kind, "deny")
    if provision.get("type") != wanted:
        raise Unprocessable(
            f"provision.type of {kind.value} is {wanted}", expression="Consent.provision.type", code="consent-provision"
        )
    blocking = kind is not Kind.shared_record
    documented = period_of(provision.get("dataPeriod"), "Consent.provision.dataPeriod", wide=True)
    if documented != ALWAYS and kind not in _BLOCKS:
        raise Unprocessable(
            f"{kind.value} has no dataPeriod", expression="Consent.provision.dataPeriod", code="consent-provision"
        )
    return Entry(
        id=str(resource.get("id", "")),
        kind=kind,
        organisation=_organisation(provision, kind),
        provider=_custodian(resource) if kind in _BLOCKS else None,
        types=_types(provision, kind),
        validity=period_of(provision.get("period"), "Consent.provision.period", wide=blocking),
        documented=documented,
    )


def rebuilt(entry: Entry, resource: Mapping[str, Any], *, person_hex: str, made: str) -> dict[str, Any]:
    """The resource as it is stored: the entry in canonical form, with the person by key."""
    provision: dict[str, Any] = {
        "type": _PROVISION_TYPE.get(entry.kind, "deny"),
        "actor": [
            {
                "role": {"coding": [{"system": _ROLE_SYSTEM, "code": _ROLE[entry.kind]}]},
                "reference": {"identifier": {"system": systems.HSA_ID, "value": entry.organisation}},
            }
        ],
    }
    if entry.types:
        provision["code"] = [{"coding": [{"system": information_type.SYSTEM, "code": code}]} for code in entry.types]
    for name, period in (("period", entry.validity), ("dataPeriod", entry.documented)):
        if period != ALWAYS:
            provision[name] = _fhir(period)
    built: dict[str, Any] = {"resourceType": "Consent"}
    if "id" in resource:
        built["id"] = resource["id"]
    built |= {
        "status": resource["status"],
        "scope": {"coding": [SCOPE]},
        "category": [{"coding": [{"system": KIND_SYSTEM, "code": entry.kind.value}]}],
        "patient": {"reference": f"Patient/{person_hex}"},
        "dateTime": made,
    }
    if entry.provider is not None:
        built["organization"] = [{"identifier": {"system": systems.HSA_ID, "value": entry.provider}}]
    built["policyRule"] = {"coding": [{"system": LAW_SYSTEM, "code": _LAW[entry.kind]}]}
    built["provision"] = provision
    return built


def _fhir(period: Period) -> dict[str, str]:
    return {
        name: value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        for name, value in (("start", period.start), ("end", period.end))
        if value is not None
    }


def _only(value: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise Unprocessable(
            f"{path} may hold {', '.join(sorted(known - {'resourceType'}))}; what we cannot honour is not taken",
            expression=path,
            code="element-not-honoured",
        )


def _organisation(provision: Mapping[str, Any], kind: Kind) -> str:
    path = "Consent.provision.actor"
    actors = provision.get("actor", [])
    if len(actors) != 1:
        raise Unprocessable("provision.actor must name one organisation", expression=path, code="consent-actor")
    roles = {coding.get("code") for coding in actors[0].get("role", {}).get("coding", ())} & _ROLE_CODES
    if roles != {_ROLE[kind]}:
        raise Unprocessable(
            f"provision.actor.role of {kind.value} is {_ROLE[kind]}", expression=f"{path}[0].role", code="consent-actor"
        )
    return _hsa_id(actors[0].get("reference", {}).get("identifier"), f"{path}[0].reference.identifier")


def _custodian(resource: Mapping[str, Any]) -> str | None:
    """The provider of a block, filled in by `prepare`; what a caller sends is replaced."""
    given = resource.get("organization")
    return _hsa_id(given[0].get("identifier"), "Consent.organization[0].identifier") if given else None


def _hsa_id(identifier: Any, path: str) -> str:
    if not isinstance(identifier, dict) or systems.canonical_system(str(identifier.get("system"))) != systems.HSA_ID:
        raise Unprocessable(
            f"name the organisation by its HSA-id ({systems.HSA_ID})", expression=path, code="consent-actor"
        )
    try:
        return parse_hsa_id(str(identifier.get("value", "")))
    except InvalidHsaId as error:
        raise Invalid(str(error), expression=f"{path}.value") from None


def _types(provision: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    path = "Consent.provision.code"
    if "code" in provision and kind is Kind.register_opt_out:
        raise Unprocessable("register-opt-out holds for the whole register", expression=path, code="consent-provision")
    found = set()
    for concept in provision.get("code", ()):
        codes = [c.get("code") for c in concept.get("coding", ()) if c.get("system") == information_type.SYSTEM]
        if len(codes) != 1 or information_type.by_code(str(codes[0])) is None:
            raise Unprocessable(
                f"provision.code must be an information type of {information_type.SYSTEM}",
                expression=path,
                code="unknown-information-type",
            )
        found.add(str(codes[0]))
    return tuple(sorted(found))


def person_of(resource: Mapping[str, Any]) -> PersonKey:
    """The person of a stored Consent, from `Patient/<32 hexadecimal digits>`. Raises `Invalid`."""
    reference = (resource.get("patient") or {}).get("reference", "")
    try:
        return PersonKey.from_hex(reference.removeprefix("Patient/"))
    except ValueError:
        raise Invalid("patient must refer to the person by key", expression="Consent.patient") from None
