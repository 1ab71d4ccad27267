# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The FHIR face of an entry: DocumentReference in and out (https://hl7.org/fhir/R4/documentreference.html); pure.

Entries are typed rows: content that an entry has no place for is refused by name, never dropped.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
import re
from typing import Any, Final

from fhir_server.outcome import Invalid, Unprocessable
from fhir_server.resource import instant
from identifiers import systems
from identifiers.hsa_id import InvalidHsaId, parse_hsa_id
from identifiers.information_type import SYSTEM as TYPE_SYSTEM
from identifiers.information_type import by_code
from identifiers.person_key import PersonKeys
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier
from patient_index.model import Registration, Status, StoredEntry, person_identifier, shown

ENTRY_SYSTEM: Final = "https://ndi.example/fhir/NamingSystem/index-entry"
SOURCE_SYSTEM: Final = "https://ndi.example/fhir/StructureDefinition/source-system"
ITEM_COUNT: Final = "https://ndi.example/fhir/StructureDefinition/item-count"

_PLACES: Final = frozenset(
    {
        "resourceType", "id", "meta", "text", "language", "extension", "masterIdentifier", "identifier", "status",
        "type", "category", "subject", "date", "author", "custodian", "content", "context",
    }
)  # fmt: skip
_STATUS: Final[Mapping[str, Status]] = {
    "current": "current", "superseded": "superseded", "entered-in-error": "withdrawn",
}  # fmt: skip
_STATUS_OUT: Final = {ours: fhir for fhir, ours in _STATUS.items()}
_BUSINESS_OBJECT: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_MAX_ITEMS: Final = 2**31 - 1


def registration_of(
    resource: Mapping[str, Any], business_object: str, keys: PersonKeys
) -> tuple[Registration, PersonIdentifier]:
    """The registration a DocumentReference states, and whom it is about.

    Raises `Invalid` or `Unprocessable` naming the element; the text never repeats a person's number.
    """
    if foreign := sorted(set(resource) - _PLACES):
        name = shown(foreign[0])
        raise Unprocessable(f"an index entry has no place for {name}: leave it out", expression=name)
    _check_identifiers(resource, business_object)
    _check_content(resource)
    person = _person(resource, business_object)
    kind = _information_type(resource)
    start, end = _period(resource)
    return (
        Registration(
            person=keys.of(person),
            custodian=_hsa(_member(resource, "custodian"), "custodian.identifier"),
            unit=_hsa(_only(resource, "author"), "author[0].identifier"),
            information_type=kind.code,
            source_system=_source_system(resource),
            business_object=business_object,
            service_domain=kind.service_domain,
            categorization=kind.categorization or kind.code,
            most_recent=_moment(resource.get("date"), "date"),
            status=_status(resource),
            items=_items(resource),
            period_start=start,
            period_end=end,
        ),
        person,
    )


def business_object_of(query: list[tuple[str, str]]) -> str:
    """The business object that `identifier=<entry system>|<business object>` names. Raises `Invalid`."""
    if len(query) != 1 or query[0][0] != "identifier":
        raise Invalid(f"update by one condition: identifier={ENTRY_SYSTEM}|<business object>")
    system, separator, value = query[0][1].partition("|")
    if not separator or system != ENTRY_SYSTEM:
        raise Invalid(f"the identifier's system must be {ENTRY_SYSTEM}")
    if not _BUSINESS_OBJECT.fullmatch(value):
        raise Invalid("a business object id is 1 to 128 visible ASCII characters without blanks")
    return value


def document(entry: StoredEntry, person: PersonIdentifier) -> dict[str, Any]:
    """The entry as a DocumentReference."""
    row = entry.registration
    kind = by_code(row.information_type)
    coding: dict[str, Any] = {"system": TYPE_SYSTEM, "code": row.information_type}
    concept: dict[str, Any] = {"coding": [coding]}
    if kind is None:
        concept["text"] = f"{row.service_domain} {row.categorization}"
    else:
        coding["display"] = kind.display_en
    extension: list[dict[str, Any]] = [{"url": SOURCE_SYSTEM, "valueIdentifier": _identifier(row.source_system)}]
    if row.items is not None:
        extension.append({"url": ITEM_COUNT, "valueUnsignedInt": row.items})
    identifier = {"system": ENTRY_SYSTEM, "value": row.business_object}
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": entry.id,
        "meta": {"versionId": str(entry.version), "lastUpdated": instant(entry.updated or entry.created)},
        "extension": extension,
        "masterIdentifier": identifier,
        "identifier": [identifier],
        "status": _STATUS_OUT[row.status],
        "type": concept,
        "category": [concept],
        "subject": {
            "reference": f"Patient/{row.person.hex()}",
            "identifier": {"system": person.system, "value": person.value},
        },
        "author": [{"identifier": _identifier(row.unit)}],
        "custodian": {"identifier": _identifier(row.custodian)},
        # The content stays with its holder: $locate gives the endpoint, the attachment only says what is there.
        "content": [{"attachment": {"title": kind.display_en if kind else row.categorization}}],
    }
    if row.most_recent is not None:
        resource["date"] = instant(row.most_recent)
    period = {
        name: instant(moment)
        for name, moment in (("start", row.period_start), ("end", row.period_end))
        if moment is not None
    }
    if period:
        resource["context"] = {"period": period}
    return resource


def _check_identifiers(resource: Mapping[str, Any], business_object: str) -> None:
    stated = [resource["masterIdentifier"]] if "masterIdentifier" in resource else []
    listed = resource.get("identifier", [])
    stated += listed if isinstance(listed, list) else [listed]
    for each in stated:
        if not isinstance(each, Mapping) or each.get("system") != ENTRY_SYSTEM or each.get("value") != business_object:
            raise Invalid(
                "masterIdentifier and identifier must be the identifier in the address", expression="masterIdentifier"
            )


def _check_content(resource: Mapping[str, Any]) -> None:
    content = resource.get("content")
    if not isinstance(content, list) or not content:
        raise Invalid("content is required: one attachment with contentType", expression="content")
    for each in content:
        attachment = each.get("attachment") if isinstance(each, Mapping) else None
        if not isinstance(attachment, Mapping):
            raise Invalid("content needs an attachment", expression="content[0].attachment")
        if set(attachment) - {"contentType", "language"}:
            raise Unprocessable(
                "the index keeps no content: of an attachment it takes contentType and language only",
                expression="content[0].attachment",
            )


def _person(resource: Mapping[str, Any], business_object: str) -> PersonIdentifier:
    given = _member(resource, "subject").get("identifier")
    where = "subject.identifier"
    if (
        not isinstance(given, Mapping)
        or not isinstance(given.get("system"), str)
        or not isinstance(given.get("value"), str)
    ):
        raise Invalid("subject needs an identifier with system and value", expression=where)
    try:
        person = person_identifier(given["system"], given["value"])
    except InvalidPersonNumber as error:
        raise Invalid(f"{where}: {error}", code="invalid-person-number", expression=where) from None
    if person.value[-10:] in business_object.replace("-", "").replace("+", ""):
        raise Unprocessable(
            "the business object id holds the person's number, and it stands in the address: use an opaque id",
            code="number-in-address",
            expression="masterIdentifier",
        )
    return person


def _information_type(resource: Mapping[str, Any]) -> Any:
    codes = []
    concepts = [resource["type"]] if "type" in resource else []
    more = resource.get("category", [])
    concepts += more if isinstance(more, list) else [more]
    for concept in concepts:
        for coding in concept.get("coding", []) if isinstance(concept, Mapping) else []:
            if isinstance(coding, Mapping) and coding.get("system") == TYPE_SYSTEM:
                codes.append(coding.get("code"))
    if not codes:
        raise Invalid(f"type or category needs a coding of {TYPE_SYSTEM}", expression="type")
    if len(set(map(str, codes))) > 1:
        raise Invalid("type and category name different information types", expression="category")
    kind = by_code(codes[0]) if isinstance(codes[0], str) else None
    if kind is None:
        raise Invalid("type names no agreed information type", code="unknown-information-type", expression="type")
    return kind


def _source_system(resource: Mapping[str, Any]) -> str:
    for each in _extensions(resource):
        if each.get("url") == SOURCE_SYSTEM:
            return _hsa({"identifier": each.get("valueIdentifier")}, "extension(source-system)")
    raise Invalid(f"the extension {SOURCE_SYSTEM} must name the source system", expression="extension")


def _items(resource: Mapping[str, Any]) -> int | None:
    for each in _extensions(resource):
        if each.get("url") == ITEM_COUNT:
            count = each.get("valueUnsignedInt")
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MAX_ITEMS:
                raise Invalid("item-count must be an unsignedInt", expression="extension(item-count)")
            return count
    return None


def _extensions(resource: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = resource.get("extension", [])
    if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in given):
        raise Invalid("extension must be a list of objects", expression="extension")
    if any(each.get("url") not in (SOURCE_SYSTEM, ITEM_COUNT) for each in given):
        raise Unprocessable("an index entry has no place for extensions but its own", expression="extension")
    return given


def _status(resource: Mapping[str, Any]) -> Status:
    status = resource.get("status")
    if not isinstance(status, str) or status not in _STATUS:
        raise Invalid("status must be current, superseded or entered-in-error", expression="status")
    return _STATUS[status]


def _period(resource: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    context = resource.get("context", {})
    if not isinstance(context, Mapping) or set(context) - {"period"}:
        raise Unprocessable("of context an index entry takes period only", expression="context")
    period = context.get("period", {})
    if not isinstance(period, Mapping) or set(period) - {"start", "end"}:
        raise Invalid("a period has start and end", expression="context.period")
    start, end = (
        _moment(period[name], f"context.period.{name}") if name in period else None for name in ("start", "end")
    )
    return start, end


def _moment(value: object, where: str) -> datetime:
    if not isinstance(value, str):
        raise Invalid(f"{where} is required: a date and time with time zone", expression=where)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise Invalid(f"{where} needs date, time and time zone", expression=where)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"{where} is no date and time", expression=where) from None


def _hsa(reference: Mapping[str, Any], where: str) -> str:
    given = reference.get("identifier")
    if not isinstance(given, Mapping) or not isinstance(given.get("value"), str):
        raise Invalid(f"{where} is required: an HSA-id", expression=where)
    if systems.canonical_system(str(given.get("system"))) != systems.HSA_ID:
        raise Invalid(f"{where} must have the system {systems.HSA_ID}", expression=where)
    try:
        return parse_hsa_id(given["value"])
    except InvalidHsaId as error:
        raise Invalid(f"{where}: {error}", expression=where) from None


def _member(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = resource.get(name)
    if not isinstance(value, Mapping):
        raise Invalid(f"{name} is required", expression=name)
    return value


def _only(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = resource.get(name)
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], Mapping):
        raise Invalid(f"{name} is required once", expression=name)
    return value[0]


def _identifier(hsa_id: str) -> dict[str, str]:
    return {"system": systems.HSA_ID, "value": hsa_id}
