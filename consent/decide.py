# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Consent/$decide: may the caller do this with these data about this person, and what may be told.

Ours; no specification. The rules: docs/consent/rules.md.
"""

from dataclasses import dataclass
from datetime import datetime
import hashlib
from typing import Any, Final

from consent.client import Decision, Decisions, DisclosureMode, Entity, Operation, Question
from consent.model.access import decide_question
from consent.store import ConsentStore
from fhir_server.context import Answer, AuditEntry, Context
from fhir_server.ids import uuid7
from fhir_server.outcome import Invalid
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import InvalidPersonNumber, parse

MAX_ENTITIES: Final = 1000


@dataclass(frozen=True, slots=True)
class Decider:
    """The access decision on the authoritative store; nothing is kept between calls."""

    store: ConsentStore
    mode: DisclosureMode

    async def decide(self, context: Context, question: Question) -> Decisions:
        """The decisions for the context's caller; marks the context as decided. Raises `Invalid`, `Unavailable`."""
        if len(question.entities) > MAX_ENTITIES:
            raise Invalid(f"at most {MAX_ENTITIES} entities a call", expression="Parameters.parameter")
        if question.operation is Operation.register_transfer and question.register is None:
            raise Invalid("transfer-to-register needs the register", expression="Parameters.parameter")
        document = await self.store.document(question.person)
        decisions = decide_question(
            str(uuid7(context.now)), document, context.caller, question, mode=self.mode, now=context.now
        )
        context.decided = True
        return decisions


async def handle(decider: Decider, keys: PersonKeys, context: Context, request: Request) -> Answer:
    """Answers a decision for each entity, in order.

    in:  identifier 0..1 Identifier or person 0..1 string (key), operation 1..1 code, register 0..1 string,
         entity 0..1000 {holder, unit, informationType, recorded, social}
    out: id, policyVersion, mode, unblockedExist, blockedExist 0..1, decision * {…}
    Raises `Invalid` on a faulty parameter, `Unavailable` when consents cannot be read.
    """
    question = question_of(request.parameters(), keys)
    decisions = await decider.decide(context, question)
    context.record(_event(question, decisions))
    return Answer(parameters_of(decisions).resource())


def person_in(parameters: Parameters, keys: PersonKeys) -> PersonKey:
    """The person named by identifier or by key. Raises `Invalid`; the text never repeats a number."""
    text = parameters.optional("person", str)
    identifier: dict[str, Any] | None = parameters.optional("identifier", dict)
    if (text is None) == (identifier is None):
        raise Invalid("name the person by identifier or by person, one of them", expression="Parameters.parameter")
    try:
        if text is not None:
            return PersonKey.from_hex(text)
        given = identifier or {}
        return keys.of(parse(str(given.get("system", "")), str(given.get("value", ""))))
    except InvalidPersonNumber as error:
        raise Invalid(str(error), expression="Parameters.parameter") from None
    except ValueError:
        raise Invalid("person is 32 hexadecimal digits", expression="Parameters.parameter") from None


def question_of(parameters: Parameters, keys: PersonKeys) -> Question:
    """The question that Parameters ask. Raises `Invalid`."""
    wanted = parameters.required("operation", str)
    if wanted not in {each.value for each in Operation}:
        raise Invalid(f"operation must be one of {', '.join(each.value for each in Operation)}")
    return Question(
        person=person_in(parameters, keys),
        operation=Operation(wanted),
        entities=tuple(_entity(each) for each in parameters.parts("entity")),
        register=parameters.optional("register", str),
    )


def _entity(given: Parameters) -> Entity:
    return Entity(
        holder=given.required("holder", str),
        unit=given.optional("unit", str),
        information_type=given.required("informationType", str),
        recorded=given.optional("recorded", datetime),
        social=given.optional("social", bool) or False,
    )


def parameters_of(decisions: Decisions) -> Parameters:
    """The answer on the wire; `decisions_of` in `client.py` reads it."""
    answer = (
        Parameters()
        .add("id", valueId=decisions.id)
        .add("policyVersion", valueString=decisions.policy_version)
        .add("mode", valueCode=decisions.mode.value)
        .add("unblockedExist", valueBoolean=decisions.unblocked_exist)
    )
    if decisions.blocked_exist is not None:
        answer.add("blockedExist", valueBoolean=decisions.blocked_exist)
    for each in decisions.items:
        answer.add("decision", part=_parts(each))
    return answer


def _parts(decision: Decision) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "permitted", "valueBoolean": decision.permitted},
        {"name": "disclosure", "valueCode": decision.disclosure.value},
        {"name": "reason", "valueCode": decision.reason},
        {"name": "rule", "valueCode": decision.rule},
        {"name": "law", "valueString": decision.law},
        {"name": "sv", "valueString": decision.explanation_sv},
        {"name": "en", "valueString": decision.explanation_en},
        {"name": "blocked", "valueBoolean": decision.blocked},
    ]
    if decision.ground is not None:
        parts.append({"name": "ground", "valueCode": decision.ground})
    parts += [{"name": "obligation", "valueCode": each} for each in decision.obligations]
    return parts


def _event(question: Question, decisions: Decisions) -> AuditEntry:
    """One event a call; the entities by digest, so that the log can prove them without listing them."""
    first = decisions.items[0] if decisions.items else None
    permitted = any(each.permitted for each in decisions.items)
    listed = "\n".join(sorted(f"{e.holder}|{e.unit}|{e.information_type}|{e.recorded}" for e in question.entities))
    return AuditEntry(
        operation="decide",
        action="E",
        outcome="success" if permitted or first is None else "denied",
        person=question.person,
        reason=first.reason if first else None,
        law=first.law if first else None,
        ground=first.ground if first else None,
        decision=decisions.id,
        count=len(question.entities),
        detail={
            "asked": question.operation.value,
            "policy": decisions.policy_version,
            "entities": hashlib.sha256(listed.encode()).hexdigest(),
        },
    )
