# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Consent resources: who may touch them, what is checked before one is stored.

FHIR R4 Consent (https://hl7.org/fhir/R4/consent.html), served by the kernel. In this slice the person herself sets and
lifts; registration by staff or an administrator comes with the officer's flows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from consent.model.document import Entry, Kind
from consent.model.engine import decide
from consent.model.facts import Actor, Data, Facts, Situation, Subject
from consent.model.resource import active, entry_of, kind_of, person_of, rebuilt
from consent.model.rules.base import Rule
from consent.model.terms import ActorKind, Block, Operation, Scope
from fhir_server.context import CallerKind, Context
from fhir_server.outcome import Forbidden, Invalid, NotFound, Unprocessable
from fhir_server.policy import Policy
from fhir_server.resource import instant
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import InvalidPersonNumber, parse
from provider_catalog.client import CatalogClient

_SCOPES: Final = {Kind.outer_block: Scope.outer, Kind.inner_block: Scope.inner}
_BLOCKS: Final = {Kind.outer_block: Block.outer, Kind.inner_block: Block.inner}
_ACTORS: Final = {
    CallerKind.patient: ActorKind.patient,
    CallerKind.staff: ActorKind.care,
    CallerKind.system: ActorKind.system,
}


class OwnConsents:
    """The guard: a Consent is seen and changed by the person it is about, by nobody else."""

    async def check(self, context: Context, interaction: str, resource: Mapping[str, Any] | None) -> None:
        """Raises `Forbidden` unless the caller is a person, `NotFound` if the Consent is another person's."""
        person = _caller(context)
        if interaction == "delete":
            raise Forbidden("a Consent is withdrawn, never deleted: what was in force must be told later")
        if resource is not None and person_of(resource) != person:
            raise NotFound("no Consent with this id")
        context.decided = True

    async def policy(self, context: Context) -> Policy:
        """A search sees the calling person's own Consents."""
        return Policy.of(_caller(context))


@dataclass(frozen=True, slots=True)
class Preparation:
    """Checks a Consent and gives the form in which it is stored: understood, without free text, the person by key."""

    keys: PersonKeys
    catalog: CatalogClient

    async def __call__(self, context: Context, resource: dict[str, Any]) -> dict[str, Any]:
        """Raises `Forbidden` with the law's reason, `Invalid` or `Unprocessable` with what to change."""
        kind, on = kind_of(resource), active(resource)
        _permit(context, kind, on)
        person = _caller(context)
        self._same_person(resource, kind, person)
        _check_id(resource)
        entry = entry_of(resource)
        if kind in _BLOCKS and (on or entry.provider is None):
            entry = replace(entry, provider=await self._provider(context, entry))
        made = resource.get("dateTime") if "id" in resource else None
        return rebuilt(entry, resource, person_hex=person.hex(), made=made or instant(context.now))

    def _same_person(self, resource: Mapping[str, Any], kind: Kind, person: PersonKey) -> None:
        patient = resource.get("patient")
        if patient is None or patient == {"reference": f"Patient/{person.hex()}"}:
            return
        identifier = patient.get("identifier")
        if identifier and "reference" not in patient:
            try:
                given = self.keys.of(parse(str(identifier.get("system")), str(identifier.get("value"))))
            except InvalidPersonNumber as error:
                raise Invalid(str(error), expression="Consent.patient.identifier") from None
            if given == person:
                return
        if kind in _BLOCKS:
            # Who sets a block for somebody else could only do so as a guardian, and that the law refuses.
            _refuse(decide(_change(kind, ActorKind.guardian, on=True, is_self=False)))
        raise Forbidden("a Consent is given by the person it is about", code="not-self", expression="Consent.patient")

    async def _provider(self, context: Context, entry: Entry) -> str:
        """The care provider of the blocked organisation. Raises `Unprocessable` if the catalogue does not know it."""
        path = "Consent.provision.actor[0].reference"
        known = (await self.catalog.organisations(context, [entry.organisation])).get(entry.organisation)
        if known is None or known.kind not in ("care-provider", "care-unit"):
            raise Unprocessable(
                "no care provider or care unit has this HSA-id; a block is set where data are held (SVOD 2 kap. 3 §)",
                expression=path,
                code="unknown-organisation",
            )
        if entry.kind is Kind.inner_block and known.kind != "care-unit":
            raise Unprocessable(
                "an inner block is set on a care unit (PDL 4 kap. 4 §)", expression=path, code="not-a-care-unit"
            )
        return known.provider.upper()


def _caller(context: Context) -> PersonKey:
    caller = context.caller
    if caller.kind is not CallerKind.patient or caller.person is None:
        raise Forbidden("Consents are seen and changed by the person herself", code="only-the-person")
    return caller.person


def _permit(context: Context, kind: Kind, on: bool) -> None:
    """Raises `Forbidden` with the rule's text unless the law lets this kind of caller make the change."""
    actor = _ACTORS[context.caller.kind]
    if kind is Kind.shared_record:
        if actor is not ActorKind.patient:
            raise Forbidden("the patient consents herself (SVOD 3 kap. 1 § första stycket 2)", code="only-the-person")
        return
    _refuse(decide(_change(kind, actor, on=on, is_self=actor is ActorKind.patient)))


def _change(kind: Kind, actor: ActorKind, *, on: bool, is_self: bool) -> Facts:
    who, subject = Actor(kind=actor), Subject(self=is_self)
    if kind is Kind.register_opt_out:
        return Facts(Operation.register_opt_out, who, subject, Data(register="register"))
    if on:
        return Facts(Operation.set_block, who, subject, Data(), Situation(), _SCOPES[kind])
    return Facts(Operation.lift_block, who, subject, Data(block=_BLOCKS[kind]))


def _refuse(rule: Rule) -> None:
    if not rule.permitted:
        raise Forbidden(f"{rule.en} ({rule.law})", code=rule.reason.lower().replace("_", "-"))


def _check_id(resource: Mapping[str, Any]) -> None:
    """Ids are made here: one that a client chose could carry a number."""
    if "id" not in resource:
        return
    try:
        UUID(resource["id"])
    except ValueError:
        raise Unprocessable(
            "ids of Consents are given by the server", expression="Consent.id", code="id-not-ours"
        ) from None
