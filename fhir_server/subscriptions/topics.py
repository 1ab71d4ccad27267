# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a service offers to tell about, as values: what R5 calls a SubscriptionTopic, for which R4 has no resource.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/components.html#subscription-topics
"""

from dataclasses import dataclass
from typing import Final, Literal

Change = Literal["create", "update", "delete"]

CHANGES: Final[frozenset[Change]] = frozenset({"create", "update", "delete"})
MODIFIERS: Final = frozenset({"not", "missing", "text", "of-type", "exact", "contains", "identifier"})
"""Modifiers a filter can be evaluated with: the others ask a terminology service or other resources."""
COMPARATORS: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"})
"""`ap` is not among them: what it means depends on when it is asked."""


@dataclass(frozen=True, slots=True)
class FilterBy:
    """A search parameter of the topic's type that a Subscription may filter by (R5: canFilterBy)."""

    parameter: str
    modifiers: frozenset[str] = frozenset()
    """Allowed beside the parameter alone; some of `MODIFIERS`."""
    comparators: frozenset[str] = frozenset({"eq"})
    """Prefixes of dates, numbers and quantities; some of `COMPARATORS`."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Searches that must hold for a change to be an event (R5: resourceTrigger.queryCriteria)."""

    previous: str = ""
    """Held against what stood before the change, e.g. `status=preliminary`; empty: anything."""
    current: str = ""
    """Held against what stands after it."""
    create_passes: bool = True
    """What `previous` gives where nothing stood before (resultForCreate)."""
    delete_passes: bool = True
    """What `current` gives where nothing stands any more (resultForDelete)."""
    both: bool = True
    """Whether both must hold (requireBoth), or one of them."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: changes of one resource type."""

    url: str
    """Canonical URL, by which a Subscription names it."""
    title: str
    type: str
    """The resource type, which the service must serve."""
    changes: frozenset[Change] = CHANGES
    criteria: Criteria | None = None
    filters: tuple[FilterBy, ...] = ()

    def filter_by(self, parameter: str) -> FilterBy | None:
        """What the topic allows of a search parameter."""
        return next((each for each in self.filters if each.parameter == parameter), None)
