# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""gzip for who takes it; forms that are not offered are refused with what to ask for."""

import gzip
from typing import Any

import pytest

from fhir_server.compression import takes_gzip
from tests.fhir_server.conftest import Toy
from tests.support.callers import OPERATOR, bearer

HEADERS = {**bearer(OPERATOR), "Content-Type": "application/fhir+json"}


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (None, False), ("", False), ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False),
        ("gzip; q=0.000", False), ("identity", False), ("deflate, br", False), ("xgzip", False),
    ],
)  # fmt: skip
def test_who_takes_gzip(header: str | None, takes: bool) -> None:
    assert takes_gzip(header) is takes


async def _raw(toy: Toy, path: str, encoding: str) -> tuple[Any, bytes]:
    headers = {**HEADERS, "Accept-Encoding": encoding}
    async with toy.http.stream("GET", toy.url(path), headers=headers) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


async def test_large_answers_are_compressed_for_who_takes_it(toy: Toy) -> None:
    for number in range(60):
        made = {"resourceType": "Organization", "id": f"o{number}", "name": f"Ward {number} " + "x" * 100}
        await toy.http.put(toy.url(f"Organization/o{number}"), json=made, headers=HEADERS)
    plain, content = await _raw(toy, "Organization?_count=60", "identity")
    assert "content-encoding" not in plain.headers and len(content) > 8_192
    packed, raw = await _raw(toy, "Organization?_count=60", "gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(raw) < len(content) / 2
    assert gzip.decompress(raw) == content
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    small, _ = await _raw(toy, "Organization/o1", "gzip")
    assert "content-encoding" not in small.headers and "vary" not in small.headers


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/html", "application/fhir+json;q=0"])
async def test_another_form_is_refused_with_the_one_that_is_offered(toy: Toy, accept: str) -> None:
    answer = await toy.http.get(toy.url("Organization"), headers={**HEADERS, "Accept": accept})
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (406, "not-supported")
    assert "application/fhir+json" in issue["diagnostics"]
    answer = await toy.http.get(toy.url("Organization?_format=xml"), headers=HEADERS)
    assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (406, "not-acceptable")


async def test_a_body_in_another_form_is_refused_with_the_one_that_is_taken(toy: Toy) -> None:
    headers = {**HEADERS, "Content-Type": "application/fhir+xml"}
    xml = b'<Organization xmlns="http://hl7.org/fhir"><name value="A"/></Organization>'
    for method, path in (("POST", "Organization"), ("PUT", "Organization/a")):
        answer = await toy.http.request(method, toy.url(path), content=xml, headers=headers)
        (issue,) = answer.json()["issue"]
        assert (answer.status_code, issue["details"]["coding"][0]["code"]) == (415, "unsupported-media-type")
        assert "application/fhir+json" in issue["diagnostics"]
