# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One contract for the gateway over HTTP and in process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from fhir_server.context import Caller, Context
from fhir_server.outcome import BadGateway, DeadlineExceeded, Forbidden, NotSupported, Unavailable
from gateway.client import GatewayClient, HttpGateway
from gateway.settings import GatewaySettings
from tests.gateway.records import ASTRID
from tests.gateway.toys import Stage, hang, says, staged
from tests.support.callers import DENTIST, TRANSFER, token_of

REGISTER = "SE0000000055-REG"
KINDS = ["local", "http"]


@pytest.fixture(scope="module")
async def everything() -> AsyncIterator[Stage]:
    async with staged(GatewaySettings(source_seconds=0.6, total_seconds=1.5)) as running:
        yield running


@pytest.fixture
def stage(everything: Stage) -> Stage:
    everything.reset()
    return everything


def client(stage: Stage, kind: str) -> GatewayClient:
    return stage.local if kind == "local" else HttpGateway(stage.http, stage.base)


def context(caller: Caller = DENTIST, seconds: float = 10) -> Context:
    loop = asyncio.get_running_loop()
    return Context(
        caller=caller,
        token=token_of(caller),
        now=datetime.now(UTC),
        deadline=loop.time() + seconds,
        trace_id="0" * 31 + "1",
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_read_gives_the_bundle_and_how_each_source_took_part(stage: Stage, kind: str) -> None:
    stage.mitt.behaviour = hang
    fetched = await client(stage, kind).search(context(), ASTRID, "AllergyIntolerance")
    assert fetched.bundle["total"] == 2
    assert not fetched.complete
    assert [(each.unit_name, each.status, each.count) for each in fetched.sources] == [
        ("Kliniken Norr", "answered", 1),
        ("Kliniken Mitt", "silent", 0),
        ("Kliniken Syd", "answered", 1),
    ]
    assert fetched.sources[1].milliseconds >= 500


@pytest.mark.parametrize("kind", KINDS)
async def test_a_whole_answer_is_complete(stage: Stage, kind: str) -> None:
    assert (await client(stage, kind).search(context(), ASTRID, "AllergyIntolerance")).complete


@pytest.mark.parametrize("kind", KINDS)
async def test_errors_are_the_same(stage: Stage, kind: str) -> None:
    gateway = client(stage, kind)
    for toy in stage.toys:
        toy.behaviour = says({}, 500)
    with pytest.raises(BadGateway) as failed:
        await gateway.search(context(), ASTRID, "AllergyIntolerance")
    assert failed.value.detail_code == "no-source-answered"
    stage.index.refused = "NO_CONSENT"
    with pytest.raises(Forbidden) as refused:
        await gateway.search(context(), ASTRID, "AllergyIntolerance")
    assert refused.value.detail_code == "no-consent"
    with pytest.raises(Forbidden):
        await gateway.fetch_from(context(DENTIST), ASTRID, "AllergyIntolerance", "SE0000000033-VE1", REGISTER)
    stage.index.seconds = 5
    with pytest.raises(DeadlineExceeded):
        await gateway.search(context(), ASTRID, "AllergyIntolerance")


@pytest.mark.parametrize("kind", KINDS)
async def test_one_units_records_for_a_register(stage: Stage, kind: str) -> None:
    gateway = client(stage, kind)
    fetched = await gateway.fetch_from(context(TRANSFER), ASTRID, "AllergyIntolerance", "SE0000000033-VE1", REGISTER)
    assert fetched.complete and fetched.bundle["total"] == 1
    with pytest.raises(NotSupported):
        await gateway.fetch_from(context(TRANSFER), ASTRID, "AllergyIntolerance", "SE0000000077-VE1", REGISTER)


async def test_a_gateway_that_is_not_there_is_unavailable(stage: Stage) -> None:
    gateway = HttpGateway(stage.http, "http://127.0.0.1:9/gateway/fhir")
    with pytest.raises(Unavailable):
        await gateway.search(context(), ASTRID, "AllergyIntolerance")
