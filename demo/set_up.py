# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Sets the stage: database, keys, clients, people, register, then the processes in the order they need each other."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import secrets
import shlex
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2

from demo.actors import (
    ANEMONEN,
    HSA_SYSTEM,
    NOT_CONNECTED_HSA,
    NOT_CONNECTED_NAME,
    OPERATOR_HSA,
    ORGANISATION_KINDS,
    REGISTER_HSA,
    REGISTER_NAME,
    REGISTER_PORT_OFFSET,
    SOURCES,
    Actor,
)
from demo.people import DISA, PEOPLE
from demo.processes import Processes
from demo.scenario.stage import EHDS_OFFSET, FHIR_JSON, TRANSFER_OFFSET
from demo.tokens import SystemLogin, create_key, jwks_path

TERMINOLOGY: Final = Path(__file__).with_name("terminology")
MODULES: Final = {"fhir-rest": "demo.regions.fhir", "openehr-rest": "demo.regions.openehr", "rivta-soap":
                  "demo.regions.rivta"}  # fmt: skip
MAIN_SERVICES: Final = (
    "security", "audit", "patient_index", "provider_catalog", "consent", "terminology", "gateway", "portal",
)  # fmt: skip
EHDS_SERVICES: Final = ("audit", "patient_index", "provider_catalog", "consent", "terminology", "gateway")
PORT_OFFSETS: Final = (
    0, TRANSFER_OFFSET, EHDS_OFFSET, *(each.port_offset for each in SOURCES), REGISTER_PORT_OFFSET,
)  # fmt: skip
Say = Callable[[str], None]


class SetUpError(Exception):
    """The stage cannot be set; the text is one line."""


@dataclass(frozen=True, slots=True)
class Client:
    """A system to be registered at the authorization server."""

    id: str
    name: str
    organisation: str
    organisation_name: str
    scopes: str
    roles: tuple[str, ...] = ()
    redirect_uri: str | None = None


class SetUp:
    """One demo's stage in a data folder."""

    def __init__(self, data: Path, base_port: int, processes: Processes) -> None:
        self.data, self.base_port, self.processes = data, base_port, processes
        self.keys = data / "keys"
        self._known = data / "registered.sha256"
        self.database_url = ""
        self.staff_secret = ""

    def url(self, offset: int = 0) -> str:
        """Address of the process on the base port plus `offset`."""
        return f"http://127.0.0.1:{self.base_port + offset}"

    def key(self, client_id: str) -> Path:
        """The private key of one of the demo's clients. Those of the infrastructure lie where it looks for them."""
        if client_id.startswith("ndi-"):
            return self.data / "ndi" / "keys" / f"{client_id}.jwk"
        return self.keys / f"{client_id}.json"

    def clients(self) -> tuple[Client, ...]:
        """The systems that may call."""
        source = "system/DocumentReference.cu system/Organization.cu system/Endpoint.cu"
        sources = tuple(
            Client(each.client_id, each.provider_name, each.provider, each.provider_name, source, ("source",))
            for each in SOURCES
        )
        return (
            *sources,
            Client("anemonen-ehr", "Tandjournal", ANEMONEN.provider, ANEMONEN.provider_name, "user/*.cruds",
                   ("clinician",), self.url(ANEMONEN.port_offset) + "/callback"),
            Client("ndi-portal", "Portalen", OPERATOR_HSA, "ndi", "patient/*.cruds user/*.cruds", (),
                   self.url() + "/callback"),
            Client("ndi-transfer", "Överföring till kvalitetsregister", OPERATOR_HSA, "ndi", "system/*.cruds",
                   ("transfer",)),
            Client("operator", "Drift", OPERATOR_HSA, "ndi", "system/*.cruds", ("operator",)),
        )  # fmt: skip

    def database(self) -> None:
        """Starts the database and brings it up to date. Raises `ProcessError`."""
        self.data.joinpath("ndi").mkdir(parents=True, exist_ok=True)
        self.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = not (self.data / "ndi" / "postgres" / "PG_VERSION").exists()
        self.database_url = self.processes.command("db", "start").strip().splitlines()[-1]
        if fresh:  # later on each serving process looks after the schemas it needs
            self._known.unlink(missing_ok=True)
            self.processes.command("db", "upgrade", **self.shared())

    def stop_database(self) -> None:
        """Stops the database. Raises `ProcessError`."""
        self.processes.command("db", "stop")

    def shared(self) -> dict[str, str]:
        """Settings of every process of the infrastructure."""
        return {"NDI_DATABASE_URL": self.database_url, "NDI_ISSUER": self.url()}

    def register_everybody(self) -> None:
        """Clients, people and the register, by the command line; only when something changed since the last run.

        Raises `ProcessError`.
        """
        for each in self.clients():
            create_key(self.key(each.id), each.id)
        secret = self.keys / "staff.json"
        if not secret.exists():
            with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({"staff": secrets.token_urlsafe(32)}, file)
        self.staff_secret = json.loads(secret.read_text())["staff"]
        commands = [*map(self._add_client, self.clients()), *self._add_people(), self._add_register()]
        wanted = hashlib.sha256(json.dumps([commands, self.database_url]).encode()).hexdigest()
        if self._known.exists() and self._known.read_text() == wanted:
            return
        batch = self.data / "registrations.txt"
        batch.write_text("".join(f"{shlex.join(command)}\n" for command, _ in commands))
        given = "".join(f"{text}\n" for _, text in commands if text)
        self.processes.command("batch", str(batch), given=given, **self.shared())
        self._known.write_text(wanted)

    def _add_client(self, client: Client) -> tuple[list[str], str | None]:
        command = ["security", "client", "add", "--id", client.id, "--name", client.name,
                   "--organisation", client.organisation, "--organisation-name", client.organisation_name,
                   "--jwks", str(jwks_path(self.key(client.id))), "--scope", client.scopes]  # fmt: skip
        for role in client.roles:
            command += ["--role", role]
        if client.redirect_uri:
            command += ["--redirect-uri", client.redirect_uri]
        return command, None

    def _add_people(self) -> list[tuple[list[str], str | None]]:
        add = ["security", "person", "add"]
        # The number goes by standard input: a command line is seen by everybody on the machine.
        found: list[tuple[list[str], str | None]] = [
            ([*add, "--id", each.login, "--name", each.name, "--kind", "patient", "--identifier", "-"], each.identifier)
            for each in PEOPLE
        ]
        staff = [*add, "--id", DISA.login, "--name", DISA.name, "--kind", "staff", "--hsa-id", DISA.hsa_id,
                 "--organisation", ANEMONEN.provider, "--organisation-name", ANEMONEN.provider_name,
                 "--unit", ANEMONEN.unit, "--unit-name", ANEMONEN.unit_name,
                 "--profession", DISA.profession]  # fmt: skip
        return [*found, (staff, None)]

    def _add_register(self) -> tuple[list[str], str | None]:
        return ["transfer", "register", "add", "--id", REGISTER_HSA, "--name", REGISTER_NAME,
                "--address", self.url(REGISTER_PORT_OFFSET), "--purpose-sv", "Säkrare vård vid allergi",
                "--purpose-en", "Safer care for people with allergies"], None  # fmt: skip

    def start_main(self) -> None:
        """Starts all services but the transfer."""
        self.processes.start(
            "ndi", ["ndi", "serve", *MAIN_SERVICES, "--port", str(self.base_port)], **self.shared(),
            NDI_BASE_URL=self.url(), NDI_PEERS_URL=self.url(TRANSFER_OFFSET), NDI_SECURITY_TEST_IDP="true",
        )  # fmt: skip

    def start_transfer(self) -> None:
        """Starts the transfer, a process of its own."""
        self.processes.start(
            "transfer", ["ndi", "serve", "transfer", "--port", str(self.base_port + TRANSFER_OFFSET)], **self.shared(),
            NDI_BASE_URL=self.url(TRANSFER_OFFSET), NDI_PEERS_URL=self.url(),
        )  # fmt: skip

    def start_ehds(self) -> None:
        """Starts the services that answer across borders, in EHDS mode, on the same database."""
        self.processes.start(
            "ehds", ["ndi", "serve", *EHDS_SERVICES, "--port", str(self.base_port + EHDS_OFFSET)], **self.shared(),
            NDI_BASE_URL=self.url(EHDS_OFFSET), NDI_PEERS_URL=self.url(), NDI_DISCLOSURE_MODE="EHDS",
        )  # fmt: skip

    def start_region(self, actor: Actor) -> None:
        """Starts a source."""
        self.processes.start(
            actor.name,
            [MODULES[actor.protocol], "--name", actor.name, "--port", str(self.base_port + actor.port_offset),
             "--database-url", self.own_database(actor.name), "--ndi", self.url(), "--client-id", actor.client_id,
             "--key", str(self.key(actor.client_id)), "--staff", str(self.keys / "staff.json")],
        )  # fmt: skip

    def start_register(self) -> None:
        """Starts the quality register."""
        self.processes.start(
            "register",
            ["demo.register", "--port", str(self.base_port + REGISTER_PORT_OFFSET), "--database-url",
             self.own_database("register"), "--issuer", self.url(), "--jwks-url", self.url() + "/oauth2/jwks"],
        )  # fmt: skip

    def own_database(self, name: str) -> str:
        """Address of the database of a source or the register, in the same cluster."""
        return urlunsplit(urlsplit(self.database_url)._replace(path=f"/demo_{name}"))

    async def create_databases(self) -> None:
        """Makes the databases of the sources and the register, if they are not there."""
        connection = await asyncpg.connect(self.database_url)
        try:
            for name in (*(each.name for each in SOURCES), "register"):
                known = await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", f"demo_{name}")
                if not known:
                    await connection.execute(f"CREATE DATABASE demo_{name} ENCODING 'UTF8' TEMPLATE template0")
        finally:
            await connection.close()

    async def start(self, say: Say) -> None:
        """Everything up to the running network. Raises `ProcessError`."""
        say("starting the database")
        await asyncio.to_thread(self.database)
        say("starting the services, registering systems and people")
        self.start_main()
        await asyncio.gather(asyncio.to_thread(self.register_everybody), self.create_databases())
        for actor in SOURCES:
            self.start_region(actor)
        self.start_register()
        await self.processes.healthy("ndi", f"{self.url()}/oauth2/jwks")
        self.start_transfer()
        self.start_ehds()
        say("waiting for the regions and the register")
        await asyncio.gather(
            *(self.processes.healthy(each.name, f"{self.url(each.port_offset)}/health") for each in SOURCES),
            self.processes.healthy("register", f"{self.url(REGISTER_PORT_OFFSET)}/health"),
        )

    async def furnish(self, http: httpx2.AsyncClient, operator: SystemLogin) -> None:
        """As operator: loads the demo's small code systems and maps, and the organisations nobody else registers.

        Raises `SetUpError`.
        """
        for file in sorted(TERMINOLOGY.glob("*.json")):
            resource = json.loads(file.read_text())
            path = f"/terminology/fhir/{resource['resourceType']}/{resource['id']}"
            await self._put(http, operator, path, {}, resource)
        for hsa_id, name, kind in (
            (NOT_CONNECTED_HSA, NOT_CONNECTED_NAME, "care-provider"),
            (REGISTER_HSA, REGISTER_NAME, "register"),
        ):
            organisation = {
                "resourceType": "Organization",
                "identifier": [{"system": HSA_SYSTEM, "value": hsa_id}],
                "active": True,
                "type": [{"coding": [{"system": ORGANISATION_KINDS, "code": kind}]}],
                "name": name,
            }
            identifier = {"identifier": f"{HSA_SYSTEM}|{hsa_id}"}
            await self._put(http, operator, "/provider-catalog/fhir/Organization", identifier, organisation)

    async def _put(
        self, http: httpx2.AsyncClient, operator: SystemLogin, path: str, params: dict[str, str], body: dict[str, Any]
    ) -> None:
        headers = {**await operator.headers(), "Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
        answer = await http.put(self.url() + path, params=params, json=body, headers=headers)
        if not answer.is_success:
            raise SetUpError(f"PUT {path}: {answer.status_code} {answer.text[:300]}")
