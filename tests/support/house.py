# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""All services in one process on one database, with the demo's clients and people registered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
from pydantic import SecretStr

from demo import people
from demo.actors import ANEMONEN, BY_NAME, OPERATOR_HSA, REGISTER_HSA, REGISTER_NAME
from demo.people import ASTRID, BERTIL
from demo.tokens import BrowserLogin, SystemLogin, choose_person
from fhir_server.context import CallerKind
from identifiers import systems
from identifiers.person_key import PersonKey, PersonKeys
from identifiers.person_number import PersonIdentifier, parse
from ndi.assembly import build
from ndi.keys import KeyFolder
from ndi.settings import Settings
from security import registration
from security.model.registration import Client, Person
from tests.support.running import free_port, serving

EHR_REDIRECT = "http://127.0.0.1:9/callback"
DENTIST_HSA = "SE0000000044-D1"


@dataclass
class HouseUnderTest:
    """The running services and what a test needs to speak with them."""

    base: str
    http: httpx2.AsyncClient
    folder: KeyFolder
    keys: PersonKeys
    database_url: str

    @property
    def astrid(self) -> PersonIdentifier:
        return parse(systems.PERSONNUMMER, ASTRID.number)

    @property
    def astrid_key(self) -> PersonKey:
        return self.keys.of(self.astrid)

    async def system(self, client_id: str) -> dict[str, str]:
        """Headers of a registered system."""
        key = self.folder.folder / f"{client_id}.jwk"
        return await SystemLogin(self.http, self.base, client_id, key, "").headers()

    async def dentist(self) -> dict[str, str]:
        """Headers of the dentist, logged in at her own record system."""
        login = BrowserLogin(
            self.http, self.base, "anemonen-ehr", self.folder.folder / "anemonen-ehr.jwk", EHR_REDIRECT
        )
        return {"Authorization": f"Bearer {await login.token('disa', 'user/*.cruds')}"}

    @asynccontextmanager
    async def browser(self, person: str, kind: str) -> AsyncIterator[httpx2.AsyncClient]:
        """A browser in which the person is logged in at the portal."""
        async with httpx2.AsyncClient(base_url=self.base, timeout=20, trust_env=False) as browser:
            start = await browser.get("/login", params={"as": kind})
            asked = await browser.get(start.headers["location"])
            back = await choose_person(browser, self.base, asked, person)
            done = await browser.get(back)
            assert done.status_code == 303, done.text
            yield browser


@asynccontextmanager
async def running_house(
    database_url: str, folder: Path, *, mode: Literal["SE", "EHDS"] = "SE", services: list[str] | None = None
) -> AsyncIterator[HouseUnderTest]:
    """The house on a migrated database; `folder` gets the keys."""
    port = free_port()
    settings = Settings(
        data=folder,
        database_url=SecretStr(database_url),
        port=port,
        security_test_idp=True,
        disclosure_mode=mode,
    )
    keys = KeyFolder(settings.keys_folder)
    keys.prepare()
    for client in _clients(port):
        await registration.put_client(database_url, replace(client, keys=_public(keys, client.client_id)))
    for person in _people(keys.person_keys()):
        await registration.put_person(database_url, person)
    app = build(settings, services)
    async with (
        serving(app, port=port) as base,
        httpx2.AsyncClient(base_url=base, timeout=20, trust_env=False) as http,
    ):
        yield HouseUnderTest(base, http, keys, keys.person_keys(), database_url)


def _public(keys: KeyFolder, client_id: str) -> dict[str, dict[str, object]]:
    keys.client_key(client_id)
    return registration.read_keys([keys.folder / f"{client_id}.jwk"])


def _client(client_id: str, organisation: str, name: str, *scopes: str, **more: Any) -> Client:
    start = datetime.now(UTC) - timedelta(minutes=1)
    base = Client(client_id, name, organisation, name, scopes, (), ("client_credentials",), (), "HOPERAT", start)
    return replace(base, **more)


def _clients(port: int) -> list[Client]:
    code = ("authorization_code",)
    source = ("system/DocumentReference.cuds", "system/Organization.cruds", "system/Endpoint.cruds")
    return [
        *(
            _client(actor.client_id, actor.provider, actor.provider_name, *source, roles=("source",))
            for actor in BY_NAME.values()
        ),
        _client("operator", OPERATOR_HSA, "ndi", "system/*.cruds", roles=("operator",)),
        _client("ndi-transfer", OPERATOR_HSA, "ndi", "system/*.cruds", roles=("transfer",), purpose="HQUALIMP"),
        _client("allergiregistret", REGISTER_HSA, REGISTER_NAME, "system/MeasureReport.rs", roles=("register",)),
        _client(
            "anemonen-ehr", ANEMONEN.provider, ANEMONEN.provider_name, "user/*.cruds",
            grants=code, redirect_uris=(EHR_REDIRECT,),
        ),
        _client(
            "ndi-portal", OPERATOR_HSA, "ndi", "patient/*.cruds", "user/*.cruds",
            grants=code, redirect_uris=(f"http://127.0.0.1:{port}/callback",),
        ),
    ]  # fmt: skip


def _people(keys: PersonKeys) -> list[Person]:
    def patient(who: people.Person) -> Person:
        key = keys.of(parse(systems.PERSONNUMMER, who.number))
        return Person(who.login, who.name, CallerKind.patient, person_key=key, roles=("patient",), assurance=3)

    dentist = Person(
        "disa",
        "Disa Dentström",
        CallerKind.staff,
        hsa_id=DENTIST_HSA,
        organisation=ANEMONEN.provider,
        organisation_name=ANEMONEN.provider_name,
        unit=ANEMONEN.unit,
        unit_name=ANEMONEN.unit_name,
        profession="dentist",
        roles=("clinician",),
        assurance=3,
    )
    return [patient(ASTRID), patient(BERTIL), dentist]
