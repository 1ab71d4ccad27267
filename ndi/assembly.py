# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Builds the services from the settings: the only place that knows them all.

A service that this process serves is called in process by the others; one that another process serves is called
over HTTP at `peers_url`. Both ways stand behind the same `Protocol`, held by one contract test in each service.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
import typer

from audit.app import create_service as create_audit
from audit.client import APPEND_FUNCTION, AuditClient, HttpAudit
from audit.local import AuditBatcher, LocalAudit
from consent.app import create_service as create_consent
from consent.client import ConsentClient, DisclosureMode, HttpConsent
from consent.local import LocalConsent
from fhir_server.app import KernelSettings, background, create_app, routes_of
from fhir_server.context import Authenticator
from fhir_server.openapi import describe
from fhir_server.service import Service
from fhir_server.storage.database import create_engine
from gateway.app import create_service as create_gateway
from gateway.client import GatewayClient, HttpGateway
from gateway.local import LocalGateway
from gateway.settings import GatewaySettings
from ndi.keys import KeyFolder
from ndi.migrate import SERVICES
from ndi.processes.house import House, Part, running
from ndi.search_terminology import SearchTerminology
from ndi.settings import Settings
from patient_index.app import create_service as create_index
from patient_index.client import HttpIndex, IndexClient
from patient_index.engagement import EngagementIndexSettings
from patient_index.local import LocalIndex
from portal.app import create_app as create_portal
from portal.desk import Services as PortalServices
from portal.login import LoginSettings
from provider_catalog.app import create_service as create_catalog
from provider_catalog.client import CatalogClient, HttpCatalog
from provider_catalog.local import LocalCatalog
from security.app import SecuritySettings, discovery, root_routes
from security.app import create_service as create_security
from security.client import HttpTokenSource
from security.local import ClientStanding, TokenAuthenticator, database_keys, http_keys
from terminology.app import create_service as create_terminology
from terminology.client import HttpTerminology, TerminologyClient
from terminology.local import LocalTerminology
from transfer.app import create_service as create_transfer
from transfer.client import HttpTransfer, TransferClient
from transfer.local import LocalTransfer
from transfer.worker import Worker

_COMMANDS = {
    "security": "security.cli",
    "index": "patient_index.cli",
    "catalog": "provider_catalog.cli",
    "consent": "consent.cli",
    "terminology": "terminology.cli",
    "gateway": "gateway.cli",
    "transfer": "transfer.cli",
    "audit": "audit.cli",
}
_BASES = {
    "security": "/oauth2",
    "audit": "/audit",
    "patient_index": "/patient-index",
    "provider_catalog": "/provider-catalog",
    "consent": "/consent",
    "terminology": "/terminology",
    "gateway": "/gateway",
    "transfer": "/transfer",
}


@dataclass(frozen=True, slots=True)
class Clients:
    """How services reach each other from this process."""

    index: IndexClient
    catalog: CatalogClient
    consent: ConsentClient
    terminology: TerminologyClient
    gateway: GatewayClient
    transfer: TransferClient
    audit: AuditClient


def build(settings: Settings, services: Sequence[str] | None) -> House:
    """The services named (all if None) as one application, on the database the settings name.

    Raises `KeysError` when a key is missing, `ValueError` for a service that does not exist.
    """
    return _Builder(settings, services or SERVICES).house()


def command_groups() -> dict[str, typer.Typer]:
    """The command group of each service that has one, by the name it has on the command line."""
    return {name: import_module(module).app for name, module in _COMMANDS.items() if find_spec(module) is not None}


def openapi() -> dict[str, dict[str, Any]]:
    """The OpenAPI description of every service, by its name."""
    with TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), database_url=SecretStr("postgresql://nobody@localhost/none"))
        KeyFolder(settings.keys_folder).prepare()
        builder = _Builder(settings, SERVICES)
        return {
            service.name: describe(service, routes_of(service, builder.engine, builder.kernel), version("ndi"))
            for service in builder.services()
        }


def loadable(settings: Settings, name: str) -> tuple[Service, AsyncEngine]:
    """A service with its hooks, and the engine they use, for what is loaded without the service being served.

    Raises `ValueError` for a service that does not exist or keeps no resources of the kernel.
    """
    builder = _Builder(settings, SERVICES)
    found = {each.name: each for each in builder.services() if each.resources}
    if name not in found:
        raise ValueError(f"{name} keeps no resources to load: choose among {', '.join(sorted(found))}")
    return found[name], builder.engine


class _Builder:
    """Makes each thing once, in the order in which they need each other."""

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        if settings.database_url is None:
            raise ValueError("the settings name no database")
        unknown = sorted(set(names) - set(SERVICES))
        if unknown:
            raise ValueError(f"there is no service {unknown[0]}")
        self.settings, self.names = settings, frozenset(names)
        self.url = settings.database_url.get_secret_value()
        self.engine: AsyncEngine = create_engine(
            self.url, size=settings.database_connections, query_seconds=settings.query_seconds
        )
        folder = KeyFolder(settings.keys_folder)
        self.folder, self.keys, self.cipher = folder, folder.person_keys(), folder.cipher()
        self.http = httpx2.AsyncClient(timeout=30, trust_env=False, follow_redirects=False)
        self.sink = AuditBatcher(self.url)
        self.security = SecuritySettings(
            issuer=settings.authority, test_idp=settings.security_test_idp, token_seconds=settings.token_lifetime
        )
        self.kernel = KernelSettings(
            max_body=settings.max_body,
            max_depth=settings.max_depth,
            compress_from=settings.compress_from,
            max_entries=settings.max_entries,
            search=settings.search_limits,
            deadline=settings.deadline,
            cursor_secret=folder.cursor_secret(),
            audit_function=APPEND_FUNCTION,
            bulk=settings.bulk,
            subscriptions=settings.subscriptions(self.cipher),
            standing=ClientStanding(self.engine) if "security" in self.names else None,
            packages=settings.packages_folder,
        )
        verification = (
            database_keys(self.engine) if "security" in self.names else http_keys(self.security.jwks_uri, self.http)
        )
        self.authenticator: Authenticator = TokenAuthenticator(
            verification, issuer=self.security.issuer, audience=self.security.audience
        )
        self.gateway_settings = GatewaySettings(
            source_seconds=settings.gateway_source_seconds, total_seconds=settings.gateway_total_seconds
        )
        self.engagement_index = EngagementIndexSettings(
            owner=settings.engagement_index_owner,
            alternative_owners=settings.engagement_index_alternative_owners,
            platform_addresses=settings.engagement_index_platform_addresses,
        )
        self.clients = self._clients()
        self.terminology = SearchTerminology(self.clients.terminology)

    def house(self) -> House:
        """Everything as one ASGI application."""
        made = {
            service.base: create_app(
                service,
                engine=self.engine,
                authenticator=self.authenticator,
                audit=self.sink,
                settings=self.kernel,
                terminology=self.terminology,
            )
            for service in self.services()
        }
        work = {base: background(app) for base, app in made.items()}
        workers = [running(f"jobs of {base}", each) for base, each in work.items() if each is not None]
        apps: dict[str, Any] = dict(made)
        return House(self.engine, apps, self._root(apps), [*self._parts(), *workers])

    def services(self) -> list[Service]:
        """The kernel services this process serves."""
        engine, keys, cipher, clients = self.engine, self.keys, self.cipher, self.clients
        makers: dict[str, Callable[[], Service]] = {
            "security": lambda: create_security(engine=engine, cipher=cipher, settings=self.security),
            "audit": lambda: create_audit(engine=engine),
            "patient_index": lambda: create_index(
                engine=engine,
                keys=keys,
                cipher=cipher,
                consent=clients.consent,
                catalog=clients.catalog,
                engagement_index=self.engagement_index,
            ),
            "provider_catalog": lambda: create_catalog(engine=engine),
            "consent": lambda: create_consent(engine=engine, keys=keys, catalog=clients.catalog, mode=self._mode),
            "terminology": lambda: create_terminology(engine=engine),
            "gateway": lambda: create_gateway(
                engine=engine,
                keys=keys,
                index=clients.index,
                catalog=clients.catalog,
                consent=clients.consent,
                terminology=clients.terminology,
                http=self.http,
                settings=self.gateway_settings,
            ),
            "transfer": lambda: create_transfer(engine=engine),
        }
        smart = discovery(self.security)
        made = [make() for name, make in makers.items() if name in self.names]
        return [replace(service, routes=(smart, *service.routes)) for service in made]

    def _clients(self) -> Clients:
        engine, keys, cipher, http, here = self.engine, self.keys, self.cipher, self.http, self.names
        catalog: CatalogClient = (
            LocalCatalog(engine) if "provider_catalog" in here else HttpCatalog(http, self._at("provider_catalog"))
        )
        terminology: TerminologyClient = (
            LocalTerminology(engine) if "terminology" in here else HttpTerminology(http, self._at("terminology"))
        )
        consent: ConsentClient = (
            LocalConsent(engine, keys=keys, catalog=catalog, mode=self._mode, settings=self.kernel)
            if "consent" in here
            else HttpConsent(http, self._at("consent"))
        )
        index: IndexClient = (
            LocalIndex(engine=engine, keys=keys, cipher=cipher, consent=consent, catalog=catalog)
            if "patient_index" in here
            else HttpIndex(http, self._at("patient_index"))
        )
        gateway: GatewayClient = (
            LocalGateway(
                engine=engine,
                keys=keys,
                index=index,
                catalog=catalog,
                consent=consent,
                terminology=terminology,
                http=http,
                settings=self.gateway_settings,
            )
            if "gateway" in here
            else HttpGateway(http, self._at("gateway"))
        )
        transfer: TransferClient = (
            LocalTransfer(engine) if "transfer" in here else HttpTransfer(http, self._at("transfer"))
        )
        audit: AuditClient = LocalAudit(engine, self.sink) if "audit" in here else HttpAudit(http, self._at("audit"))
        return Clients(index, catalog, consent, terminology, gateway, transfer, audit)

    def _at(self, name: str) -> str:
        """The FHIR base of a service that another process serves."""
        return f"{self.settings.service_url(name)}{_BASES[name]}/fhir"

    def _root(self, apps: dict[str, Any]) -> Any:
        """What stands at the root: the portal, and the addresses that specifications place there."""
        if "security" in self.names:
            routes = root_routes(
                engine=self.engine, cipher=self.cipher, settings=self.security, audit=self.sink, kernel=self.kernel
            )
            well_known = Starlette(routes=routes)
            apps["/.well-known"] = apps["/idp"] = well_known
        if "portal" not in self.names:
            return None
        return create_portal(
            engine=self.engine,
            cipher=self.cipher,
            keys=self.keys,
            services=PortalServices(
                self.clients.index,
                self.clients.catalog,
                self.clients.consent,
                self.clients.audit,
                self.clients.transfer,
                self.clients.gateway,
            ),
            authenticator=self.authenticator,
            audit=self.sink,
            login=LoginSettings(
                authorize_url=self.security.authorization_endpoint,
                token_url=self.security.token_endpoint,
                redirect_uri=f"{self.settings.address}/callback",
                client_id="ndi-portal",
                key=self.folder.client_key("ndi-portal"),
            ),
            http=self.http,
            secure_cookies=self.settings.address.startswith("https://"),
        )

    def _parts(self) -> list[Part]:
        parts = [Part("http", None, self.http.aclose), Part("audit", self.sink.start, self.sink.close)]
        if "transfer" in self.names:
            tokens = HttpTokenSource(
                self.security.token_endpoint, "ndi-transfer", self.folder.client_key("ndi-transfer"), self.http
            )
            worker = Worker(
                engine=self.engine,
                cipher=self.cipher,
                index=self.clients.index,
                gateway=self.clients.gateway,
                consent=self.clients.consent,
                tokens=tokens,
                http=self.http,
                audit=self.sink,
            )
            parts.append(running("transfer", worker.run))
        return parts

    @property
    def _mode(self) -> DisclosureMode:
        return DisclosureMode(self.settings.disclosure_mode)
