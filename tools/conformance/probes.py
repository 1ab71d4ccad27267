# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Searches that show a modifier or a prefix of one parameter at work on the examples.

Where no example has a value for it, all that can be asked is whether the search is taken.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
import json
import re
from typing import Any, Literal

from tools.conformance.asked import Asked, escaped
from tools.conformance.search import Expected
from tools.conformance.server import Server

OWN = "conformance-"
"""Begins the ids of what the probes store: not counted among what is found."""
_VALUE_SET = "http://example.org/conformance/ValueSet"
_ROOT = "conformance-root"
_PLAIN: Mapping[str, str] = {
    "token": "x", "string": "x", "reference": "x", "uri": "http://x", "date": "2020-01-01", "number": "1",
    "quantity": "1", "special": "1|1",
}  # fmt: skip
_YEARS = ("1000-01-01", "3000-01-01")


@dataclass(frozen=True, slots=True)
class Probe:
    """A search, and what of the examples it must find: at least these, exactly these, none of these."""

    name: str
    value: str
    how: Literal["least", "exactly", "none", "taken"] = "taken"
    ids: frozenset[str] = frozenset()

    async def fault(self, server: Server, kind: str) -> str | None:
        """What is otherwise; None if nothing is."""
        got = await server.ids(kind, [(self.name, self.value)])
        if isinstance(got, str):
            return f"{kind}?{self.name}={self.value}: {got}"
        got = frozenset(each for each in got if not each.startswith(OWN))
        holds = {
            "least": got >= self.ids, "exactly": got == self.ids, "none": not got & self.ids, "taken": True,
        }[self.how]  # fmt: skip
        return None if holds else f"{kind}?{self.name}={self.value}: not {self.how} {', '.join(sorted(self.ids)[:4])}"


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of the ValueSet that `store_codes` stored, by system."""

    systems: Mapping[str, frozenset[str]]

    def holds(self, query: Asked, system: str | None = None) -> bool:
        """Whether a search is for one of them, of any system if None."""
        of, bar, code = query.value.partition("|")
        return bool(bar) and system in (None, of) and code in self.systems.get(of, ())

    def having(self, each: Expected, system: str | None = None) -> frozenset[str]:
        """The examples with one of them."""
        return frozenset[str]().union(*(ids for query, ids in each.searches.items() if self.holds(query, system)))


def by_modifier(
    each: Expected, others: frozenset[str], modifiers: Iterable[str], codes: Codes
) -> Iterator[tuple[str, Probe]]:
    """A probe for each modifier claimed of the parameter's type."""
    for modifier in modifiers:
        name = f"{each.parameter.code}:{modifier}"
        if modifier == "missing":
            yield ":missing", Probe(name, "false", "exactly", each.having)
        elif each.parameter.type == "token":
            yield f":{modifier}", _token(each, name, modifier, each.having | others, codes)
        else:
            yield f":{modifier}", _other(each, name, modifier)


def _token(each: Expected, name: str, modifier: str, everything: frozenset[str], codes: Codes) -> Probe:
    coded = next((found for found in each.searches.items() if codes.holds(found[0])), None)
    exact = next((found for found in each.searches.items() if found[0].exact), None)
    text = next((found for found in each.searches.items() if found[0].name == name), None)
    match modifier:
        case "not" if exact is not None:
            return Probe(name, exact[0].value, "exactly", everything - exact[1])
        case "not":
            return Probe(name, "no-such-code", "exactly", everything)
        case "text" if text is not None:
            return Probe(name, text[0].value, "least", text[1])
        case "in":
            return Probe(name, _VALUE_SET, "exactly", codes.having(each))
        case "not-in":
            return Probe(name, _VALUE_SET, "exactly", everything - codes.having(each))
        case "below" if coded is not None:
            system = coded[0].value.partition("|")[0]
            return Probe(name, f"{system}|{_ROOT}", "exactly", codes.having(each, system))
        case "above" if coded is not None:
            return Probe(name, coded[0].value, "exactly", coded[1])
        case "above" | "below":
            return Probe(name, f"{_VALUE_SET}|{_ROOT}")
        case "of-type":
            return Probe(name, "http://x|MR|1")
        case _:
            return Probe(name, "x")


def _other(each: Expected, name: str, modifier: str) -> Probe:
    query, ids = next(iter(each.searches.items()), (None, frozenset[str]()))
    match each.parameter.type, modifier:
        case "string", "contains" if query is not None:
            return Probe(name, escaped(re.sub(r"\\(.)", r"\1", query.value)[1:]) or query.value, "least", ids)
        case "string", "exact" if query is not None:
            return Probe(name, query.value)
        case "reference", "[type]":
            return _typed(each)
        case "reference", "identifier":
            found = next((some for some in each.searches.items() if some[0].name == name), None)
            return Probe(name, "http://x|1") if found is None else Probe(name, found[0].value, "exactly", found[1])
        case "uri", "above" if query is not None:
            return Probe(name, f"{query.value}/below", "least", ids)
        case "uri", "below" if query is not None:
            return Probe(name, query.value.rpartition("/")[0] or query.value, "least", ids)
        case _:
            return Probe(name, _PLAIN[each.parameter.type])


def _typed(each: Expected) -> Probe:
    code = each.parameter.code
    for query, ids in each.searches.items():
        kind, slash, identity = query.value.partition("/")
        if query.name == code and slash and kind in each.parameter.target and "/" not in identity:
            return Probe(f"{code}:{kind}", identity, "least", ids)
    return Probe(f"{code}:{each.parameter.target[0] if each.parameter.target else 'Patient'}", "x")


def hierarchies(each: Expected, served: Iterable[str]) -> Iterator[tuple[str, Probe]]:
    """:above and :below of references to types that form a hierarchy."""
    code = each.parameter.code
    for kind in sorted(set(served) & set(each.parameter.target)):
        known = ((query, ids) for query, ids in each.searches.items() if query.value.startswith(f"{kind}/"))
        query, ids = next(known, (Asked(code, f"{kind}/x"), frozenset[str]()))
        for modifier in ("above", "below"):
            yield f":{modifier}", Probe(f"{code}:{modifier}", query.value, "least", ids)


def by_prefix(each: Expected, prefixes: Iterable[str]) -> Iterator[tuple[str, Probe]]:
    """A probe for each prefix claimed: of a value that an example has, or of one far below or above it."""
    plain = [(query, ids) for query, ids in each.searches.items() if query.value[:1].isdigit()]
    query, ids = plain[0] if plain else (None, frozenset[str]())
    name, kind = each.parameter.code, each.parameter.type
    for prefix in prefixes:
        if query is None:
            yield prefix, Probe(name, prefix + _PLAIN[kind])
            continue
        low, high = _YEARS if kind == "date" else ("-1e9", "1e9")
        unit = query.value[len(query.value.partition("|")[0]) :]
        match prefix:
            case "eq" | "ge" | "le" | "ap":
                yield prefix, Probe(name, prefix + query.value, "least", ids)
            case "ne":
                yield prefix, Probe(name, f"ne{low}{unit}", "least", ids)
            case "gt" | "sa":
                yield prefix, Probe(name, f"{prefix}{low}{unit}", "least", ids)
                yield prefix, Probe(name, f"{prefix}{high}{unit}", "none", ids)
            case _:
                yield prefix, Probe(name, f"{prefix}{high}{unit}", "least", ids)
                yield prefix, Probe(name, f"{prefix}{low}{unit}", "none", ids)


async def store_codes(server: Server, found: Iterable[Expected]) -> Codes:
    """A ValueSet of some codes of each token, and each of their systems with these below one root."""
    systems: dict[str, dict[str, None]] = {}
    for each in found:
        for code in _coded(each):
            system, _, plain = code.partition("|")
            systems.setdefault(system, {})[plain] = None
    include = [{"system": system, "concept": [{"code": each} for each in codes]} for system, codes in systems.items()]
    value_set = {
        "resourceType": "ValueSet", "id": f"{OWN}codes", "url": _VALUE_SET, "status": "active",
        "compose": {"include": include},
    }  # fmt: skip
    await _put(server, value_set)
    for number, (system, codes) in enumerate([*systems.items(), (_VALUE_SET, {"other": None})]):
        code_system = {
            "resourceType": "CodeSystem", "id": f"{OWN}{number}", "url": system, "status": "active",
            "content": "fragment", "concept": [{"code": _ROOT, "concept": [{"code": each} for each in codes]}],
        }  # fmt: skip
        await _put(server, code_system)
    return Codes({system: frozenset(codes) for system, codes in systems.items()})


async def _put(server: Server, resource: dict[str, Any]) -> None:
    body = json.dumps(resource).encode()
    answer = await server.put(resource["resourceType"], resource["id"], body, checked=False)
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"what the probes need is not stored: {answer.text}")


def _coded(each: Expected) -> Iterator[str]:
    """Up to five values of a token that have a system; escapes are left to values without any."""
    if each.parameter.type != "token":
        return iter(())
    values = (query.value for query in each.searches if query.exact)
    return islice((value for value in values if re.fullmatch(r"[^\\|\s]+\|[^\\|\s]+", value)), 5)
