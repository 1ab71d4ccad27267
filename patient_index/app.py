# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The routes of the index and what they are built from."""

from consent.client import ConsentClient
from fhir_server.context import Access
from fhir_server.crypto import Cipher
from fhir_server.service import Route, Service
from identifiers.person_key import PersonKeys
from patient_index import capability, changes, find_content_soap, holders, locate, register, search, soap, update_soap
from patient_index.engagement import EngagementIndexSettings
from patient_index.registrar import Registrar
from patient_index.store import AsyncEngine, IndexStore
from provider_catalog.client import CatalogClient


def create_service(
    *,
    engine: AsyncEngine,
    keys: PersonKeys,
    cipher: Cipher,
    consent: ConsentClient,
    catalog: CatalogClient,
    engagement_index: EngagementIndexSettings | None = None,
) -> Service:
    """The index as a service for the kernel to serve."""
    settings = engagement_index or EngagementIndexSettings()
    store = IndexStore(engine)
    registrar = Registrar(store, cipher)
    find = search.Search(store, keys, consent).handle
    return Service(
        name="patient_index",
        title=capability.TITLE,
        base="/patient-index",
        description=capability.DESCRIPTION,
        capability=capability.CAPABILITY,
        routes=(
            Route(
                "/fhir/Patient/$locate",
                locate.Locate(store, keys, consent, catalog).handle,
                Access.person_data,
                locate.SCOPE,
                summary="Which actors hold what about the person, as far as the caller may know",
            ),
            Route(
                "/fhir/Patient/$holders",
                holders.Holders(store, catalog).handle,
                Access.person_data,
                holders.SCOPE,
                summary="Everything that is held about the calling patient",
            ),
            Route(
                "/fhir/DocumentReference/$changes",
                changes.Feed(store, cipher).handle,
                Access.person_data,
                changes.SCOPE,
                roles=changes.ROLES,
                summary="What changed since a cursor",
            ),
            Route(
                "/fhir/DocumentReference",
                register.Register(registrar, keys).handle,
                Access.source_system,
                register.SCOPE,
                methods=("PUT",),
                summary="Register, change or withdraw an entry (conditional update)",
            ),
            Route("/fhir/DocumentReference/_search", find, Access.person_data, search.SCOPE, summary="Find entries"),
            Route(
                "/fhir/DocumentReference",
                find,
                Access.person_data,
                search.SCOPE,
                methods=("GET",),
                summary="Find entries; prefer POST _search, which keeps the person out of the address",
            ),
            Route(
                "/soap/Update",
                update_soap.Update(registrar, keys, settings).handle,
                Access.source_system,
                update_soap.SCOPE,
                max_body=update_soap.MAX_BODY,
                errors=soap.fault,
                summary="Engagement index: register and withdraw engagements",
            ),
            Route(
                "/soap/FindContent",
                find_content_soap.FindContent(store, keys, consent, settings).handle,
                Access.person_data,
                find_content_soap.SCOPE,
                errors=soap.fault,
                summary="Engagement index: find engagements",
            ),
        ),
    )
