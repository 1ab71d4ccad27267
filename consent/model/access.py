# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""From the person's access document, the caller and the question to facts, and from facts to decisions.

A fact that a call cannot know takes the value that denies. What is taken for granted instead, and why:
the asker's authority (a verified assignment with organisation and user), participation in the care for a caller with
purpose TREAT (the assignment's own purpose), relevance for the care (the asker states a care relation and reads for
treatment), and for registers the information of PDL 7:3 (the reporting provider attests it by publishing).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consent.model import facts as f
from consent.model import terms as t
from consent.model.document import AccessDocument, Entry, Kind
from consent.model.engine import POLICY_VERSION, decide
from consent.model.question import Decision, Decisions, Disclosure, DisclosureMode, Entity, Operation, Question
from consent.model.rules.base import Rule, Visible
from fhir_server.context import Caller, CallerKind
from identifiers import information_type

_PURPOSES: Final = {"TREAT": t.Purpose.treatment, "HQUALIMP": t.Purpose.quality}
_ROLES: Final = {role.value: role for role in t.Role}
_ASKED: Final = {
    Operation.existence: t.Operation.check_open_exists,
    Operation.list_holders: t.Operation.list_open_holders,
    Operation.read_content: t.Operation.read_content,
    Operation.register_transfer: t.Operation.transfer_to_register,
}
_DISCLOSURE: Final = {
    Visible.full: Disclosure.full,
    Visible.existence: Disclosure.existence,
    Visible.none: Disclosure.none,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a question as a whole, whatever the entity."""

    caller: Caller
    question: Question
    actor: f.Actor
    subject: f.Subject
    relation: t.Relation
    mode: t.Mode
    now: datetime
    entries: tuple[Entry, ...]
    """Of the document, those whose validity covers now."""

    @property
    def self(self) -> bool:
        """The person asks herself."""
        return self.subject.self


def decide_question(
    decision_id: str,
    document: AccessDocument,
    caller: Caller,
    question: Question,
    *,
    mode: DisclosureMode,
    now: datetime,
) -> Decisions:
    """Decisions for every entity of the question, in order, and what may be told of existence."""
    standing = _standing(document, caller, question, mode, now)
    data = [_data(standing, entity) for entity in question.entities]
    rules = [_rule(standing, entity, each) for entity, each in zip(question.entities, data, strict=True)]
    hidden = mode is DisclosureMode.EHDS and not standing.self
    return Decisions(
        id=decision_id,
        policy_version=POLICY_VERSION,
        mode=mode,
        items=tuple(
            _decision(rule, blocked=not hidden and not rule.permitted and _restricts(standing, each))
            for rule, each in zip(rules, data, strict=True)
        ),
        unblocked_exist=_exist(
            standing, data, t.Operation.check_open_exists, lambda each: not _restricts(standing, each)
        ),
        blocked_exist=None
        if hidden
        else _exist(standing, data, t.Operation.check_blocked_exists, lambda each: _restricts(standing, each)),
    )


def _standing(
    document: AccessDocument, caller: Caller, question: Question, mode: DisclosureMode, now: datetime
) -> Standing:
    is_self = caller.kind is CallerKind.patient and caller.person == question.person
    entries = tuple(each for each in document.entries if each.validity.covers(now))
    opted_out = any(
        each.kind is Kind.register_opt_out and same(each.organisation, question.register) for each in entries
    )
    return Standing(
        caller=caller,
        question=question,
        actor=_actor(caller),
        subject=f.Subject(self=is_self, register_opt_out=opted_out),
        relation=_relation(document, caller, now),
        mode=t.Mode(mode.value),
        now=now,
        entries=entries,
    )


def _actor(caller: Caller) -> f.Actor:
    provider, unit = _upper(caller.organisation), _upper(caller.unit)
    match caller.kind:
        case CallerKind.patient:
            return f.Actor(kind=t.ActorKind.patient, loa=caller.assurance, participates_in_care=False)
        case CallerKind.staff:
            return f.Actor(
                kind=t.ActorKind.care,
                care_provider=provider,
                care_unit=unit,
                employee=caller.user,
                role=_ROLES.get(caller.profession or ""),
                authorised=provider is not None and caller.user is not None,
                participates_in_care=caller.purpose == "TREAT",
                loa=caller.assurance,
            )
        case CallerKind.system if "transfer" in caller.roles:
            return f.Actor(kind=t.ActorKind.system, care_provider=provider, participates_in_care=False)
    return f.Actor(kind=t.ActorKind.third_party, authorised=False, participates_in_care=False)


def _relation(document: AccessDocument, caller: Caller, now: datetime) -> t.Relation:
    """Current where the caller's unit has stated a relation that holds now."""
    if caller.kind is not CallerKind.staff or caller.organisation is None:
        return t.Relation.none
    for each in document.relations:
        here = same(each.provider, caller.organisation) and (each.unit is None or same(each.unit, caller.unit))
        if here and each.period.covers(now):
            return t.Relation.current
    return t.Relation.none


def _data(standing: Standing, entity: Entity) -> f.Data:
    known = information_type.by_code(entity.information_type) is not None
    return f.Data(
        holder=entity.holder.upper(),
        holder_kind=t.HolderKind.social if entity.social else t.HolderKind.care,
        unit=_upper(entity.unit),
        block=_block(standing, entity),
        type=t.DataType.record_entry if known else t.DataType.unknown,
        register=standing.question.register if standing.question.operation is Operation.register_transfer else None,
        code_suffices=True,
    )


def _block(standing: Standing, entity: Entity) -> t.Block:
    """The strictest block on the entity: towards other providers any outer one, within the provider an inner one."""
    kinds = {each.kind for each in standing.entries if blocks(each, entity)}
    if Kind.outer_block in kinds and not same(entity.holder, standing.actor.care_provider):
        return t.Block.outer
    return t.Block.inner if Kind.inner_block in kinds else t.Block.none


def blocks(entry: Entry, entity: Entity) -> bool:
    """Whether a block covers the entity. Where the entity does not say its unit or time, it is covered."""
    if entry.kind not in (Kind.outer_block, Kind.inner_block):
        return False
    if entry.types and entity.information_type not in entry.types:
        return False
    return _where(entry, entity) and (entity.recorded is None or entry.documented.covers(entity.recorded))


def _where(entry: Entry, entity: Entity) -> bool:
    if entity.unit is None and same(entry.provider, entity.holder):
        return True  # The entity may be of the blocked unit.
    return same(entry.organisation, entity.holder) or same(entry.organisation, entity.unit)


def _situation(standing: Standing, entity: Entity) -> f.Situation:
    consented = any(
        each.kind is Kind.shared_record
        and (same(each.organisation, standing.caller.organisation) or same(each.organisation, standing.caller.unit))
        and (not each.types or entity.information_type in each.types)
        for each in standing.entries
    )
    return f.Situation(
        relation=standing.relation,
        consent=t.Consent.given if consented else t.Consent.not_asked,
        purpose=_PURPOSES.get(standing.caller.purpose or ""),
        channel=t.Channel.holder if standing.self else None,
        mode=standing.mode,
        at=standing.now,
    )


def _rule(standing: Standing, entity: Entity, data: f.Data) -> Rule:
    operation = _ASKED[standing.question.operation]
    if operation is t.Operation.check_open_exists and (standing.self or _restricts(standing, data)):
        # The person may see who holds what; for others a block answers as it does for reading.
        operation = t.Operation.list_open_holders if standing.self else t.Operation.read_content
    return decide(_facts(standing, operation, data, _situation(standing, entity)))


def _facts(standing: Standing, operation: t.Operation, data: f.Data, situation: f.Situation) -> f.Facts:
    return f.Facts(operation=operation, actor=standing.actor, subject=standing.subject, data=data, situation=situation)


def _restricts(standing: Standing, data: f.Data) -> bool:
    """Whether a block stands between this asker and the data; for the person: whether there is one."""
    if standing.self:
        return data.block is not t.Block.none
    return _facts(standing, t.Operation.read_content, data, f.Situation()).restricted


def _exist(
    standing: Standing, data: Iterable[f.Data], operation: t.Operation, chosen: Callable[[f.Data], bool]
) -> bool:
    """Yes or no over all entities, as far as SVOD 2:4 and 2:5 let this asker know."""
    situation = f.Situation(
        relation=standing.relation,
        purpose=_PURPOSES.get(standing.caller.purpose or ""),
        mode=standing.mode,
        at=standing.now,
    )
    if standing.self:
        return any(chosen(each) for each in data)
    return any(chosen(each) and _told(decide(_facts(standing, operation, each, situation))) for each in data)


def _told(rule: Rule) -> bool:
    return rule.permitted and any(value is True for value in rule.answer.values())


def _decision(rule: Rule, *, blocked: bool) -> Decision:
    return Decision(
        permitted=rule.permitted,
        disclosure=_disclosure(rule),
        reason=rule.reason,
        rule=rule.id,
        law=rule.law,
        explanation_sv=rule.sv,
        explanation_en=rule.en,
        ground=rule.ground if rule.permitted else None,
        obligations=rule.actions,
        blocked=blocked,
    )


def _disclosure(rule: Rule) -> Disclosure:
    """For a permit what was asked may be told in full; existence answers stay yes or no."""
    if rule.permitted and "openDataExists" not in rule.answer:
        return Disclosure.full
    return _DISCLOSURE[rule.shows.visible]


def same(one: str | None, other: str | None) -> bool:
    """Whether two HSA-ids are the same; they are compared without regard to case, and nothing equals None."""
    return one is not None and other is not None and one.upper() == other.upper()


def _upper(value: str | None) -> str | None:
    return value.upper() if value else None
