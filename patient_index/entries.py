# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""From stored entries to the entries others see: names and endpoints come from the catalogue, never from the index."""

import asyncio
from collections.abc import Sequence

from fhir_server.context import Context
from patient_index.model import UNCLASSIFIED, StoredEntry, canonical_hsa, is_hsa_id
from patient_index.values import Coverage, Entry
from provider_catalog.client import CatalogClient, Organisation, Place, ResolvedEndpoint


async def named(context: Context, catalog: CatalogClient, stored: Sequence[StoredEntry]) -> list[Entry]:
    """Entries with the names of provider and unit."""
    names = await _names(context, catalog, stored)
    return [_entry(each, names, {}) for each in stored]


async def described(context: Context, catalog: CatalogClient, stored: Sequence[StoredEntry]) -> list[Entry]:
    """Entries with names and with the endpoint to fetch from, where the catalogue knows one."""
    names, endpoints = await asyncio.gather(_names(context, catalog, stored), _endpoints(context, catalog, stored))
    return [_entry(each, names, endpoints) for each in stored]


def bare(stored: StoredEntry) -> Entry:
    """The entry without names and endpoint, as the change feed tells it."""
    return _entry(stored, {}, {})


async def coverage(context: Context, catalog: CatalogClient) -> Coverage:
    """The state of the network: the same for every person, so that it tells nothing about this one."""
    providers = await catalog.providers(context)
    missing = tuple(each.name for each in providers if not each.connected)
    return Coverage(connected=len(providers) - len(missing), not_connected=len(missing), not_connected_names=missing)


async def _names(context: Context, catalog: CatalogClient, stored: Sequence[StoredEntry]) -> dict[str, Organisation]:
    holders = (hsa for each in stored for hsa in (each.registration.custodian, each.registration.unit))
    wanted = sorted({canonical_hsa(hsa) for hsa in holders if is_hsa_id(hsa)})
    return await catalog.organisations(context, wanted) if wanted else {}


async def _endpoints(
    context: Context, catalog: CatalogClient, stored: Sequence[StoredEntry]
) -> dict[Place, ResolvedEndpoint | None]:
    places = list(dict.fromkeys(_place(each) for each in stored if _has_place(each)))
    found = await catalog.resolve_many(context, places) if places else []
    return dict(zip(places, found, strict=True))


def _has_place(each: StoredEntry) -> bool:
    """The catalogue knows HSA-ids and agreed types only; the engagement index takes any text for both."""
    row = each.registration
    return is_hsa_id(row.unit) and is_hsa_id(row.source_system) and row.information_type != UNCLASSIFIED


def _place(each: StoredEntry) -> Place:
    row = each.registration
    return Place(canonical_hsa(row.unit), row.information_type, canonical_hsa(row.source_system))


def _entry(
    stored: StoredEntry, names: dict[str, Organisation], endpoints: dict[Place, ResolvedEndpoint | None]
) -> Entry:
    row = stored.registration
    custodian, unit = names.get(canonical_hsa(row.custodian)), names.get(canonical_hsa(row.unit))
    return Entry(
        id=stored.id,
        person=row.person,
        custodian=row.custodian,
        unit=row.unit,
        information_type=row.information_type,
        source_system=row.source_system,
        business_object=row.business_object,
        most_recent=row.most_recent,
        items=row.items,
        period_start=row.period_start,
        period_end=row.period_end,
        endpoint=endpoints.get(_place(stored)),
        custodian_name=None if custodian is None else custodian.name,
        unit_name=None if unit is None else unit.name,
    )
