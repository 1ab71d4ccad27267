# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Rules of the Swedish engagement index (riv:itintegration:engagementindex 1.0) over parsed rows; pure.

Order of the checks: schema (EI001), address (EI003), number of rows (EI000), each row (EI004, EI005, EI006),
equal keys (EI002). The first failure refuses the whole request and nothing is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_server.outcome import Unprocessable
from identifiers.person_key import PersonKey
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier, parse_swedish
from patient_index.model import CLOCK_SKEW, Registration, StoredEntry, classify
from patient_index.swedish_time import from_local, to_local

MAX_TRANSACTIONS: Final = 1000

FIELDS: Final = (
    "registeredResidentIdentification", "serviceDomain", "categorization", "logicalAddress",
    "businessObjectInstanceIdentifier", "clinicalProcessInterestId", "mostRecentContent", "sourceSystem",
    "creationTime", "updateTime", "dataController", "owner",
)  # fmt: skip
"""Elements of an engagement, in the order of the contract."""

KEY: Final = (
    "registeredResidentIdentification", "serviceDomain", "categorization", "logicalAddress",
    "businessObjectInstanceIdentifier", "clinicalProcessInterestId", "sourceSystem", "dataController",
)  # fmt: skip
"""Business key as sent; `Update` sets the ninth field, owner, itself. All are mandatory and not empty."""

MAX_LENGTHS: Final[Mapping[str, int]] = {
    "registeredResidentIdentification": 32,
    "serviceDomain": 255,
    "categorization": 255,
    "logicalAddress": 64,
    "businessObjectInstanceIdentifier": 128,
    "clinicalProcessInterestId": 128,
    "sourceSystem": 64,
    "dataController": 64,
    "owner": 64,
    "mostRecentContent": 14,
    "creationTime": 14,
    "updateTime": 14,
}


@dataclass(frozen=True, slots=True)
class EngagementIndexSettings:
    """Who this index is among engagement indexes."""

    owner: str = "SE0000000099-OP"
    """HSA-id of the index: LogicalAddress of requests to it, owner of its rows."""
    alternative_owners: frozenset[str] = frozenset()
    """Further LogicalAddresses that are taken."""
    platform_addresses: frozenset[str] = frozenset()
    """HSA-ids of the platform, refused as logicalAddress and sourceSystem of a row, as the owner is: loops."""

    @property
    def addresses(self) -> frozenset[str]:
        """LogicalAddresses of this index."""
        return self.alternative_owners | {self.owner}

    @property
    def reserved(self) -> frozenset[str]:
        """Addresses that no row may name."""
        return self.platform_addresses | {self.owner}


class EngagementFault(Unprocessable):
    """A rule of the engagement index is broken; `detail_code` is EI000 to EI006. The text repeats no value."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One engagementTransaction: the elements that were sent, by name, and the delete flag."""

    delete: bool
    engagement: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Query:
    """A FindContent request: the elements that were sent, by name."""

    person: PersonIdentifier
    filters: Mapping[str, str]
    since: datetime | None


def check_update(
    logical_address: str | None,
    transactions: Sequence[Transaction],
    settings: EngagementIndexSettings,
    *,
    now: datetime,
) -> None:
    """Raises `EngagementFault` by the first rule that an `Update` breaks."""
    if logical_address not in settings.addresses:
        raise EngagementFault("the LogicalAddress of the request is not this index", code="EI003")
    if not 1 <= len(transactions) <= MAX_TRANSACTIONS:
        raise EngagementFault(f"a request has 1 to {MAX_TRANSACTIONS} transactions", code="EI000")
    for position, transaction in enumerate(transactions, start=1):
        _check_values(position, transaction.engagement, now)
        _check_reserved(position, transaction.engagement, settings.reserved)
    seen: dict[tuple[str, ...], int] = {}
    for position, transaction in enumerate(transactions, start=1):
        key = tuple(transaction.engagement[name] for name in KEY)
        if (first := seen.setdefault(key, position)) != position:
            raise EngagementFault(f"transactions {first} and {position} have the same key", code="EI002")


def registration(transaction: Transaction, person: PersonKey) -> Registration:
    """The row of a transaction that passed `check_update`. The owner is this index, whatever was sent."""
    row = transaction.engagement
    moment = row.get("mostRecentContent")
    return Registration(
        person=person,
        custodian=row["dataController"],
        unit=row["logicalAddress"],
        information_type=classify(row["serviceDomain"], row["categorization"]),
        source_system=row["sourceSystem"],
        business_object=row["businessObjectInstanceIdentifier"],
        service_domain=row["serviceDomain"],
        categorization=row["categorization"],
        clinical_process_interest=row["clinicalProcessInterestId"],
        most_recent=None if moment is None else from_local(moment),
        status="withdrawn" if transaction.delete else "current",
    )


def person_of(row: Mapping[str, str], where: str) -> PersonIdentifier:
    """The person a row is about. Raises `EngagementFault` (EI004) with what is wrong; it never repeats the number."""
    try:
        return parse_swedish(row["registeredResidentIdentification"])
    except InvalidPersonNumber as error:
        raise EngagementFault(f"{where}registeredResidentIdentification: {error}", code="EI004") from None


def query(row: Mapping[str, str]) -> Query:
    """The question of a FindContent request. Raises `EngagementFault` (EI004) on an impossible person or moment."""
    filters = {name: row[name] for name in (*KEY, "owner") if name in row and name != KEY[0]}
    since = row.get("mostRecentContent")
    return Query(
        person=person_of(row, ""), filters=filters, since=None if since is None else _moment(since, "mostRecentContent")
    )


def matches(entry: StoredEntry, asked: Query, settings: EngagementIndexSettings) -> bool:
    """Whether an entry answers the question: every field given is equal with case; undated rows never match a date."""
    row = entry.registration
    values = {
        "serviceDomain": row.service_domain,
        "categorization": row.categorization,
        "logicalAddress": row.unit,
        "businessObjectInstanceIdentifier": row.business_object,
        "clinicalProcessInterestId": row.clinical_process_interest,
        "sourceSystem": row.source_system,
        "dataController": row.custodian,
        "owner": row.owner or settings.owner,
    }
    if any(values[name] != wanted for name, wanted in asked.filters.items()):
        return False
    return asked.since is None or (row.most_recent is not None and row.most_recent >= asked.since)


def engagement(entry: StoredEntry, person: PersonIdentifier, settings: EngagementIndexSettings) -> dict[str, str]:
    """The entry as an engagement's elements, in the order of the contract; times are Swedish local time."""
    row = entry.registration
    values = {
        "registeredResidentIdentification": person.value,
        "serviceDomain": row.service_domain,
        "categorization": row.categorization,
        "logicalAddress": row.unit,
        "businessObjectInstanceIdentifier": row.business_object,
        "clinicalProcessInterestId": row.clinical_process_interest,
        "mostRecentContent": None if row.most_recent is None else to_local(row.most_recent),
        "sourceSystem": row.source_system,
        "creationTime": to_local(entry.created),
        "updateTime": None if entry.updated is None else to_local(entry.updated),
        "dataController": row.custodian,
        "owner": row.owner or settings.owner,
    }
    return {name: value for name in FIELDS if (value := values[name]) is not None}


def _check_values(position: int, row: Mapping[str, str], now: datetime) -> None:
    where = f"transaction {position}: "
    for name in KEY:
        if not row.get(name):
            raise EngagementFault(f"{where}{name} is missing or empty", code="EI004")
    for name, value in row.items():
        if value != value.strip():
            raise EngagementFault(f"{where}{name} begins or ends with white space", code="EI004")
        if len(value) > MAX_LENGTHS[name]:
            raise EngagementFault(f"{where}{name} is longer than {MAX_LENGTHS[name]} characters", code="EI004")
    person_of(row, where)
    if "mostRecentContent" in row and _moment(row["mostRecentContent"], f"{where}mostRecentContent") > now + CLOCK_SKEW:
        raise EngagementFault(f"{where}mostRecentContent lies in the future", code="EI004")


def _check_reserved(position: int, row: Mapping[str, str], reserved: frozenset[str]) -> None:
    if row["logicalAddress"] in reserved:
        raise EngagementFault(f"transaction {position}: logicalAddress is reserved for the index", code="EI005")
    if row["sourceSystem"] in reserved:
        raise EngagementFault(f"transaction {position}: sourceSystem is reserved for the index", code="EI006")


def _moment(text: str, where: str) -> datetime:
    try:
        return from_local(text)
    except ValueError:
        raise EngagementFault(f"{where} is no date and time of the form YYYYMMDDhhmmss", code="EI004") from None
