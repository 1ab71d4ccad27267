# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""What is sent to the kernel: sound resources and what is left of them after some changes, and values meant to hurt."""

from copy import deepcopy
from typing import Any, cast
from urllib.parse import quote, quote_from_bytes

from hypothesis import strategies as st

INJECTIONS = (
    "'", "';DROP TABLE sandbox.resource;--", "' OR '1'='1", "\\", "%", "_", "$1", ":name", "{0}", "{{7*7}}",
    "${jndi:x}", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\uffff", "\U0010ffff", "\u202eabc", "ﷺ", "İ", "ß",
    "../../etc/passwd", "<script>alert(1)</script>", "\r\nX-Injected: 1", "|", "||", "a|b|c|d", ",", "\\,", "$",
    "a$b$c$d", "(", "[", "*", "**", "(a+)+$", "x" * 3000, "å" * 400, " ", "\t", "null", "true", "[]", "{}", "-",
    "--", "-0", "%00", "%", "%zz", "%c3%28",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "1e400", "1e-400", "9" * 400, "0." + "0" * 300 + "1", "NaN", "Infinity", "-Infinity", "1e99",
    "gt1e99", "0x10", "١٢", "1_000", "1,2", "+1", "ap0", "ne", "lt1e99", "9" * 5000, "0" * 5000 + "1",
    "9223372036854775808", "-9223372036854775809", "2147483648", "1e5|u|",
)  # fmt: skip
DATES = (
    "9999-99", "9999-12-31", "gt9999-12-31T23:59:59.999Z", "ap9999-12-31", "0000", "0001-01-01", "ap0001-01-01",
    "2026-02-30", "eq", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:60Z",
    "0001-01-01T00:00:00+14:00", "99999", "9999-12-31T23:59:59-14:00", "xx2026", "2026-1-1", "２０２６",
    "2026-01-01T00:00:00.123456789012Z", "2026-W01", "-2026",
)  # fmt: skip
CURSORS = ("", "x", "sealed-", "sealed-x", "sealed-" + "A" * 64, "A" * 500, "!!!", "bm9wZQ", "é", "AAAA" * 8 + "W10")

texts = st.text(max_size=30)
hurtful = st.one_of(st.sampled_from((*INJECTIONS, *NUMBERS, *DATES, *CURSORS)), texts)
prefixed = st.tuples(
    st.sampled_from(("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "xx")), hurtful
).map("".join)  # fmt: skip
values = st.one_of(hurtful, prefixed, st.lists(hurtful, min_size=2, max_size=4).map(",".join))


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The odd one time in eight: what is wrong at its first step never reaches the next."""
    return st.integers(0, 7).flatmap(lambda drawn: usual if drawn else odd)


def escaped(text: str) -> str:
    """Percent-encoded; a lone surrogate as the bytes that no UTF-8 has."""
    return quote(text, safe="", errors="surrogatepass")


raw_escapes = st.binary(min_size=1, max_size=6).map(quote_from_bytes)

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"profile": ["http://example.org/p"], "tag": [{"system": "urn:t", "code": "x"}], "versionId": "7"},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Åsa</p></div>'},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "In"}],
    "extension": [{"url": "http://example.org/e", "valueDecimal": 1.50}],
    "identifier": [{"system": "urn:s", "value": "1", "type": {"coding": [{"system": "urn:t", "code": "MR"}]}}],
    "active": True,
    "name": [{"family": "Åsason", "given": ["Åsa", "B"], "period": {"start": "2020", "end": "2024-01-01"}}],
    "telecom": [{"system": "phone", "value": "1"}],
    "gender": "female",
    "birthDate": "1970-01-02",
    "_birthDate": {"extension": [{"url": "http://example.org/t", "valueDateTime": "1970-01-02T03:04:05+01:00"}]},
    "deceasedBoolean": False,
    "address": [{"line": ["a"], "city": "b", "postalCode": "1"}],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/1", "identifier": {"value": "x"}}],
    "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}], "text": "systolic"},
    "subject": {"reference": "Patient/p1"},
    "effectivePeriod": {"start": "2020-01-01T00:00:00Z", "end": "2021-01-01"},
    "valueQuantity": {
        "value": 1.500,
        "unit": "kg",
        "system": "http://unitsofmeasure.org",
        "code": "kg",
        "comparator": "<",
    },
    "component": [
        {"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 1e3, "unit": "g"}},
        {"code": {"text": "b"}, "valueRange": {"low": {"value": 1}, "high": {"value": 2}}},
        {
            "code": {"text": "c"},
            "valueSampledData": {"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": "1 2 E"},
        },
    ],
    "referenceRange": [{"low": {"value": 0.1}}],
    "note": [{"time": "2020-01-01T00:00:00.000Z", "text": "# x"}],
}
GROUP: dict[str, Any] = {
    "resourceType": "Group",
    "id": "g1",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": "Patient/p1"}, "inactive": False}],
    "characteristic": [{"code": {"text": "x"}, "valueQuantity": {"value": 1}, "exclude": False}],
}
VALUE_SET: dict[str, Any] = {
    "resourceType": "ValueSet",
    "id": "v1",
    "url": "http://example.org/v",
    "version": "1",
    "status": "active",
    "date": "2020-02",
    "compose": {"include": [{"system": "urn:s", "concept": [{"code": "a", "display": "A"}]}]},
}
LOCATION: dict[str, Any] = {
    "resourceType": "Location",
    "id": "l1",
    "name": "L",
    "position": {"longitude": -83.69, "latitude": 42.25},
    "partOf": {"reference": "Location/l1"},
}
SEEDS = (PATIENT, OBSERVATION, GROUP, VALUE_SET, LOCATION)
TYPES = tuple(str(each["resourceType"]) for each in SEEDS)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), texts,
        st.sampled_from((*INJECTIONS[:12], *DATES)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


def places(value: Any, steps: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place below a value."""
    found: list[tuple[str | int, ...]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += [(*steps, key), *places(each, (*steps, key))]
    return found


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[dict[str, Any], ...] = SEEDS) -> dict[str, Any]:
    """A sound resource, changed at one to four places: another value, a missing one, one more, a wrong name."""
    resource: dict[str, Any] = deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        known = places(resource)
        if not known:
            break
        *steps, last = draw(st.sampled_from(known))
        holder: Any = resource
        for step in steps:
            holder = holder[step]
        match draw(st.sampled_from(("replace", "remove", "wrap", "repeat", "rename", "swap"))):
            case "replace":
                holder[last] = draw(st.one_of(json_values, hurtful))
            case "remove":
                del holder[last]
            case "wrap":
                holder[last] = [holder[last]]
            case "repeat" if isinstance(holder, list):
                holder.append(deepcopy(holder[cast(int, last)]))
            case "rename" if isinstance(holder, dict):
                holder[draw(texts)] = holder.pop(last)
            case _:
                other = draw(st.sampled_from(seeds))
                holder[last] = deepcopy(other[draw(st.sampled_from(sorted(other)))])
    return resource
