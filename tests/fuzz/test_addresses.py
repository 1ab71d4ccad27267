# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Arbitrary search parameters, ids, versions and headers: the right 4xx with a helpful outcome, never 500."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
import pytest

from fhir_server.search.parameters import codes_of
from tests.fuzz.conftest import FHIR, Kernel
from tests.fuzz.sound import check, fuzzing
from tests.fuzz.strategies import CURSORS, DATES, INJECTIONS, NUMBERS, TYPES, escaped, hurtful, raw_escapes, values

KNOWN = sorted({code for kind in TYPES for code in codes_of(kind)})
CONTROL = (
    "_id", "_lastUpdated", "_count", "_sort", "_include", "_revinclude", "_include:iterate", "_total", "_summary",
    "_elements", "_cursor", "_format", "_pretty", "_has:Observation:subject:code", "_filter", "_text", "_content",
    "_query", "_list", "_since", "_at", "_type", "_typeFilter", "_tag", "_profile", "_security", "_source",
    "_offset", "_contained",
)  # fmt: skip
MODIFIERS = (
    "", ":missing", ":exact", ":contains", ":not", ":text", ":in", ":not-in", ":above", ":below", ":identifier",
    ":of-type", ":Patient", ":Nobody", ":", "::", ":missing:missing", ".name", ".", "..", ":Patient.name",
    ":Patient.organization.name",
)  # fmt: skip
names = st.one_of(
    st.tuples(st.sampled_from(KNOWN + list(CONTROL)), st.sampled_from(MODIFIERS)).map("".join),
    st.sampled_from(KNOWN + list(CONTROL)),
    hurtful,
)
pairs = st.lists(st.tuples(names.map(escaped), st.one_of(values.map(escaped), raw_escapes)), min_size=1, max_size=4)
queries = pairs.map(lambda given: "&".join(f"{name}={value}" for name, value in given))


@fuzzing
@given(st.sampled_from(TYPES), queries, st.sampled_from(("", "handling=lenient", "respond-async")))
def test_search(kernel: Kernel, kind: str, query: str, prefer: str) -> None:
    headers = {"Prefer": prefer} if prefer else {}
    check(kernel.get(f"/{kind}?{query}", headers=headers))
    form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    check(kernel.post(f"/{kind}/_search", content=query.encode(), headers=form))


@fuzzing
@given(st.data())
def test_every_parameter_takes_every_value(kernel: Kernel, data: st.DataObject) -> None:
    """One parameter that the type has, so that its value is what is looked at."""
    kind = data.draw(st.sampled_from(TYPES))
    code = data.draw(st.sampled_from(codes_of(kind)))
    modifier = data.draw(
        st.sampled_from(("", "", ":missing", ":exact", ":not", ":text", ":identifier", ":of-type", ":below"))
    )
    value = data.draw(values)
    check(kernel.get(f"/{kind}?{code}{modifier}={escaped(value)}"))
    check(kernel.get(f"/Observation?subject:Patient.{code}={escaped(value)}"))
    check(kernel.get(f"/Patient?_has:Observation:subject:{code}={escaped(value)}"))
    check(kernel.get(f"/{kind}?_sort={escaped(value)}&_count={escaped(value)}&{code}={escaped(value)}"))


ONE_EACH = (
    "Patient?identifier", "Patient?name", "Patient?general-practitioner", "Patient?birthdate", "ValueSet?url",
    "Observation?value-quantity", "Observation?code-value-quantity", "Observation?code-value-date",
    "Patient?_lastUpdated", "Observation?component-value-quantity", "Location?near", "Patient?_id",
    "Patient?_profile", "Patient?identifier:of-type", "Patient?_count", "Patient?_cursor", "Patient?_sort",
    "Patient?_include", "Patient?_elements", "Patient?_summary", "Patient?_total", "Patient?_format",
    "Patient?_pretty", "Patient/_history?_since", "Patient/_history?_at", "_history?_since", "_history?_count",
    "_history?_cursor", "Patient/p1/$everything?start", "Patient/p1/$everything?_count",
    "Patient/p1/$everything?_cursor", "Patient/p1/$everything?_type", "Patient/p1?_elements", "Patient/p1?_summary",
    "$export?_since", "$export?_type", "$export?_typeFilter", "Patient/$export?_elements",
)  # fmt: skip
"""A parameter of each type, and all that steer a search, a history, an operation."""


@pytest.mark.parametrize("place", ONE_EACH)
def test_every_hurtful_value(kernel: Kernel, place: str) -> None:
    prefer = {"Prefer": "respond-async"} if "$export" in place else {}
    for value in (*INJECTIONS, *NUMBERS, *DATES, *CURSORS):
        check(kernel.get(f"/{place}={escaped(value)}", headers=prefer))


@fuzzing
@given(
    st.sampled_from(("GET", "HEAD", "PUT", "DELETE", "PATCH", "POST", "OPTIONS", "TRACE", "LINK")),
    st.sampled_from(TYPES),
    hurtful.map(escaped),
    st.one_of(
        st.sampled_from(("", "/_history", "/$meta", "/$validate")),
        hurtful.map(lambda value: f"/_history/{escaped(value)}"),
    ),
)
@example("GET", "Patient", "%00", "")
@example("DELETE", "Patient", "a%00b", "")
def test_ids_and_versions(kernel: Kernel, method: str, kind: str, identity: str, rest: str) -> None:
    check(kernel.request(method, f"/{kind}/{identity}{rest}", headers=FHIR))


@fuzzing
@given(st.lists(hurtful.map(escaped), min_size=1, max_size=5))
def test_paths(kernel: Kernel, parts: list[str]) -> None:
    check(kernel.get(f"/{'/'.join(parts)}"))


HEADERS = (
    "If-Match", "If-None-Match", "If-None-Exist", "If-Modified-Since", "Prefer", "Accept", "X-Deadline-Ms",
    "Content-Type", "Accept-Encoding", "Accept-Charset", "traceparent", "Host", "Authorization", "Range",
    "Expect-CT", "X-HTTP-Method-Override",
)  # fmt: skip
GIVEN = (
    'W/"1"', '"1"', "1", "*", 'W/"99999999999999999999"', 'W/"-1"', 'W/""', "W/", '"', "identifier=1", "identifier",
    "?", "&&=", "name=%00", "identifier=%ff", "x=1", "_count=1", "return=minimal", "return=nothing",
    "respond-async", "handling=lenient", "application/fhir+json", "application/fhir+json;q=0", "text/html",
    "*/*;q=x", ";;;", "-1", "0", "1", "99999999999999999999", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT",
    "Thu, 32 Foo 9999 99:99:99 GMT", "Mon, 01 Jan 0001 00:00:00 -9999", "gzip;q=1.5",
    "00-" + "0" * 32 + "-" + "0" * 16 + "-00", "Bearer", "Bearer é", "a" * 4000, "9" * 5000, "é", "\x80\xff",
    "bytes=0-", "application/fhir+json; charset=utf-16", "application/xml", "application/x-www-form-urlencoded",
    "multipart/form-data",
)  # fmt: skip
header_values = st.one_of(
    st.sampled_from(GIVEN), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
)


@fuzzing
@given(
    st.sampled_from(("GET", "PUT", "POST", "PATCH", "DELETE")),
    st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=4),
    st.sampled_from((
        "/Patient/p1", "/Patient", "/Patient?identifier=urn:s|1", "/Patient/_search", "", "/Patient/p1/$validate"
    )),
    st.sampled_from((
        b"", b"{}", b'{"resourceType":"Patient"}', b'{"resourceType":"Patient","id":"p1"}', b"[]", b"a=b"
    )),
)  # fmt: skip
@example("GET", {"X-Deadline-Ms": "9" * 5000}, "/Patient/p1", b"")
@example("PUT", {"Content-Type": "application/fhir+json", "If-Match": 'W/"99999999999999999999"'}, "/Patient/p1", b"{}")
def test_headers(kernel: Kernel, method: str, headers: dict[str, str], path: str, body: bytes) -> None:
    sent: list[tuple[bytes, bytes]] = [
        (name.encode(), value.strip().encode("latin-1")) for name, value in headers.items()
    ]
    given: Any = sent
    check(kernel.request(method, path, content=body, headers=given))
