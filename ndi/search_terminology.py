# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Fills the kernel's `Terminology` from the terminology service, for :in, :not-in, :above and :below of a search."""

from typing import Final

from fhir_server.context import Context
from fhir_server.outcome import NotFound, NotSupported
from terminology.client import Neighbours, TerminologyClient

MOST: Final = 500
"""Codes that one code may stand for: each is asked about alone, within the time of the request."""


class SearchTerminology:
    """`fhir_server.search.terminology.Terminology` by single steps through the hierarchy of a code system."""

    modifiers: Final = frozenset({"above", "below"})
    """The terminology service does not expand value sets yet."""

    def __init__(self, client: TerminologyClient) -> None:
        self._client = client

    async def expand(self, context: Context, value_set: str) -> list[tuple[str, str]]:
        """Never asked: `modifiers` has neither of the two that would."""
        raise NotSupported("value sets are not expanded here yet", code="unknown-modifier")

    async def below(self, context: Context, system: str, code: str) -> list[tuple[str, str]]:
        """The code and all below it. Raises `NotFound`, or `NotSupported` if they are too many."""
        return await self._walked(context, system, code, up=False)

    async def above(self, context: Context, system: str, code: str) -> list[tuple[str, str]]:
        """The code and all above it. Raises as `below`."""
        return await self._walked(context, system, code, up=True)

    async def _walked(self, context: Context, system: str, code: str, *, up: bool) -> list[tuple[str, str]]:
        found = {code: None}  # in the order of the walk
        waiting = [code]
        while waiting:
            context.time_left()
            each = waiting.pop()
            near = await self._client.neighbours(context, system, each)
            if near is None and each == code:
                raise NotFound("the code or its code system is not known here", code="unknown-code")
            for other in _next(near, up=up):
                if other not in found:
                    found[other] = None
                    waiting.append(other)
            if len(found) > MOST:
                raise NotSupported(
                    f"the code stands for more than {MOST} codes; begin lower in the hierarchy", code="too-many"
                )
        return [(system, each) for each in found]


def _next(near: Neighbours | None, *, up: bool) -> tuple[str, ...]:
    if near is None:
        return ()
    return near.parents if up else near.children
