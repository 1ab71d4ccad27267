# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Rules of the index, without I/O: what a registration is, when it is new, what may be stored."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import hashlib
import re
from typing import Final, Literal

from fhir_server.outcome import Forbidden, Invalid
from identifiers.hsa_id import InvalidHsaId, parse_hsa_id
from identifiers.information_type import by_categorization
from identifiers.person_key import PersonKey
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier, parse
from identifiers.systems import HSA_ID, canonical_system

Status = Literal["current", "superseded", "withdrawn"]

UNCLASSIFIED: Final = "unclassified"
"""Information type of an engagement-index row whose domain and categorization have no agreed type.

It is kept and found by its domain; a consent limited to types does not open it.
"""

NOT_STATED: Final = "NA"
"""What a source writes into a mandatory field of the engagement index when it has nothing to say."""

CLOCK_SKEW: Final = timedelta(minutes=5)

SOURCE_ROLE: Final = "source"

_MAX_IDENTIFIER: Final = 64
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+|[0-9]+(\.[0-9]+)+", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_.:-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Registration:
    """A source's statement about one business object of a person, as one typed row."""

    person: PersonKey
    custodian: str
    """Care provider (vårdgivare): dataController in the engagement index."""
    unit: str
    """Care unit (vårdenhet): logicalAddress in the engagement index."""
    information_type: str
    source_system: str
    business_object: str
    service_domain: str
    categorization: str
    most_recent: datetime | None
    """When the newest content was documented; None if the source does not tell."""
    status: Status = "current"
    clinical_process_interest: str = NOT_STATED
    owner: str | None = None
    """HSA-id of the index that owns the row; None: this one."""
    items: int | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None

    @property
    def entry_key(self) -> bytes:
        """Sixteen bytes for the business key: a hash of its fields, each preceded by its length.

        The lengths keep "AB"+"C1" and "A"+"BC1" apart. The person key comes first, so that the key of an entry tells
        nobody without that key whose entry it is.
        """
        fields = (
            self.service_domain, self.categorization, self.unit, self.business_object, self.clinical_process_interest,
            self.source_system, self.custodian, self.owner or "", self.information_type,
        )  # fmt: skip
        digest = hashlib.sha256(self.person.value)
        for each in fields:
            raw = each.encode()
            digest.update(len(raw).to_bytes(4, "big"))
            digest.update(raw)
        return digest.digest()[:16]


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A registration as the index keeps it."""

    registration: Registration
    created: datetime
    updated: datetime | None
    """When its content last changed; None before the first change."""
    version: int
    """1 when first stored; each change adds one."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits, opaque."""
        return self.registration.entry_key.hex()

    @property
    def listed(self) -> bool:
        """Whether it may appear in answers at all."""
        return self.registration.status == "current"


def supersedes(incoming: Registration, stored: Registration) -> bool:
    """Whether `incoming` changes what is stored under the same key.

    An older message never overwrites a newer one, whatever order they arrive in; of equally old ones the last to
    arrive counts. A deletion without a date is taken as meant now. A message without a date does not replace a dated
    one. What says the same as is stored changes nothing. The upsert in `store` holds the same rule for races.
    """
    if incoming.status == "withdrawn" and incoming.most_recent is None:
        return stored.status != "withdrawn"
    if stored.most_recent is not None and (incoming.most_recent is None or incoming.most_recent < stored.most_recent):
        return False
    return _content(incoming) != _content(stored)


def merged(incoming: Registration, stored: StoredEntry | None, *, now: datetime) -> StoredEntry | None:
    """What is stored after `incoming`; the sequential reference of the upsert in `store`."""
    if stored is None:
        if incoming.status == "withdrawn" and incoming.most_recent is None:
            return None
        return StoredEntry(incoming, created=now, updated=None, version=1)
    if not supersedes(incoming, stored.registration):
        return stored
    again = stored.registration.status == "withdrawn" and incoming.status != "withdrawn"
    kept = incoming
    if incoming.most_recent is None and stored.registration.most_recent is not None:
        kept = replace(incoming, most_recent=stored.registration.most_recent)
    return StoredEntry(
        kept, created=now if again else stored.created, updated=None if again else now, version=stored.version + 1
    )


def check_times(registration: Registration, *, now: datetime) -> None:
    """Raises `Invalid` if content is dated in the future (five minutes of clock skew allowed) or a period runs back."""
    if registration.most_recent is not None and registration.most_recent > now + CLOCK_SKEW:
        raise Invalid("the most recent content is dated in the future", code="future-date", expression="date")
    start, end = registration.period_start, registration.period_end
    if start is not None and end is not None and end < start:
        raise Invalid("the period ends before it starts", expression="context.period")


def check_custodian(organisation: str | None, roles: frozenset[str], custodian: str) -> None:
    """A source registers for its own care provider alone: nobody may claim that another holds something.

    Raises `Forbidden`.
    """
    if SOURCE_ROLE not in roles:
        raise Forbidden("only a registered source system may register entries", code="not-a-source")
    if organisation is None or canonical_hsa(organisation) != canonical_hsa(custodian):
        raise Forbidden(
            "the custodian must be the care provider the caller is registered for", code="foreign-custodian"
        )


def canonical_hsa(text: str) -> str:
    """The HSA-id in upper case, for decisions and look-ups; other ids, which the engagement index allows, unchanged."""
    try:
        return parse_hsa_id(text)
    except InvalidHsaId:
        return text


def person_identifier(system: str, value: str) -> PersonIdentifier:
    """The identifier of a person, of whatever kind. Raises `InvalidPersonNumber`; the text never repeats the value."""
    if not _URI.fullmatch(system) or canonical_system(system) == HSA_ID:
        raise InvalidPersonNumber("the system must be the URI of an identifier of persons")
    if len(value) > _MAX_IDENTIFIER:
        raise InvalidPersonNumber(f"a value has at most {_MAX_IDENTIFIER} characters")
    return parse(system, value)


def is_hsa_id(text: str) -> bool:
    """Whether the text has the form of an HSA-id."""
    try:
        parse_hsa_id(text)
    except InvalidHsaId:
        return False
    return True


def shown(name: str) -> str:
    """A name that a caller sent, as an error may show it: with other signs it may be a value in the wrong place."""
    return name if _NAME.fullmatch(name) else "an unknown name"


def classify(service_domain: str, categorization: str) -> str:
    """The information type of an engagement-index row; `UNCLASSIFIED` where none is agreed."""
    found = by_categorization(service_domain, categorization)
    return UNCLASSIFIED if found is None else found.code


def _content(each: Registration) -> tuple[object, ...]:
    return each.status, each.most_recent, each.items, each.period_start, each.period_end
