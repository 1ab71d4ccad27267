# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a rule is: data and one small condition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from consent.model.facts import Facts

Condition = Callable[[Facts], bool]


class Outcome(Enum):
    """May it proceed?"""

    permit = "permit"
    deny = "deny"
    permit_with_action = "permit-with-action"
    """Only if the rule's actions are carried out."""


class Visible(Enum):
    """How much the asker may see."""

    full = "full"
    existence = "existence"
    none = "none"


class Detail(Enum):
    """What exactly is seen."""

    content = "content"
    yes_no = "yes-no"
    holder = "holder"
    count_only = "count-only"


@dataclass(frozen=True, slots=True)
class Shows:
    """What is shown with an outcome."""

    visible: Visible
    detail: Detail | None = None


NOTHING = Shows(Visible.none)
OUTCOME = Shows(Visible.full)
"""For an operation that changes something: the outcome with its reason."""
CONTENT = Shows(Visible.full, Detail.content)
YES_NO = Shows(Visible.existence, Detail.yes_no)
HOLDER = Shows(Visible.existence, Detail.holder)
BLOCKING_CONSUMER = "TKB informationsecurity:authorization:blocking 4.0.4, krav på konsumenten"

COUNT = Shows(Visible.existence, Detail.count_only)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. The rules of a chapter are tried in order; the first whose condition holds decides."""

    id: str
    outcome: Outcome
    reason: str
    """Stable code told to callers."""
    law: str
    """Section it rests on."""
    when: Condition
    sv: str
    en: str
    shows: Shows = NOTHING
    actions: tuple[str, ...] = ()
    """Duties that go with the outcome."""
    ground: str | None = None
    """What a permitted access rests on, as the access log names it."""
    answer: Mapping[str, Any] = field(default_factory=dict)
    interpretation: str | None = None
    """Why the rule goes beyond the wording of its section, where it does."""
    verified: bool = True
    """False: the section itself was not read."""

    @property
    def permitted(self) -> bool:
        """Whether it may proceed (with the actions carried out)."""
        return self.outcome is not Outcome.deny


def permit(rule_id: str, reason: str, law: str, when: Condition, sv: str, en: str, **more: Any) -> Rule:
    """A rule that permits; `actions` given here are duties that are always there."""
    return Rule(rule_id, Outcome.permit, reason, law, when, sv, en, **{"shows": CONTENT, **more})


def permit_with(
    rule_id: str, reason: str, law: str, when: Condition, sv: str, en: str, *, actions: tuple[str, ...], **more: Any
) -> Rule:
    """A rule that permits only if its actions are carried out."""
    return Rule(
        rule_id, Outcome.permit_with_action, reason, law, when, sv, en, actions=actions, **{"shows": CONTENT, **more}
    )


def deny(rule_id: str, reason: str, law: str, when: Condition, sv: str, en: str, **more: Any) -> Rule:
    """A rule that denies; shows nothing unless said otherwise."""
    return Rule(rule_id, Outcome.deny, reason, law, when, sv, en, **more)


def always(_: Facts) -> bool:
    """The condition of a chapter's last rule."""
    return True
