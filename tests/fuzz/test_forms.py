# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The wrong address, method or form: which status, and that it is told as an OperationOutcome."""

import pytest

from tests.fuzz.conftest import FHIR, Kernel
from tests.fuzz.sound import check

PATIENT = b'{"resourceType":"Patient"}'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "application/fhir+xml"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/Nobody", {}, b"", 404),
        ("GET", "/Patient/none", {}, b"", 404),
        ("GET", "/Patient/p1/_history/99", {}, b"", 404),
        ("GET", "/Patient/p1/$nothing", {}, b"", 404),
        ("POST", "/Patient/p1", FHIR, PATIENT, 405),
        ("DELETE", "/metadata", {}, b"", 405),
        ("TRACE", "/Patient", {}, b"", 405),
        ("PUT", "", FHIR, PATIENT, 405),
        ("GET", "/Patient?_format=xml", {}, b"", 406),
        ("GET", "/Patient", {"Accept": "text/turtle"}, b"", 406),
        ("GET", "/Patient/p1", {"Accept": "application/fhir+json;q=0"}, b"", 406),
        ("POST", "/Patient", XML, b"<Patient/>", 415),
        ("POST", "/Patient", {"Content-Type": ""}, PATIENT, 415),
        ("PUT", "/Patient/p1", FORM, b"a=b", 415),
        ("POST", "/Patient/_search", FHIR, PATIENT, 415),
        ("PATCH", "/Patient/p1", XML, b"<diff/>", 415),
        ("POST", "", FORM, b"a=b", 415),
        ("POST", "/Patient", FHIR, b'{"resourceType":"Observation"}', 400),
        ("POST", "/Patient", FHIR, b'{"resourceType":"Patient","nickname":"x"}', 422),
        ("POST", "/Patient", FHIR, b'{"resourceType":"Patient","birthDate":"2026-02-30"}', 422),
        ("POST", "/Patient", FHIR, b'{"resourceType":"Patient",', 400),
        ("GET", "/Patient?nickname=x", {}, b"", 400),
        ("GET", "/Patient?birthdate=9999-99", {}, b"", 400),
        ("GET", "/Patient?_cursor=x", {}, b"", 400),
        ("GET", "/Patient?_count=-1", {}, b"", 400),
        ("PUT", "/Patient/p1", {**FHIR, "If-Match": "x"}, b'{"resourceType":"Patient","id":"p1"}', 400),
        ("PUT", "/Patient/p1", {**FHIR, "If-Match": 'W/"99"'}, b'{"resourceType":"Patient","id":"p1"}', 412),
    ],
)  # fmt: skip
def test_status(kernel: Kernel, method: str, path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    answer = kernel.request(method, path, headers=headers, content=body)
    check(answer)
    assert answer.status_code == status, answer.text
    if status == 405:
        assert answer.headers["allow"]
