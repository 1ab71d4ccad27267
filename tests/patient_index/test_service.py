# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the service says of itself, what it logs, its command, and the index among its real neighbours."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
import json
import re
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from consent.local import LocalConsent
from fhir_server.app import create_app
from fhir_server.context import Access
from fhir_server.crypto import Cipher
from identifiers.person_key import PersonKeys
from patient_index import cli
from patient_index.app import create_service
from provider_catalog.local import LocalCatalog
from tests.patient_index.messages import DOMAIN, envelope, find_content, row, update
from tests.patient_index.world import (
    ASTRID,
    UNIT,
    Index,
    RuleConsent,
    TableCatalog,
    catalogue,
    entry_document,
    person_parameter,
)
from tests.support.callers import DENTIST, SOURCE_NORR, TRANSFER, ListAudit, TestAuthenticator, bearer, patient
from tests.support.running import running

NUMBER = re.compile(r"(19)?570103(-|%2D|\+|%2B)?2863", re.IGNORECASE)


async def test_the_capability_statement_names_the_operations(lasting_index: Index) -> None:
    statement = (await lasting_index.http.get("/patient-index/fhir/metadata")).json()
    (rest,) = statement["rest"]
    assert {each["name"] for each in rest["operation"]} == {"locate", "holders", "changes"}
    (resource,) = rest["resource"]
    assert (resource["type"], resource["conditionalUpdate"]) == ("DocumentReference", True)


async def test_every_route_that_tells_of_persons_is_declared_as_such(
    engine: AsyncEngine, keys: PersonKeys, cipher: Cipher
) -> None:
    service = create_service(engine=engine, keys=keys, cipher=cipher, consent=RuleConsent(), catalog=catalogue())
    access = {(each.methods, each.path): each.access for each in service.routes}
    writes = {(("PUT",), "/fhir/DocumentReference"), (("POST",), "/soap/Update")}
    assert {route for route, kind in access.items() if kind is Access.source_system} == writes
    assert all(kind is Access.person_data for route, kind in access.items() if route not in writes)


async def test_no_number_stands_in_a_log_an_address_or_an_error(
    index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    addresses: list[str] = []

    async def remember(request: httpx2.Request) -> None:
        addresses.append(str(request.url))

    index.http.event_hooks["request"].append(remember)
    form = {"patient.identifier": f"http://electronichealth.se/identifier/personnummer|{ASTRID}"}
    query = find_content({"registeredResidentIdentification": ASTRID, "serviceDomain": DOMAIN})
    message = envelope(update([{"deleteFlag": False, "engagement": row(ASTRID)}]))
    await index.register(entry_document())
    await index.soap("Update", message)
    await index.locate()
    await index.ask("Patient/$holders", patient(index.key()))
    await index.ask("DocumentReference/$changes", TRANSFER)
    await index.http.post("/patient-index/fhir/DocumentReference/_search", data=form, headers=bearer(DENTIST))
    await index.soap("FindContent", envelope(query), DENTIST)
    wrong = [
        await index.register(entry_document(f"x-{ASTRID}")),
        await index.register(entry_document(subject={"identifier": {"system": "", "value": f"{ASTRID}x"}})),
        await index.register({**entry_document(), ASTRID: 1}),
        await index.ask("Patient/$locate", DENTIST, person_parameter(f"{ASTRID}0")),
        await index.ask("Patient/$locate", DENTIST, person_parameter(), _type(ASTRID)),
        await index.ask(f"Patient/$locate?x={ASTRID}", DENTIST, {"name": ASTRID}),
        await index.soap("Update", message.replace(b">upp<", f">{ASTRID} <".encode())),
        await index.soap("Update", message.replace(b">false<", f">{ASTRID}<".encode())),
        await index.soap("FindContent", message, DENTIST),
        await index.http.get(
            "/patient-index/fhir/DocumentReference", params={**form, "x": ASTRID}, headers=bearer(DENTIST)
        ),
        await index.http.get(f"/patient-index/fhir/DocumentReference/{ASTRID}", headers=bearer(DENTIST)),
    ]
    for answer in wrong:
        assert answer.status_code >= 400
        assert not NUMBER.search(answer.text), answer.text
    ours = [each for each in addresses if "x=" not in each and "x-" not in each and f"/{ASTRID}" not in each]
    assert len(ours) > 8
    assert not NUMBER.search(" ".join(ours[:9]))
    logged = capsys.readouterr()
    assert "/fhir/Patient/$locate" in logged.out
    assert not NUMBER.search(logged.out + logged.err)


def _type(code: str) -> dict[str, str]:
    return {"name": "informationType", "valueCode": code}


@dataclass(frozen=True)
class OneDatabase:
    """A deployment whose database is there already."""

    url: str

    def database(self) -> AbstractContextManager[str]:
        return nullcontext(self.url)


async def test_the_command_shows_figures_and_nobody(index: Index, database_url: str) -> None:
    await index.register(entry_document())
    await index.register(entry_document("bo-2", status="entered-in-error"))
    shown = await run(["stats", "--json"], database_url)
    assert json.loads(shown) == {
        "persons": 1,
        "history": 2,
        "entries": {"current": 1, "withdrawn": 1},
        "types": {"alert": 1},
    }
    table = await run(["stats"], database_url)
    assert "current entries, alert" in table
    assert ASTRID not in table


async def run(arguments: list[str], database_url: str) -> str:
    import asyncio

    result = await asyncio.to_thread(CliRunner().invoke, cli.app, arguments, obj=OneDatabase(database_url))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
async def among_neighbours(engine: AsyncEngine, keys: PersonKeys, cipher: Cipher) -> AsyncIterator[Index]:
    """The index with the real consent service and the real catalogue, in one database."""
    catalog = LocalCatalog(engine)
    consent = LocalConsent(engine, keys=keys, catalog=catalog)
    audit = ListAudit()
    service = create_service(engine=engine, keys=keys, cipher=cipher, consent=consent, catalog=catalog)
    app = create_app(service, engine=engine, authenticator=TestAuthenticator(), audit=audit)
    async with running(app) as http:
        yield Index(http, RuleConsent(), TableCatalog(), audit, keys, engine)


async def test_among_its_real_neighbours_the_index_tells_yes_or_no_before_consent(among_neighbours: Index) -> None:
    index = among_neighbours
    await index.register(entry_document())
    answer: dict[str, Any] = await index.locate()
    assert (answer["unblockedExist"], "entry" in answer) == (True, False)
    assert UNIT not in str(answer)
    mine = await index.ask("Patient/$holders", patient(index.key()))
    assert len(mine.json()["parameter"]) == 1
    herself = await index.locate(patient(index.key()))
    assert len(herself["entry"]) == 1
    assert (await index.ask("Patient/$locate", SOURCE_NORR, person_parameter())).status_code == 403
