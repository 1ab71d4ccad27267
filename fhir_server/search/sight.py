# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What a search may see, as clauses on rows of the resource table: as if the rest did not exist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import ARRAY, ColumnElement, FromClause, LargeBinary, Text, all_, false, func, literal, or_, select

from fhir_server.policy import Policy
from fhir_server.search.leaves import is_open


@dataclass(frozen=True, slots=True)
class Passing:
    """A policy as the values of a statement."""

    persons: tuple[bytes, ...] | None
    hidden_persons: tuple[bytes, ...]
    custodians: tuple[str, ...] | None
    hidden_custodians: tuple[str, ...]

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """The policy's lists, in an order that depends on nothing else."""
        return cls(
            None if policy.persons is None else tuple(sorted(each.value for each in policy.persons)),
            tuple(sorted(each.value for each in policy.hidden_persons)),
            None if policy.custodians is None else tuple(sorted(policy.custodians)),
            tuple(sorted(policy.hidden_custodians)),
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """What a search may see: of the types in `passing` what that lets pass; and at which address it is asked."""

    passing: Mapping[str, Passing] = field(default_factory=dict)
    base: str | None = None

    @classmethod
    def under(cls, policies: Mapping[str, Policy], base: str | None = None) -> Self:
        """What policies by type let pass; a type without one is seen whole."""
        return cls({kind: Passing.of(each) for kind, each in policies.items() if each.confines}, base)

    def confines(self, kind: str) -> bool:
        """Whether something of the type may be hidden."""
        return kind in self.passing

    def of(self, resource: FromClause, kind: str) -> list[ColumnElement[bool]]:
        """The current resources of a type that may be seen."""
        clauses = [resource.c.type == kind, resource.c.deleted.is_(False)]
        lists = self.passing.get(kind)
        if lists is not None:
            clauses += _passing(resource.c.person_key, lists.persons, lists.hidden_persons, LargeBinary)
            clauses += _passing(resource.c.custodian, lists.custodians, lists.hidden_custodians, Text)
        return clauses

    def here(self, values: FromClause) -> ColumnElement[bool]:
        """The reference leads to this server."""
        if self.base is None:
            return values.c.base.is_(None)
        return or_(values.c.base.is_(None), values.c.base == self.base)


def _passing(column: Any, allowed: Sequence[Any] | None, hidden: Sequence[Any], kind: Any) -> list[ColumnElement[bool]]:
    """As `Policy.permits`: a row without a value passes no list (in SQL: comparing it gives null)."""
    clauses: list[ColumnElement[bool]] = []
    if allowed is not None and not is_open(allowed) and len(allowed) == 1:
        clauses.append(column == allowed[0])
    elif allowed:
        listed = func.unnest(_array(allowed, kind)).table_valued("value").render_derived()
        clauses.append(column.in_(select(listed.c.value)))
    elif allowed is not None:
        clauses.append(false())
    if hidden:
        clauses.append(column != all_(_array(hidden, kind)))
    return clauses


def _array(values: Any, kind: Any) -> Any:
    return literal(values if is_open(values) else list(values), ARRAY(kind))
