# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What the CapabilityStatement claims of the resource types of health-data exchange, each claim tried on the server.

https://hl7.org/fhir/R4/capabilitystatement.html. Modifiers and prefixes stand in `rest.documentation`: R4 has no
element for them. What a statement must claim at least is written here, so that a claim that goes is missed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import re
from typing import Any

from tools.conformance.engine import common, parameters
from tools.conformance.interactions import faults_of, results
from tools.conformance.probes import Codes, by_modifier, by_prefix, hierarchies, store_codes
from tools.conformance.report import Area, Row
from tools.conformance.search import REFUSED, Expected, expected
from tools.conformance.server import Server

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
MODIFIERS: Mapping[str, frozenset[str]] = {
    "token": frozenset({"missing", "text", "not", "in", "not-in", "above", "below", "of-type"}),
    "string": frozenset({"missing", "exact", "contains"}),
    "reference": frozenset({"missing", "[type]", "identifier", "above", "below"}),
    "uri": frozenset({"missing", "above", "below"}),
    **dict.fromkeys(("date", "number", "quantity", "composite", "special"), frozenset({"missing"})),
}
"""https://hl7.org/fhir/R4/search.html#modifiers, by type of parameter."""
_RANGED = ("date", "number", "quantity")


@dataclass(slots=True)
class Count:
    """How many of the claims hold, by what they are about."""

    held: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, what: str, fault: str | None) -> None:
        """`fault` None: it holds."""
        self.tried[what] += 1
        self.held[what] += fault is None
        if fault is not None:
            self.failures.append(fault)


async def run(server: Server, kinds: Sequence[str] | None = None) -> Area:
    """`kinds`: some of the resource types, all common ones if None. The server must hold the examples."""
    chosen = tuple(kinds or common())
    statement = (await server.get("metadata")).json()["rest"][0]
    stated = {each["type"]: each for each in statement["resource"]}
    modifiers, prefixes = claims(statement["documentation"])
    count = Count()
    for kind in chosen:
        for fault in await faults_of(server, kind, stated.get(kind, {})):
            count.add(f"interactions of {len(chosen)} resource types, claimed and working", fault)
    for what, fault in await results(server):
        count.add(what, fault)
    for kind, wanted in MODIFIERS.items():
        lacking = wanted - modifiers.get(kind, frozenset())
        count.add("types of parameter whose modifiers are all claimed", f"{kind}: {lacking}" if lacking else None)
    count.add("prefixes are all claimed", None if set(prefixes) >= set(PREFIXES) else f"only {prefixes}")
    asked = [(each, others) for each, others in _expected() if each.parameter.resource in chosen]
    codes = await store_codes(server, [each for each, _ in asked])
    hierarchic = {kind for kind, each in stated.items() if "partof" in _claimed(each)}
    for each, others in asked:
        await _parameter(server, each, others, stated, modifiers, prefixes, hierarchic, codes, count)
    listed = sorted(count.tried, key=lambda what: next((n for n, of in enumerate(MODIFIERS) if of in what.split()), -1))
    rows = tuple(Row(what, count.held[what], count.tried[what]) for what in listed)
    left = (
        *(f"`{code}`, a parameter of every type, is refused by name: {why}." for code, why in REFUSED.items()),
        "`_filter`, `_contained` and `_containedType` are refused by name: R4 leaves them to the server.",
        "Of these types none has a parameter of type number; numbers are held on the others, under Search.",
        "`_include=*` and `_revinclude=*` are refused: the parameters have to be named.",
    )
    return Area("Capabilities", rows, tuple(count.failures), left)


async def _parameter(
    server: Server, each: Expected, others: frozenset[str], stated: Mapping[str, Any],
    modifiers: Mapping[str, frozenset[str]], prefixes: Sequence[str], hierarchic: set[str], codes: Codes,
    count: Count,
) -> None:  # fmt: skip
    kind, code, of = each.parameter.resource, each.parameter.code, each.parameter.type
    claimed = _claimed(stated[kind])
    count.add(f"parameters of type {of} claimed", None if claimed.get(code) == of else f"{kind}?{code} is not claimed")
    if code.startswith("_") and code not in ("_tag", "_profile", "_security", "_source"):
        return
    own = modifiers.get(of, frozenset())
    simple = sorted(own - {"above", "below"} if of == "reference" else own)
    for what, probe in by_modifier(each, others, simple, codes):
        count.add(f"{of} with {what}", await probe.fault(server, kind))
    if of == "reference" and {"above", "below"} <= own:
        for what, probe in hierarchies(each, hierarchic):
            count.add(f"{of} with {what}", await probe.fault(server, kind))
    if of in _RANGED:
        for prefix, probe in by_prefix(each, prefixes):
            count.add(f"{of} with prefix {prefix}", await probe.fault(server, kind))


def claims(documentation: str) -> tuple[dict[str, frozenset[str]], list[str]]:
    """Modifiers by type of parameter, and prefixes, from the text of the statement."""
    told = re.search(r"by type: (.*?)\. ", documentation)
    listed = re.search(r"Prefixes of date, number and quantity: ([a-z ]+)", documentation)
    modifiers: dict[str, frozenset[str]] = {}
    for part in told[1].split("; ") if told else ():
        kind, *names = part.split()
        modifiers[kind] = frozenset(name.removeprefix(":") for name in names)
    return modifiers, listed[1].split() if listed else []


def _claimed(resource: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["type"] for each in resource.get("searchParam", ())}


def _expected() -> list[tuple[Expected, frozenset[str]]]:
    """For types without examples too: there a search can only be taken."""
    found = list(expected())
    known = {(each.parameter.resource, each.parameter.code) for each, _ in found}
    for kind in common():
        found += [(Expected(each), frozenset[str]()) for each in parameters()[kind] if (kind, each.code) not in known]
    return found
