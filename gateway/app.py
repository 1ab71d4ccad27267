# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The gateway: which routes it serves and what they are built from."""

import httpx2

from consent.client import ConsentClient
from fhir_server.context import Access
from fhir_server.service import Route, Service
from gateway import fetch_from, search
from gateway.capability import CAPABILITY
from gateway.contracts import Contracts
from gateway.create import SCOPE as CREATE
from gateway.create import Create
from gateway.federate import Federation
from gateway.fetch_from import ForRegister
from gateway.search import Search
from gateway.settings import GatewaySettings
from gateway.sources import Source
from gateway.sources.fhir import FhirSource
from gateway.sources.http import SourceHttp
from gateway.sources.openehr import OpenEhrSource
from gateway.sources.rivta import RivtaSource
from gateway.store import ArtifactStore, AsyncEngine
from identifiers.person_key import PersonKeys
from patient_index.client import IndexClient
from provider_catalog.client import CatalogClient
from terminology.client import TerminologyClient


def create_service(
    *,
    engine: AsyncEngine | None,
    keys: PersonKeys,
    index: IndexClient,
    catalog: CatalogClient,
    consent: ConsentClient,
    terminology: TerminologyClient,
    http: httpx2.AsyncClient,
    settings: GatewaySettings,
) -> Service:
    """The service. It keeps no records; the database holds what operators load (`ndi gateway schemas`)."""
    federation = create_federation(
        engine=engine,
        keys=keys,
        index=index,
        catalog=catalog,
        consent=consent,
        terminology=terminology,
        http=http,
        settings=settings,
    )
    searching, register = Search(federation), ForRegister(federation)
    creating = Create(
        keys=keys,
        catalog=catalog,
        consent=consent,
        http=SourceHttp(http, max_bytes=settings.max_answer_bytes),
        settings=settings,
    )
    root = f"/fhir/{search.RESOURCE}"
    return Service(
        name="gateway",
        title="Gateway",
        base="/gateway",
        description="One FHIR view over FHIR, openEHR and RIV-TA sources.",
        routes=(
            Route(
                f"{root}/_search",
                searching.handle,
                Access.person_data,
                search.SCOPE,
                summary="What you may read about a person, merged over all sources",
            ),
            Route(
                root,
                searching.handle,
                Access.person_data,
                search.SCOPE,
                methods=("GET",),
                summary="The same by GET; prefer POST _search, which keeps the person out of the address",
            ),
            Route(
                root,
                creating.handle,
                Access.person_data,
                CREATE,
                summary="Document at your own unit",
            ),
            Route(
                f"{root}/$for-register",
                register.handle,
                Access.person_data,
                search.SCOPE,
                roles=fetch_from.ROLES,
                summary="One unit's records for a quality register",
            ),
        ),
        capability=CAPABILITY,
    )


def create_federation(
    *,
    engine: AsyncEngine | None,
    keys: PersonKeys,
    index: IndexClient,
    catalog: CatalogClient,
    consent: ConsentClient,
    terminology: TerminologyClient,
    http: httpx2.AsyncClient,
    settings: GatewaySettings,
) -> Federation:
    """Reads over the three kinds of source."""
    calls = SourceHttp(http, max_bytes=settings.max_answer_bytes)
    sources: dict[str, Source] = {
        "fhir-rest": FhirSource(calls),
        "openehr-rest": OpenEhrSource(calls),
        "rivta-soap": RivtaSource(calls, Contracts(ArtifactStore(engine) if engine else None)),
    }
    return Federation(
        keys=keys,
        index=index,
        catalog=catalog,
        consent=consent,
        terminology=terminology,
        sources=sources,
        settings=settings,
    )
