# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""How the gateway asks a source: one protocol for FHIR, openEHR and RIV-TA servers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fhir_server.context import Context
from gateway.model.account import Loss
from gateway.model.record import Record
from gateway.model.translations import Translations, Wish
from identifiers.person_number import PersonIdentifier
from provider_catalog.client import ResolvedEndpoint

Mapping = Callable[[Translations], tuple[Record, ...]]


class SourceSilent(Exception):
    """Nobody answered: no connection, or nothing whole in time."""


class SourceFailed(Exception):
    """The answer is not its protocol, or refuses. The text never repeats content."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What a source said, mapped; and what it takes to map it again when codes have been translated."""

    records: tuple[Record, ...]
    wishes: frozenset[Wish]
    mapping: Mapping
    losses: tuple[Loss, ...] = ()

    @classmethod
    def of(cls, mapping: Mapping, losses: tuple[Loss, ...] = ()) -> "SourceAnswer":
        """Maps once, without knowing any translation. Raises what the mapping raises."""
        translations = Translations()
        records = mapping(translations)
        return cls(records, frozenset(translations.wishes), mapping, losses)


class Source(Protocol):
    """One kind of source."""

    async def fetch(
        self,
        context: Context,
        endpoint: ResolvedEndpoint,
        identifier: PersonIdentifier,
        resource_type: str,
        units: tuple[str, ...] = (),
    ) -> SourceAnswer:
        """What the source at `endpoint` holds about the person, of `units` where its protocol can say so.

        Raises `SourceSilent`, `SourceFailed`, `WrongPatient`, `Unmappable`. The caller sets the time limit.
        """
        ...
