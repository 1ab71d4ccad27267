# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Which types of a service a caller may see, for what reaches over all of them: `$everything`, exports."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
import hashlib

from fhir_server.context import Access, Context
from fhir_server.interactions.serving import Serving, may_search
from fhir_server.outcome import Forbidden
from fhir_server.policy import Policy
from fhir_server.search.sight import Sight


@dataclass(frozen=True, slots=True)
class Seen:
    """The types that may be seen and what of them: the others are as if they were not served."""

    types: Mapping[str, Serving]
    policies: Mapping[str, Policy]
    sight: Sight

    def person_data(self, kinds: Iterable[str]) -> bool:
        """Whether one of the kinds holds data about persons."""
        return any(self.types[each].type.access is Access.person_data for each in kinds if each in self.types)

    def fingerprint(self, kinds: Iterable[str]) -> str:
        """Changes when what may be seen of the kinds changes."""
        lists = [(kind, self.sight.passing.get(kind)) for kind in sorted(kinds)]
        return hashlib.sha256(repr(lists).encode()).hexdigest()


async def seen(types: Mapping[str, Serving], context: Context, base: str, *, named: Collection[str] = ()) -> Seen:
    """What the scopes and roles of the caller permit, confined by the guard of each type.

    Raises `Forbidden` for a type that is `named` and may not be seen; others are left out.
    """
    permitted: dict[str, Serving] = {}
    policies: dict[str, Policy] = {}
    for name, serving in sorted(types.items()):
        if not may_search(serving, context):
            if name in named:
                raise Forbidden(f"the token lacks the scope {name}.s", code="insufficient-scope")
            continue
        if serving.type.guard is not None:
            try:
                policies[name] = await serving.type.guard.policy(context)
            except Forbidden:
                if name in named:
                    raise
                continue
            context.decided = True
        permitted[name] = serving
    return Seen(permitted, policies, Sight.under(policies, base))
