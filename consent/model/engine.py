# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Which law governs, and the rule of it that decides.

The order in which the governing law is found is a choice that the statutes only imply: special before general
(registers, medication list, EHDS channel), then what the operation is, then who holds the data.
"""

from collections.abc import Iterable
import hashlib
from typing import Final

from consent.model.facts import Facts
from consent.model.rules import (
    ALL,
    ehds,
    general,
    hslf,
    nll,
    osl,
    pdl2,
    pdl4,
    pdl5,
    pdl7,
    rivta,
    svod2,
    svod3,
    svod3_social,
    svod4,
)
from consent.model.rules.base import Rule
from consent.model.terms import ActorKind, Block, Channel, DataType, Mode, Operation, Scope

_AUDIT: Final = frozenset({Operation.write_audit, Operation.purge_audit})
_CONTRACTS: Final = frozenset({Operation.check_consent, Operation.check_blocks})
_BLOCK_CHANGES: Final = frozenset({Operation.set_block, Operation.lift_block})
_EXISTENCE: Final = frozenset({Operation.check_open_exists, Operation.check_blocked_exists})
_MEDICATION: Final = frozenset({DataType.nll, DataType.nll_narcotics_flag})
_STAFF: Final = frozenset({ActorKind.care, ActorKind.social, ActorKind.pharmacy, ActorKind.system})


def decide(facts: Facts) -> Rule:
    """The rule that decides. Deny is the default: where no rule holds, `general.no-rule` does."""
    for rules in _governing(facts):
        for rule in rules:
            if rule.when(facts):
                return rule
    return general.NO_RULE


def _governing(f: Facts) -> Iterable[tuple[Rule, ...]]:
    if f.operation in _AUDIT:
        return (hslf.RULES,)
    if f.operation in _CONTRACTS:
        return (general.RULES, rivta.RULES)
    if f.data.register is not None:
        return (general.RULES, pdl7.RULES)
    if f.data.type in _MEDICATION or f.scope is Scope.nll:
        return (general.RULES, nll.RULES)
    if f.situation.mode is Mode.EHDS:
        return (general.RULES, ehds.RULES, _national(f))
    return (general.RULES, _national(f))


def _national(f: Facts) -> tuple[Rule, ...]:
    """The chapter of Swedish law for the operation, the way it comes, and the holder."""
    operation = f.operation
    if operation is Operation.request_disclosure:
        return osl.DISCLOSURE
    if operation is Operation.search:
        return pdl2.SEARCH
    if operation is Operation.count:
        return pdl5.COUNTS
    if operation is Operation.delete:
        return pdl2.ERASURE
    if operation is Operation.make_available:
        return svod2.MAKE_AVAILABLE
    if operation in _BLOCK_CHANGES:
        return _block_change(f)
    if operation is Operation.request_access_log:
        return pdl5.ON_REQUEST
    if operation in _EXISTENCE:
        return svod2.EXISTENCE
    if f.actor.kind not in _STAFF:
        return svod4.RULES if f.situation.channel is Channel.shared_record else pdl5.PERSON
    if f.own_provider:
        return pdl4.RULES
    return svod3_social.RULES if f.actor.kind is ActorKind.social else svod3.RULES


def _block_change(f: Facts) -> tuple[Rule, ...]:
    """Setting goes by the scope asked for, lifting by the kind of block that stands."""
    if f.operation is Operation.set_block:
        return {Scope.outer: svod2.BLOCKS, Scope.inner: pdl4.BLOCKS}.get(f.scope, ()) if f.scope else ()
    return {Block.outer: svod2.BLOCKS, Block.inner: pdl4.BLOCKS}.get(f.data.block, ())


def _digest() -> str:
    """Changes with any rule's text, law or outcome, so that a decision names exactly what it was made by."""
    text = "\n".join(f"{r.id}|{r.outcome.value}|{r.reason}|{r.law}|{r.sv}|{r.en}|{r.actions}" for r in ALL.values())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


EDITION: Final = "2026-1"
"""Raised by hand when a condition changes; texts and outcomes are covered by the digest."""
POLICY_VERSION: Final = f"{EDITION}+{_digest()}"
