# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""One question to one source, within its time, told as a status whatever happens."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import traceback

import structlog

from fhir_server.context import Context
from fhir_server.outcome import DeadlineExceeded
from gateway.model.record import Unmappable, WrongPatient
from gateway.settings import GatewaySettings
from gateway.sources import Source, SourceAnswer, SourceFailed, SourceSilent
from identifiers.person_number import PersonIdentifier
from patient_index.client import Entry
from provider_catalog.client import CatalogClient, Place, ResolvedEndpoint

log = structlog.get_logger("ndi.gateway")

_RESERVE = 0.25
"""Seconds kept of the total for translating and merging."""


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint and the index entries it is asked for."""

    endpoint: ResolvedEndpoint | None
    entries: tuple[Entry, ...]

    @property
    def units(self) -> tuple[str, ...]:
        """The care units asked for."""
        return tuple(dict.fromkeys(each.unit for each in self.entries))


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it."""

    target: Target
    status: str
    detail: str
    milliseconds: int
    answer: SourceAnswer | None = None


async def targets(context: Context, catalog: CatalogClient, entries: Sequence[Entry]) -> list[Target]:
    """The endpoints behind the entries; several units of one system are asked in one call."""
    grouped: dict[tuple[str, ...], tuple[ResolvedEndpoint | None, list[Entry]]] = {}
    places = list(dict.fromkeys(_place(entry) for entry in entries if entry.endpoint is None))
    resolved = dict(zip(places, await catalog.resolve_many(context, places) if places else (), strict=True))
    for entry in entries:
        endpoint = entry.endpoint or resolved[_place(entry)]
        key: tuple[str, ...] = (entry.unit, entry.source_system)
        if endpoint is not None:
            key = (endpoint.address, endpoint.connection_type, endpoint.logical_address)
        grouped.setdefault(key, (endpoint, []))[1].append(entry)
    return [Target(endpoint, tuple(members)) for endpoint, members in grouped.values()]


def _place(entry: Entry) -> Place:
    return Place(entry.unit, entry.information_type, entry.source_system)


async def ask_all(
    context: Context,
    sources: Mapping[str, Source],
    asked: Sequence[Target],
    identifier: PersonIdentifier,
    resource_type: str,
    settings: GatewaySettings,
    started: float,
) -> list[Reply]:
    """Asks all at once. `started`: when the read began, on the context's clock; the total runs from there."""
    left = min(started + settings.total_seconds - context.clock(), context.time_left())
    seconds = min(settings.source_seconds, max(left - _RESERVE, 0.05))
    asking = (_ask(context, sources, each, identifier, resource_type, seconds) for each in asked)
    return list(await asyncio.gather(*asking))


async def _ask(
    context: Context,
    sources: Mapping[str, Source],
    target: Target,
    identifier: PersonIdentifier,
    resource_type: str,
    seconds: float,
) -> Reply:
    started = context.clock()

    def reply(status: str, detail: str, answer: SourceAnswer | None = None) -> Reply:
        return Reply(target, status, detail, round((context.clock() - started) * 1000), answer)

    if target.endpoint is None:
        return reply("none", "has no endpoint in the catalogue")
    source = sources.get(target.endpoint.connection_type)
    if source is None:
        return reply("none", "has an endpoint of a kind that the gateway does not speak")
    within = replace(context, deadline=started + seconds)
    try:
        # One limit over the whole exchange: a source that drips bytes never meets a read timeout.
        async with asyncio.timeout(seconds):
            answer = await source.fetch(within, target.endpoint, identifier, resource_type, target.units)
    except (TimeoutError, DeadlineExceeded):
        return reply("silent", f"did not answer within {seconds:.1f} s")
    except SourceSilent as error:
        return reply("silent", str(error))
    except (SourceFailed, WrongPatient, Unmappable) as error:
        return reply("failed", str(error))
    except Exception as error:
        # A fault of ours in one source's mapping must not take the others' answers with it; the message may hold
        # personal data, so only its place is kept.
        where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:]]
        log.error("source", trace=context.trace_id, error=type(error).__name__, where=where)
        return reply("failed", "answered with something the gateway could not map")
    return reply("answered", "answered", answer)
