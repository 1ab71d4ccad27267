# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The consent service: which routes and resource types it serves."""

from functools import partial

from consent import changes, decide, state_care_relation
from consent.capability import INTERACTIONS, SEARCH
from consent.client import DisclosureMode
from consent.consents import OwnConsents, Preparation
from consent.decide import Decider
from consent.model.resource import person_of
from consent.store import AsyncEngine, ConsentStore, write_consent
from fhir_server.context import Access
from fhir_server.service import ResourceType, Route, Service
from identifiers.person_key import PersonKeys
from provider_catalog.client import CatalogClient


def create_service(
    *, engine: AsyncEngine, keys: PersonKeys, catalog: CatalogClient, mode: DisclosureMode = DisclosureMode.SE
) -> Service:
    """The service on a migrated database. `mode`: what may be told of blocked data, set by the deployment."""
    store = ConsentStore(engine)
    return Service(
        name="consent",
        title="Consent",
        base="/consent",
        description="Consents, blocks and opposition to registers; the access decision with its reason in law.",
        routes=(
            Route(
                "/fhir/Consent/$decide",
                partial(decide.handle, Decider(store, mode), keys),
                Access.person_data,
                ("Consent", "s"),
                summary="May the caller do this, and what may be told",
            ),
            Route(
                "/fhir/Consent/$changes",
                partial(changes.handle, store),
                Access.person_data,
                ("Consent", "s"),
                roles=changes.ROLES,
                summary="Changes of consents, blocks and opt-outs",
            ),
            Route(
                "/fhir/Patient/$state-care-relation",
                partial(state_care_relation.handle, store, keys),
                Access.person_data,
                ("Patient", "u"),
                summary="Staff state a current care relation",
            ),
        ),
        resources=(
            ResourceType(
                name="Consent",
                access=Access.person_data,
                interactions=INTERACTIONS,
                search=SEARCH,
                guard=OwnConsents(),
                prepare=Preparation(keys, catalog),
                within=write_consent,
                person=person_of,
            ),
        ),
    )
