# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Refused callers in the access log: each attempt is told of, and a flood of them cannot fill it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from fhir_server.context import Access, AuditEntry, Context
from fhir_server.outcome import Unauthenticated, Unavailable
from fhir_server.refusals import ANONYMOUS, Refusals
from fhir_server.service import Route
from tests.fhir_server.conftest import Toy, echo
from tests.support.callers import ListAudit

ROUTE = Route("/fhir/Patient/$echo", echo, Access.person_data, ("Patient", "r"))
REFUSED = Unauthenticated("the signature does not hold")


def attempt() -> Context:
    return Context(ANONYMOUS, "a-bad-token", datetime.now(UTC), 0.0, "trace", clock=lambda: 0.0)


def refusals(audit: ListAudit, window: float) -> Refusals:
    return Refusals(ROUTE, audit, lambda: datetime.now(UTC), window=window)


def counts(audit: ListAudit) -> list[int | None]:
    return [entry.count for _, entry in audit.entries]


async def until(audit: ListAudit, length: int) -> None:
    async with asyncio.timeout(10):
        while len(audit.entries) < length:
            await asyncio.sleep(0.005)


async def test_a_flood_is_two_events_and_its_size_can_be_read() -> None:
    audit = ListAudit()
    kept = refusals(audit, window=0.3)
    await asyncio.gather(*(kept.keep(attempt(), REFUSED) for _ in range(2000)))
    assert counts(audit) == [1]
    await until(audit, 2)
    assert counts(audit) == [1, 1999]
    await asyncio.sleep(0.5)  # a window without attempts ends the counting
    await kept.keep(attempt(), REFUSED)
    assert counts(audit) == [1, 1999, 1]


async def test_nothing_of_the_token_is_kept() -> None:
    audit = ListAudit()
    await refusals(audit, window=60).keep(attempt(), REFUSED)
    ((caller, entry),) = audit.entries
    assert (caller, entry.outcome, entry.reason, entry.person) == (ANONYMOUS, "denied", "invalid-token", None)
    assert "a-bad-token" not in repr(audit.entries)


async def test_a_log_that_cannot_keep_up_is_not_taken_for_kept() -> None:
    class Broken(ListAudit):
        broken = True

        async def append(self, context: Context, entries: Sequence[AuditEntry]) -> None:
            if self.broken:
                raise Unavailable("the access log cannot be reached")
            await super().append(context, entries)

    audit = Broken()
    kept = refusals(audit, window=0.02)
    with pytest.raises(Unavailable):
        await kept.keep(attempt(), REFUSED)
    audit.broken = False
    await kept.keep(attempt(), REFUSED)
    audit.broken = True
    await kept.keep(attempt(), REFUSED)
    await asyncio.sleep(0.1)
    assert counts(audit) == [1]
    audit.broken = False
    await until(audit, 2)
    assert counts(audit) == [1, 1]


@pytest.mark.parametrize(
    ("path", "told"),
    [("Consent/1", 1), ("$tell", 1), ("$administer", 1), ("Patient/$slow", 0), ("Organization/1", 0), ("metadata", 0)],
)
async def test_every_address_but_the_directory_tells_of_bad_tokens(toy: Toy, path: str, told: int) -> None:
    for _ in range(3):
        method = "POST" if "$" in path else "GET"
        await toy.http.request(method, toy.url(path), headers={"Authorization": "Bearer nonsense"})
    assert len(toy.audit.entries) == told
