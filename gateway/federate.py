# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One read over many sources: locate → decide → fetch in parallel → hold against the decision → merge.

A partial answer is an answer and says what it lacks; no answer at all is an error, never an empty Bundle.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from consent.client import ConsentClient, Decision, Decisions, DisclosureMode, Entity, Operation, Question
from fhir_server.context import AuditEntry, Context
from fhir_server.outcome import (
    BadGateway,
    DeadlineExceeded,
    FhirError,
    Forbidden,
    NotSupported,
    issue,
    operation_outcome,
)
from gateway.ask import Reply, ask_all, targets
from gateway.model import merge
from gateway.model.merge import Part
from gateway.model.record import Record
from gateway.model.status import Fetched
from gateway.model.translations import Target, Translations, Wish
from gateway.release import Released, release
from gateway.settings import GatewaySettings
from gateway.sources import Source
from identifiers.information_type import ALERT
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import PersonIdentifier
from patient_index.client import Entry, IndexClient, Located
from provider_catalog.client import CatalogClient
from terminology.client import TerminologyClient

OFFERED: Final = {"AllergyIntolerance": ALERT.code}
"""Resource types that can be searched, and the information type that carries each."""
_MAX_WISHES: Final = 200
_NO_SOURCE: Final = issue(
    "information",
    "informational",
    "no-source-known",
    "The index names no source for this kind of information; that is no proof that there is none.",
)


class NoSourceAnswered(BadGateway):
    """Every source that was asked was silent or failed."""

    code = "no-source-answered"

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__("no source answered; try again")
        self._parts = parts

    def outcome(self) -> dict[str, Any]:
        """One issue for the whole, and one for each source."""
        told = [each for part in self._parts for each in merge.status_issues(part)]
        return operation_outcome([issue("error", self.issue, self.detail_code, self.message), *told])


class Federation:
    """Reads over all sources; built from the clients of the services it asks."""

    def __init__(
        self,
        *,
        keys: PersonKeys,
        index: IndexClient,
        catalog: CatalogClient,
        consent: ConsentClient,
        terminology: TerminologyClient,
        sources: Mapping[str, Source],
        settings: GatewaySettings,
    ) -> None:
        self._keys, self._index, self._catalog, self._consent = keys, index, catalog, consent
        self._terminology, self._sources, self._settings = terminology, sources, settings

    async def search(self, context: Context, identifier: PersonIdentifier, resource_type: str) -> Fetched:
        """What the caller may read about the person, merged over all sources.

        Raises `Forbidden` with the law's reason if nothing may be read, `NoSourceAnswered` if every source failed,
        `NotSupported` for a resource type that is not offered.
        """
        async with self._within_total():
            return await self._search(context, identifier, resource_type)

    async def _search(self, context: Context, identifier: PersonIdentifier, resource_type: str) -> Fetched:
        started = context.clock()
        information_type = offered(resource_type)
        person = self._keys.of(identifier)
        located = await self._index.locate(context, identifier, (information_type,))
        # The list of holders rests on a decision of its own, whose id the answer carries.
        context.decided = True
        entries = tuple(each for each in located.entries if each.information_type == information_type)
        if not entries:
            await self._refuse_without_ground(context, identifier, person, located, information_type)
            context.record(_audit(person, information_type, (), located, located.decision))
            told = [_NO_SOURCE, *_blocked_issue(located.blocked_exist)]
            return self._answer(context, (), resource_type, told)
        question = _question(person, Operation.read_content, entries)
        decisions = await self._consent.decide(context, question)
        permitted = [entry for entry, each in zip(entries, decisions.items, strict=True) if each.permitted]
        if not permitted and not all(each.blocked for each in decisions.items):
            refusal = next(each for each in decisions.items if not each.blocked)
            context.record(_audit(person, information_type, (), refusal, decisions.id, outcome="denied"))
            raise _forbidden(refusal)
        replies, released = await self._fetch(
            context, identifier, resource_type, question, permitted, started, decisions.mode
        )
        ground = next((each for each in decisions.items if each.permitted), decisions.items[0])
        self._record(context, person, information_type, replies, released, ground, decisions)
        _raise_if_all_failed(released.parts)
        blocked = _blocked_issue(_blocked(located, decisions))
        return self._answer(context, released.parts, resource_type, blocked)

    async def fetch_from(
        self, context: Context, identifier: PersonIdentifier, resource_type: str, unit: str, register: str
    ) -> Fetched:
        """One unit's records for a quality register (PDL 7 kap.).

        Raises `Forbidden` with the law's reason, e.g. that the person has objected; `NotSupported` for an unknown
        unit or resource type; `NoSourceAnswered`.
        """
        async with self._within_total():
            return await self._fetch_from(context, identifier, resource_type, unit, register)

    async def _fetch_from(
        self, context: Context, identifier: PersonIdentifier, resource_type: str, unit: str, register: str
    ) -> Fetched:
        started = context.clock()
        information_type = offered(resource_type)
        person = self._keys.of(identifier)
        organisation = (await self._catalog.organisations(context, [unit])).get(unit)
        if organisation is None:
            raise NotSupported("the catalogue does not know this unit", code="unknown-unit")
        endpoint = await self._catalog.resolve(context, unit, information_type)
        entry = Entry(
            id="",
            person=person,
            custodian=organisation.provider,
            unit=unit,
            information_type=information_type,
            source_system=endpoint.logical_address if endpoint else "",
            business_object="",
            most_recent=context.now,
            endpoint=endpoint,
            unit_name=organisation.name,
        )
        question = _question(person, Operation.register_transfer, [entry], register)
        decisions = await self._consent.decide(context, question)
        decision = decisions.items[0]
        if not decision.permitted:
            context.record(_audit(person, information_type, (), decision, decisions.id, outcome="denied"))
            raise _forbidden(decision)
        replies, released = await self._fetch(
            context, identifier, resource_type, question, [entry], started, decisions.mode
        )
        self._record(context, person, information_type, replies, released, decision, decisions, register=register)
        _raise_if_all_failed(released.parts)
        return self._answer(context, released.parts, resource_type, [])

    @asynccontextmanager
    async def _within_total(self) -> AsyncIterator[None]:
        """Raises `DeadlineExceeded` when even locating and deciding take longer than the read may in all."""
        try:
            async with asyncio.timeout(self._settings.total_seconds):
                yield
        except TimeoutError:
            raise DeadlineExceeded("the time for this read ran out before the sources could be asked") from None

    async def _refuse_without_ground(
        self,
        context: Context,
        identifier: PersonIdentifier,
        person: PersonKey,
        located: Located,
        information_type: str,
    ) -> None:
        """Tells "you may not" from "there is none of this type": only the former leaves every type closed."""
        if not located.unblocked_exist:
            return
        if (await self._index.locate(context, identifier)).entries:
            return
        context.record(_audit(person, information_type, (), located, located.decision, outcome="denied"))
        raise _forbidden(located)

    async def _fetch(
        self,
        context: Context,
        identifier: PersonIdentifier,
        resource_type: str,
        question: Question,
        entries: Sequence[Entry],
        started: float,
        mode: DisclosureMode,
    ) -> tuple[list[Reply], Released]:
        asked = await targets(context, self._catalog, entries)
        replies = await ask_all(context, self._sources, asked, identifier, resource_type, self._settings, started)
        known = await self._translations(context, replies, started)
        records: dict[int, tuple[Record, ...]] = {}
        for position, reply in enumerate(replies):
            if reply.answer is not None:
                mapping, first = reply.answer.mapping, reply.answer.records
                records[position] = mapping(Translations(known)) if reply.answer.wishes & known.keys() else first
        return replies, await release(context, self._consent, question, replies, records, mode)

    async def _translations(self, context: Context, replies: Sequence[Reply], started: float) -> dict[Wish, Target]:
        """What loaded maps say; a terminology that does not answer costs codes, never the read."""
        wishes = sorted(
            {wish for reply in replies if reply.answer for wish in reply.answer.wishes},
            key=lambda wish: (wish.system, wish.code, wish.target),
        )
        known: dict[Wish, Target] = {}

        async def learn(wish: Wish) -> None:
            try:
                found = await self._terminology.translate(context, wish.system, wish.code, wish.target)
            except FhirError:
                return  # an untranslated code keeps its text and is named in the answer
            usable = [each for each in found if each.equivalence not in ("unmatched", "disjoint")]
            if usable:
                best = usable[0]
                known[wish] = Target(best.target.code, best.target.display, best.equivalence)

        left = started + self._settings.total_seconds - context.clock()
        try:
            async with asyncio.timeout(max(left, 0)):
                await asyncio.gather(*(learn(each) for each in wishes[:_MAX_WISHES]))
        except TimeoutError:
            pass  # as above: better some codes untranslated than no answer
        return known

    def _record(
        self,
        context: Context,
        person: PersonKey,
        information_type: str,
        replies: Sequence[Reply],
        released: Released,
        ground: Decision,
        decisions: Decisions,
        *,
        register: str | None = None,
    ) -> None:
        holders = tuple(sorted({part.status.unit for part in released.parts if part.records}))
        detail: dict[str, Any] = {
            "asked": sorted({unit for reply in replies for unit in reply.target.units}),
            "not_answered": sorted({p.status.unit for p in released.parts if p.status.status != "answered"}),
            "withheld": released.withheld,
        }
        if register:
            detail["register"] = register
        entry = _audit(
            person,
            information_type,
            holders,
            ground,
            decisions.id,
            operation="register-transfer" if register else "read",
            count=sum(len(part.records) for part in released.parts),
            detail=detail,
        )
        context.record(entry)

    def _answer(
        self, context: Context, parts: Sequence[Part], resource_type: str, further: Sequence[dict[str, Any]]
    ) -> Fetched:
        bundle = merge.bundle(
            parts, resource_type, gateway=self._settings.hsa_id, now=context.now, further_issues=further
        )
        return Fetched.of(bundle)


def offered(resource_type: str) -> str:
    """The information type behind a resource type. Raises `NotSupported`."""
    if resource_type not in OFFERED:
        raise NotSupported(f"the gateway offers {', '.join(OFFERED)}", code="resource-type-not-offered")
    return OFFERED[resource_type]


def _question(
    person: PersonKey, operation: Operation, entries: Sequence[Entry], register: str | None = None
) -> Question:
    entities = tuple(Entity(each.custodian, each.unit, each.information_type, each.most_recent) for each in entries)
    return Question(person, operation, entities, register)


def _forbidden(refusal: Decision | Located) -> Forbidden:
    text = f"{refusal.explanation_en} {refusal.explanation_sv} ({refusal.law})"
    return Forbidden(text, code=refusal.reason.lower().replace("_", "-"))


def _blocked(located: Located, decisions: Decisions) -> bool | None:
    if located.blocked_exist is None or decisions.blocked_exist is None:
        return None
    return located.blocked_exist or decisions.blocked_exist


def _blocked_issue(blocked: bool | None) -> list[dict[str, Any]]:
    """That blocked information exists (SVOD 2 kap. 5 §), naming nobody; nothing where it may not be told."""
    if not blocked:
        return []
    text = "Blocked information exists. Det finns spärrade uppgifter. (SVOD 2 kap. 5 §)"
    return [issue("information", "suppressed", "blocked-information-exists", text)]


def _raise_if_all_failed(parts: Sequence[Part]) -> None:
    if parts and all(part.status.status != "answered" and not part.records for part in parts):
        raise NoSourceAnswered(parts)


def _audit(
    person: PersonKey,
    information_type: str,
    holders: tuple[str, ...],
    ground: Decision | Located,
    decision: str,
    *,
    operation: str = "read",
    outcome: str = "success",
    count: int = 0,
    detail: Mapping[str, Any] | None = None,
) -> AuditEntry:
    return AuditEntry(
        operation=operation,
        outcome=outcome,
        person=person,
        information_type=information_type,
        holders=holders,
        ground=ground.ground if isinstance(ground, Decision) else None,
        reason=ground.reason,
        law=ground.law,
        decision=decision,
        count=count,
        detail=detail or {},
    )
