# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""$resolve: where to fetch an information type of a unit.

Ours; no specification. The rules are those of the Swedish service platform's routing as far as this slice needs
them: the unit's own endpoint, else that of its care provider (README.md).
"""

from dataclasses import dataclass
from typing import Any, Final

from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from identifiers import information_type
from identifiers.hsa_id import HsaId, InvalidHsaId, parse_hsa_id
from provider_catalog.model import Resolution, choose
from provider_catalog.store import CatalogStore

MAX_QUERIES: Final = 500


@dataclass(frozen=True, slots=True)
class Query:
    """One question: which unit, which information type, and of which system if that matters."""

    unit: str
    information_type: str
    source_system: str | None

    @classmethod
    def of(cls, unit: str, kind: str, source_system: str | None = None, *, path: str | None = None) -> "Query":
        """The question, checked. Raises `Invalid` for a wrong HSA-id or an unknown information type."""
        if information_type.by_code(kind) is None:
            raise Invalid(
                f"the information types are {', '.join(information_type.BY_CODE)}",
                expression=path,
                code="unknown-information-type",
            )
        return cls(hsa_id(unit, path), kind, None if source_system is None else hsa_id(source_system, path))


def hsa_id(text: str, path: str | None = None) -> HsaId:
    """The HSA-id that a caller sent. Raises `Invalid`."""
    try:
        return parse_hsa_id(text)
    except InvalidHsaId as error:
        raise Invalid(str(error), expression=path) from None


async def resolve(store: CatalogStore, context: Context, queries: list[Query]) -> list[Resolution]:
    """An answer for each question, in order, by one statement."""
    steps = await store.steps([(query.unit, query.information_type) for query in queries])
    return [
        choose(each, now=context.now, source_system=query.source_system)
        for query, each in zip(queries, steps, strict=True)
    ]


async def handle(store: CatalogStore, context: Context, request: Request) -> Answer:
    """Answer where to go, or why nowhere.

    in:  unit 1..1 string, informationType 1..1 code, sourceSystem 0..1 string; or query 1..500, each with these as
         parts
    out: endpoint 0..1 {address url, connectionType code, logicalAddress string, unit string, path 1..* string}, or
         reason 1..1 code (no-route | endpoint-suspended | ambiguous) and path; for a batch one `answer` per query
    Raises `Invalid` for a wrong HSA-id or an unknown information type.
    """
    body = request.parameters()
    batch = body.parts("query")
    if not batch:
        (resolution,) = await resolve(store, context, [_query(body, "Parameters")])
        return Answer(Parameters(_parts(resolution)).resource())
    if len(batch) > MAX_QUERIES:
        raise Invalid(f"a batch holds at most {MAX_QUERIES} queries", expression="Parameters.parameter")
    queries = [_query(each, f"Parameters.parameter[{index}]") for index, each in enumerate(batch)]
    answer = Parameters()
    for query, resolution in zip(queries, await resolve(store, context, queries), strict=True):
        asked = [
            {"name": "unit", "valueString": query.unit},
            {"name": "informationType", "valueCode": query.information_type},
        ]
        answer.add("answer", part=[*asked, *_parts(resolution)])
    return Answer(answer.resource())


def _query(body: Parameters, path: str) -> Query:
    kind, unit = body.required("informationType", str), body.required("unit", str)
    return Query.of(unit, kind, body.optional("sourceSystem", str), path=path)


def _parts(resolution: Resolution) -> list[dict[str, Any]]:
    path = [{"name": "path", "valueString": each} for each in resolution.path]
    endpoint = resolution.endpoint
    if endpoint is None:
        return [{"name": "reason", "valueCode": resolution.reason}, *path]
    parts = [
        {"name": "address", "valueUrl": endpoint.address},
        {"name": "connectionType", "valueCode": endpoint.connection_type},
        {"name": "logicalAddress", "valueString": endpoint.logical_address},
        {"name": "unit", "valueString": endpoint.unit},
        *path,
    ]
    return [{"name": "endpoint", "part": parts}]
