# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""AllergyIntolerance/_search: what the caller may read about a person, from every source.

https://hl7.org/fhir/R4/http.html#search. POST keeps the identifier out of the address; clients that only know GET are
served too: nothing of a query is logged, and no link repeats it.
"""

from typing import Final

from fhir_server.context import Answer, Context
from fhir_server.outcome import Invalid, NotSupported
from fhir_server.parameters import Parameters
from fhir_server.service import Request
from gateway.federate import Federation
from identifiers.person_number import InvalidPersonNumber, PersonIdentifier, parse

RESOURCE: Final = "AllergyIntolerance"
SCOPE: Final = (RESOURCE, "s")
_NAMES: Final = frozenset({"patient.identifier", "patient:identifier"})
_IGNORED: Final = frozenset({"_format", "_pretty", "_count"})


class Search:
    """The interaction with what it is built from."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation

    async def handle(self, context: Context, request: Request) -> Answer:
        """Answers a searchset Bundle with the parts of all sources.

        in:  patient.identifier 1..1 token system|value, in the form body or, less well, in the query
        out: matches, Provenance per source, OperationOutcome with each source's part and what was lost in mapping
        Raises `Invalid`, `NotSupported`; `Forbidden` with the law's reason; `BadGateway` if no source answered.
        """
        identifier = _identifier(request.search_parameters())
        fetched = await self._federation.search(context, identifier, RESOURCE)
        link = [{"relation": "self", "url": f"{request.base}/{RESOURCE}/_search"}]
        return Answer({**fetched.bundle, "link": link})


def _identifier(parameters: list[tuple[str, str]]) -> PersonIdentifier:
    values = [value for name, value in parameters if name in _NAMES]
    unknown = sorted({name[:64] for name, _ in parameters} - _NAMES - _IGNORED)
    if unknown:
        raise NotSupported(f"the only search parameter is patient.identifier, not {unknown[0]!r}")
    if len(values) != 1:
        raise Invalid("send exactly one patient.identifier=system|value", expression="patient.identifier")
    system, separator, value = values[0].partition("|")
    if not separator or not system:
        raise Invalid("patient.identifier is system|value", expression="patient.identifier")
    return checked(system, value, "patient.identifier")


def checked(system: str, value: str, expression: str) -> PersonIdentifier:
    """The identifier in canonical form. Raises `Invalid`; the text never repeats the value."""
    try:
        return parse(system, value)
    except InvalidPersonNumber as error:
        raise Invalid(f"identifier: {error}", expression=expression, code="invalid-person-number") from None


def person_in(asked: Parameters) -> PersonIdentifier:
    """The parameter `identifier`. Raises `Invalid`."""
    given = asked.required("identifier", dict)
    system, value = given.get("system"), given.get("value")
    if not isinstance(system, str) or not isinstance(value, str):
        raise Invalid("identifier needs system and value", expression="Parameters.parameter.valueIdentifier")
    return checked(system, value, "Parameters.parameter.valueIdentifier")
