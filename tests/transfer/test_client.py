# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The service as the portal sees it: over HTTP and in process it must be the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.app import KernelSettings, create_app
from fhir_server.context import Caller, Context
from fhir_server.outcome import Forbidden
from tests.support.callers import DENTIST, OPERATOR, ListAudit, TestAuthenticator, patient, token_of
from tests.support.running import running
from tests.transfer.conftest import Scene
from tests.transfer.working import until, worker
from tests.transfer.world import ASTRID, BERTIL, NORR, REGISTER, allergy
from transfer.app import create_service
from transfer.client import HttpTransfer, TransferClient
from transfer.local import LocalTransfer


def context_of(caller: Caller) -> Context:
    deadline = asyncio.get_running_loop().time() + 10
    return Context(caller, token_of(caller), datetime.now(UTC), deadline, "0af7651916cd43dd8448eb211c80319c")


@pytest.fixture
def audit() -> ListAudit:
    return ListAudit()


@pytest.fixture(params=["http", "local"])
async def client(request: Any, scene: Scene, audit: ListAudit) -> AsyncIterator[TransferClient]:
    service = create_service(engine=scene.engine)
    app = create_app(
        service, engine=scene.engine, authenticator=TestAuthenticator(), audit=audit, settings=KernelSettings()
    )
    async with running(app) as http:
        yield HttpTransfer(http, "/transfer/fhir") if request.param == "http" else LocalTransfer(scene.engine)


async def test_the_person_sees_what_each_register_holds(scene: Scene, client: TransferClient, audit: ListAudit) -> None:
    scene.world.document(ASTRID, NORR, allergy("a1"))
    scene.world.document(ASTRID, NORR, allergy("a2"))

    async def two() -> bool:
        return len(await scene.held()) == 2

    async with worker(*scene.worker):
        await until(two)
        await scene.done()
    astrid, bertil = patient(scene.world.person(ASTRID)), patient(scene.world.person(BERTIL))
    context = context_of(astrid)
    [view] = await client.registers(context)
    assert (view.hsa_id, view.name, view.records, view.opted_out, view.erased_at) == (
        REGISTER, "Allergiregistret", 2, False, None,
    )  # fmt: skip
    assert view.purpose_sv.startswith("Utveckla")
    assert view.last_delivery is not None
    [entry] = [*context.entries, *(each for _, each in audit.entries)]
    assert (entry.operation, entry.person, entry.ground, entry.count) == ("own-registers", astrid.person, "self", 2)
    [other] = await client.registers(context_of(bertil))
    assert (other.records, other.last_delivery) == (0, None)


@pytest.mark.parametrize("caller", [DENTIST, OPERATOR], ids=["clinician", "operator"])
async def test_nobody_else_may_see_it(scene: Scene, client: TransferClient, caller: Caller) -> None:
    with pytest.raises(Forbidden):
        await client.registers(context_of(caller))


async def test_a_token_without_the_scope_is_refused(scene: Scene, audit: ListAudit) -> None:
    service = create_service(engine=scene.engine)
    app = create_app(
        service, engine=scene.engine, authenticator=TestAuthenticator(), audit=audit, settings=KernelSettings()
    )
    caller = replace(patient(scene.world.person(ASTRID)), scopes=frozenset({"patient/Consent.cruds"}))
    async with running(app) as http:
        with pytest.raises(Forbidden, match="MeasureReport"):
            await HttpTransfer(http, "/transfer/fhir").registers(context_of(caller))


async def test_transfer_and_erasure_stand_in_the_access_log(scene: Scene) -> None:
    scene.world.document(ASTRID, NORR, allergy("a1"))

    async def erased() -> bool:
        return (await scene.view(ASTRID)).erased_at is not None

    async def held() -> bool:
        return (await scene.view(ASTRID)).records == 1

    async with worker(*scene.worker):
        await until(held)
        scene.world.oppose(ASTRID)
        await until(erased)
    key = scene.world.person(ASTRID).hex()
    rows = await scene.sql(
        "SELECT operation, holders[1], law, client_id, purpose FROM audit.event"
        f" WHERE person_key = '\\x{key}' ORDER BY recorded"
    )
    assert rows == [
        ("transfer-to-register", NORR, "PDL 7 kap. 4 §", "ndi-transfer", "HQUALIMP"),
        ("erase-in-register", NORR, "PDL 7 kap. 2 §", "ndi-transfer", "HQUALIMP"),
    ]
