# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The terminology as other services see it: over HTTP and in process it must be the same."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.context import Caller, Context
from fhir_server.outcome import Forbidden, Unavailable
from terminology.client import Coded, HttpTerminology, Neighbours, TerminologyClient, Translation
from terminology.local import LocalTerminology
from tests.support.callers import DENTIST, token_of
from tests.terminology.conftest import FOODS, LOCAL, MAP, Terminology, code_system, concept_map


def context_of(caller: Caller = DENTIST) -> Context:
    return Context(
        caller=caller,
        token=token_of(caller),
        now=datetime.now(UTC),
        deadline=asyncio.get_running_loop().time() + 10,
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )


@pytest.fixture(params=["http", "local"])
async def client(request: Any, terminology: Terminology, engine: AsyncEngine) -> TerminologyClient:
    await terminology.create(code_system())
    await terminology.create(concept_map())
    if request.param == "http":
        return HttpTerminology(terminology.http, "/terminology/fhir")
    return LocalTerminology(engine)


async def test_lookup(client: TerminologyClient) -> None:
    assert await client.lookup(context_of(), FOODS, "hazel") == Coded(FOODS, "hazel", "Hazelnut", "1.0")
    assert await client.lookup(context_of(), FOODS, "brick") is None
    assert await client.lookup(context_of(), "http://example.org/none", "hazel") is None


async def test_neighbours(client: TerminologyClient) -> None:
    assert await client.neighbours(context_of(), FOODS, "nut") == Neighbours((), ("hazel", "almond"))
    assert await client.neighbours(context_of(), FOODS, "hazel") == Neighbours(("nut",), ())
    assert await client.neighbours(context_of(), FOODS, "brick") is None
    assert await client.neighbours(context_of(), "http://example.org/none", "hazel") is None


async def test_translate(client: TerminologyClient) -> None:
    found = await client.translate(context_of(), LOCAL, "A1", FOODS)
    assert found == (
        Translation("equivalent", Coded(FOODS, "hazel", "Hazelnut", "1.0"), f"{MAP}|1.0"),
        Translation("wider", Coded(FOODS, "nut", "Nut", "1.0"), f"{MAP}|1.0"),
    )
    assert await client.translate(context_of(), LOCAL, "A1", FOODS, MAP) == found
    for code, target, url in (
        ("A2", FOODS, None),
        ("A9", FOODS, None),
        ("A1", "http://example.org/other", None),
        ("A1", FOODS, "http://example.org/no-map"),
    ):
        assert await client.translate(context_of(), LOCAL, code, target, url) == ()


async def test_errors_come_back_as_themselves(terminology: Terminology) -> None:
    with pytest.raises(Forbidden):
        nobody = Caller("x", DENTIST.kind, frozenset())
        await HttpTerminology(terminology.http, "/terminology/fhir").lookup(context_of(nobody), FOODS, "nut")
    async with httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(Unavailable):
            await HttpTerminology(http, "http://127.0.0.1:9/terminology/fhir").lookup(context_of(), FOODS, "nut")
