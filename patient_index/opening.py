# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Which entries of a person the caller may see: the one way every face of the index takes before it answers.

First the list of holders is asked for (SVOD 3 kap.); where nothing opens, the question that needs no ground, whether
unblocked data exist, yes or no (SVOD 2 kap. 4 §), is asked for itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consent.client import ConsentClient, Decision, Disclosure, DisclosureMode, Entity, Operation, Question
from fhir_server.context import AuditEntry, Context
from identifiers.person_key import PersonKey
from patient_index.model import StoredEntry, canonical_hsa

NOTHING_UNBLOCKED: Final = "NOTHING_UNBLOCKED"
"""Reason where no unblocked entry exists: the same whether all is blocked or nothing is known (EHDS Article 8)."""
_NOTHING_SV: Final = "Inga ospärrade uppgifter finns registrerade."
_NOTHING_EN: Final = "No unblocked information is registered."
_NOTHING_LAW: Final = "SVOD 2 kap. 4 §"
_ENTITIES_A_CALL: Final = 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """What the caller may know."""

    entries: tuple[StoredEntry, ...]
    unblocked_exist: bool
    blocked_exist: bool | None
    mode: DisclosureMode
    reason: str
    explanation_sv: str
    explanation_en: str
    law: str
    decision: str
    ground: str | None = None

    def event(
        self, operation: str, person: PersonKey, units: Sequence[str], information_type: str | None = None
    ) -> AuditEntry:
        """What the access log keeps of an answer with entries of these units, one for each entry."""
        return AuditEntry(
            operation=operation,
            person=person,
            information_type=information_type,
            holders=tuple(sorted(set(units))),
            ground=self.ground,
            reason=self.reason,
            law=self.law,
            decision=self.decision,
            count=len(units),
        )


async def open_entries(
    context: Context, consent: ConsentClient, person: PersonKey, entries: Sequence[StoredEntry]
) -> Opened:
    """The entries that the grounds open to the caller, and the two booleans of the disclosure mode.

    Entries not opened leave no trace in the answer: no holder, type, date or count. Raises what the decision raises;
    without a decision nothing is answered.
    """
    entities = [_entity(each) for each in entries]
    listed = await _decide(context, consent, person, Operation.list_holders, entities)
    opened = [
        (entry, listed.of[entity])
        for entry, entity in zip(entries, entities, strict=True)
        if listed.of[entity].permitted and listed.of[entity].disclosure is Disclosure.full
    ]
    if opened:
        first = opened[0][1]
        return Opened(
            entries=tuple(entry for entry, _ in opened),
            unblocked_exist=listed.unblocked_exist,
            blocked_exist=listed.blocked_exist,
            mode=listed.mode,
            reason=first.reason,
            explanation_sv=first.explanation_sv,
            explanation_en=first.explanation_en,
            law=first.law,
            decision=listed.id,
            ground=first.ground,
        )
    existence = await _decide(context, consent, person, Operation.existence, entities)
    # Why it does not open is told of what the asker may know to exist: the reason of a blocked entry would tell of it.
    known = next((each for each in entities if existence.of[each].permitted), None)
    refusal = listed.of[known] if known is not None and existence.unblocked_exist else None
    return Opened(
        entries=(),
        unblocked_exist=existence.unblocked_exist,
        blocked_exist=existence.blocked_exist,
        mode=existence.mode,
        reason=NOTHING_UNBLOCKED if refusal is None else refusal.reason,
        explanation_sv=_NOTHING_SV if refusal is None else refusal.explanation_sv,
        explanation_en=_NOTHING_EN if refusal is None else refusal.explanation_en,
        law=_NOTHING_LAW if refusal is None else refusal.law,
        decision=existence.id,
    )


@dataclass(frozen=True, slots=True)
class _Decided:
    """One question's decisions, by what was asked about."""

    id: str
    mode: DisclosureMode
    of: Mapping[Entity, Decision]
    unblocked_exist: bool
    blocked_exist: bool | None


async def _decide(
    context: Context, consent: ConsentClient, person: PersonKey, operation: Operation, entities: Sequence[Entity]
) -> _Decided:
    """The decisions, each kind of entity asked about once, in as many calls as the limit of a question asks for."""
    asked = list(dict.fromkeys(entities))
    parts = [asked[start : start + _ENTITIES_A_CALL] for start in range(0, len(asked), _ENTITIES_A_CALL)] or [[]]
    answers = [await consent.decide(context, Question(person, operation, tuple(part))) for part in parts]
    told = [each.blocked_exist for each in answers if each.blocked_exist is not None]
    return _Decided(
        id=answers[0].id,
        mode=answers[0].mode,
        of={
            entity: decision
            for part, answer in zip(parts, answers, strict=True)
            for entity, decision in zip(part, answer.items, strict=True)
        },
        unblocked_exist=any(each.unblocked_exist for each in answers),
        blocked_exist=any(told) if told else None,
    )


def _entity(entry: StoredEntry) -> Entity:
    row = entry.registration
    return Entity(
        holder=canonical_hsa(row.custodian),
        unit=canonical_hsa(row.unit),
        information_type=row.information_type,
        recorded=row.most_recent,
    )
