# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Patient Data Act (2008:355) chapter 5: the person's direct access (5:4-5), counts (5:7); 8:5, accesses on request."""

from typing import Final

from consent.model.facts import Facts
from consent.model.rules.base import COUNT, HOLDER, Rule, always, deny, permit, permit_with
from consent.model.rules.osl import TOWARDS_PERSON
from consent.model.terms import ActorKind, DataType, Operation, Purpose, RecordingPurpose

_STRONG_LOGIN: Final = 3


def _person(f: Facts) -> bool:
    return f.actor.kind in (ActorKind.patient, ActorKind.care_recipient) and f.subject.self


def _read(f: Facts) -> bool:
    return f.operation in (Operation.read_content, Operation.read_flag)


PERSON: Final[tuple[Rule, ...]] = (
    *TOWARDS_PERSON,
    deny(
        "pdl5.not-self", "NOT_SELF", "PDL 5 kap. 4-5 §§",
        lambda f: f.actor.kind in (ActorKind.patient, ActorKind.care_recipient) and not f.subject.self,
        "Direktåtkomsten gäller uppgifter om en själv.", "Direct access is for data on oneself.",
    ),
    deny(
        "pdl5.weak-login", "LOGIN_TOO_WEAK", "PDL 5 kap. 5 § andra stycket; HSLF-FS 2016:40 3 kap.",
        lambda f: _person(f) and f.actor.loa < _STRONG_LOGIN,
        "Direktåtkomst kräver stark legitimering.", "Direct access requires a strong login.",
        verified=False,
        interpretation="Chapter 3 of the regulation was not read; level 3 is that of a Swedish e-identification.",
    ),
    permit(
        "pdl5.log", "PDL_5_5_LOG", "PDL 5 kap. 5 § första stycket andra meningen",
        lambda f: f.operation is Operation.read_access_log and _person(f) and f.data.type is DataType.access_log,
        "Den enskilde får se vem som tagit del av uppgifterna.", "The person may see who has accessed the data.",
        ground="self",
    ),
    deny(
        "pdl5.other-purpose", "NOT_CARE_DOCUMENTATION", "PDL 5 kap. 5 § första stycket",
        lambda f: _read(f) and _person(f) and f.data.purpose_of_recording is RecordingPurpose.other,
        "Direktåtkomsten gäller uppgifter som dokumenterats för vården.",
        "Direct access covers data recorded for care.",
    ),
    deny(
        "pdl5.not-releasable", "NOT_RELEASABLE", "PDL 5 kap. 5 § första stycket",
        lambda f: _person(f) and not f.data.releasable,
        "Uppgifterna får inte lämnas ut till den enskilde.", "The data may not be released to the person.",
    ),
    permit(
        "pdl5.own", "PDL_5_5", "PDL 5 kap. 5 § första stycket",
        lambda f: _read(f) and _person(f),
        "Den enskilde får läsa uppgifter om sig själv; egna spärrar gäller inte mot den enskilde.",
        "The person may read data on herself; her own blocks are not against her.",
        ground="self",
        interpretation="4:4 is directed against staff of other units; 5:5 does not mention blocks.",
    ),
    permit(
        "pdl5.own-holders", "PDL_5_5", "PDL 5 kap. 5 § första stycket",
        lambda f: f.operation in (Operation.list_open_holders, Operation.list_blocked_holders) and _person(f),
        "Den enskilde får se vem som har uppgifter.", "The person may see who holds data.",
        shows=HOLDER, ground="self",
    ),
    deny(
        "pdl5.count-only", "PDL_5_7_COUNT_ONLY", "PDL 5 kap. 7 §",
        lambda f: f.actor.kind is ActorKind.researcher,
        "Inför klinisk forskning lämnas bara ett antal.", "Before clinical research only a number is given.",
    ),
    deny(
        "pdl5.no-basis", "NO_LEGAL_BASIS", "PDL 5 kap. 4 § första stycket", always,
        "Direktåtkomst kräver stöd i lag eller förordning.", "Direct access needs support in an act or ordinance.",
    ),
)  # fmt: skip
"""The holder's own view, for the person; everybody else lacks support."""

COUNTS: Final[tuple[Rule, ...]] = (
    permit(
        "pdl5.count", "PDL_5_7_COUNT", "PDL 2 kap. 4 § första stycket 7, 5 kap. 7 §",
        lambda f: f.actor.kind is ActorKind.researcher and f.situation.purpose is Purpose.research_count,
        "Bara antalet lämnas ut, exakt eller som intervall.", "Only the number is given, exact or as an interval.",
        shows=COUNT, ground="lawful-basis",
    ),
    deny(
        "pdl5.count-no-ground", "NO_GROUND", "PDL 5 kap. 4 och 7 §§", always,
        "Antal lämnas bara inför klinisk forskning.", "Counts are given only before clinical research.",
    ),
)  # fmt: skip

ON_REQUEST: Final[tuple[Rule, ...]] = (
    permit_with(
        "svod4.accesses", "SVOD_4_5", "SVOD 4 kap. 5 § första stycket",
        lambda f: f.actor.kind is ActorKind.care_recipient and f.subject.self,
        "Omsorgsgivaren lämnar information om den åtkomst som förekommit.",
        "The social care provider tells which accesses have occurred.",
        actions=("produce-access-report",), ground="self",
    ),
    permit_with(
        "pdl8.accesses", "PDL_8_5", "PDL 8 kap. 5 § första stycket",
        lambda f: f.actor.kind is ActorKind.patient and f.subject.self,
        "Vårdgivaren lämnar information om den åtkomst som förekommit.",
        "The provider tells which accesses have occurred.",
        actions=("produce-access-report",), ground="self",
    ),
    deny(
        "pdl8.not-self", "NOT_SELF", "PDL 8 kap. 5 § första stycket", always,
        "Informationen lämnas till patienten.", "The information is given to the patient.",
    ),
)  # fmt: skip
"""Accesses told on request."""
