# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Malformed JSON, wrong types, mutated resources, patches, bundles, operations: stored, or refused with a reason."""

import base64
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st
import pytest

from tests.fuzz.conftest import FHIR, Kernel
from tests.fuzz.sound import check, fuzzing
from tests.fuzz.strategies import (
    INJECTIONS,
    OBSERVATION,
    PATIENT,
    SEEDS,
    TYPES,
    escaped,
    hurtful,
    json_values,
    mostly,
    mutated,
    places,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "", None, 1)
SEPARATORS = r"[,|$\\]"
IDS = ("p1", "o1", "new-1", "new-2", "a b", "", "x" * 65, "å")


def written(value: Any) -> bytes:
    """As JSON; lone surrogates as escapes, which JSON has and UTF-8 has not."""
    return json.dumps(value).encode()


@fuzzing
@given(mutated(), st.sampled_from(("create", "update", "validate", "conditional", "parameters")))
def test_mutated_resources(kernel: Kernel, resource: dict[str, Any], way: str) -> None:
    kind = resource.get("resourceType")
    kind = kind if kind in TYPES else "Patient"
    body = written(resource)
    match way:
        case "create":
            check(kernel.post(f"/{kind}", content=body, headers=FHIR))
        case "update":
            check(kernel.put(f"/{kind}/{escaped(str(resource.get('id', 'none')))}", content=body, headers=FHIR))
            check(kernel.get(f"/{kind}?_count=1000&_summary=true"))
        case "validate":
            check(kernel.post(f"/{kind}/$validate?mode=create", content=body, headers=FHIR))
        case "conditional":
            check(kernel.put(f"/{kind}?_id=p1", content=body, headers=FHIR))
        case _:
            named = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]}
            check(kernel.post(f"/{kind}/$validate", content=written(named), headers=FHIR))


@fuzzing
@given(
    json_values,
    st.sampled_from(("/Patient", "", "/Patient/$validate", "/Patient/p1/$meta", "/$export", "/Patient/_search")),
)
def test_arbitrary_json(kernel: Kernel, value: Any, path: str) -> None:
    check(kernel.post(path, content=written(value), headers={**FHIR, "Prefer": "respond-async"}))


@fuzzing
@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode(errors="surrogatepass"))))
@example(b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}')
@example(b'{"resourceType":"Patient","name":[{"family":"a\\u0000b"}]}')
@example(b'\xef\xbb\xbf{"resourceType":"Patient"}')
@example(b'{"resourceType":"Patient","resourceType":"Patient"}')
@example(b'{"resourceType":"Patient","active":tru')
@example(b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1e999999999}}')
@example(
    b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":'
    + b"9" * 9000
    + b"}}"
)
@example(b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueInteger":' + b"9" * 9000 + b"}")
@example(
    b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":0.'
    + b"0" * 9000
    + b"1}}"
)
@example(b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":-0e-99999}}')
def test_arbitrary_bytes(kernel: Kernel, body: bytes) -> None:
    for method, path in (("POST", "/Patient"), ("POST", "/Observation"), ("PATCH", "/Patient/p1"), ("POST", "")):
        check(kernel.request(method, path, content=body, headers=FHIR))


pointers = st.one_of(
    st.sampled_from(places(PATIENT)).map(lambda steps: "/" + "/".join(map(str, steps))),
    st.sampled_from(
        (
            "",
            "/",
            "/-",
            "/name/-",
            "/name/99",
            "/name/-1",
            "/name/01",
            "/~",
            "/~2",
            "/a~1b",
            "/id",
            "/resourceType",
            "x",
        )
    ),
    hurtful,
)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(("add", "remove", "replace", "move", "copy", "test", "spam"))},
    optional={"path": pointers, "from": pointers, "value": json_values},
)
fhirpaths = st.sampled_from((
    "Patient", "Patient.name", "Patient.name[0]", "Patient.name.where(family='x')", "name", "Patient.id",
    "Patient.deceased", "(", "Patient.name[99999999999999999999]", "'" * 9, "Patient" + ".name" * 200, "(" * 500,
    "-" * 500 + "1", "Patient.name[0].given", "%x",
))  # fmt: skip
parts = st.lists(
    st.one_of(
        st.tuples(st.just("type"), st.sampled_from(("add", "insert", "delete", "replace", "move", "x"))),
        st.tuples(st.just("path"), fhirpaths),
        st.tuples(st.just("name"), st.sampled_from(("name", "birthDate", "contact", "x", "deceased", "id"))),
        st.tuples(st.sampled_from(("index", "source", "destination")), st.integers(-(2**40), 2**40)),
        st.tuples(st.just("value"), json_values),
    ),
    max_size=6,
)


def fhirpath_patch(given: list[tuple[str, Any]]) -> dict[str, Any]:
    kinds = {"type": "valueCode", "path": "valueString", "name": "valueString", "value": "valueHumanName"}
    made = [{"name": name, kinds.get(name, "valueInteger"): value} for name, value in given]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": made}]}


@fuzzing
@given(
    st.one_of(
        st.tuples(st.just("application/json-patch+json"), st.one_of(st.lists(operations, max_size=4), json_values)),
        st.tuples(st.just("application/merge-patch+json"), st.one_of(mutated((PATIENT,)), json_values)),
        st.tuples(st.just("application/fhir+json"), st.one_of(parts.map(fhirpath_patch), json_values)),
    )
)
def test_patches(kernel: Kernel, given: tuple[str, Any]) -> None:
    kind, body = given
    check(kernel.put("/Patient/p1", content=written(PATIENT), headers=FHIR))
    check(kernel.patch("/Patient/p1", content=written(body), headers={"Content-Type": kind}))


urls = st.one_of(
    st.tuples(st.sampled_from(TYPES), st.sampled_from(IDS)).map("/".join),
    st.sampled_from((
        "Patient", "Patient?identifier=urn:s|1", "Patient/_search?name=a", "Patient/p1/_history/1", "Patient?%00=1",
        "Patient/p1/_history/x", "metadata", "$export", "Patient/p1/$everything", "Patient/%00", "Patient/p1/$meta",
        "/", "_history", "", "//", "?", "Nobody/1", "http://elsewhere.example/fhir/Patient/p1", "Patient?name=%ff",
        "Patient?_count=-1", "Patient?birthdate=9999-99",
    )),
    hurtful,
)  # fmt: skip
conditions = st.sampled_from(('W/"1"', "*", "x", "identifier=urn:s|1", "?", "&", "2020-01-01T00:00:00Z"))
requests = st.fixed_dictionaries(
    {"method": mostly(st.sampled_from(METHODS[:6]), st.sampled_from(METHODS)), "url": urls},
    optional={
        name: mostly(conditions, json_values) for name in ("ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince")
    },
)
full_urls = mostly(
    st.sampled_from(
        ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "http://a.example/Patient/1", "urn:oid:1.2", "x", "")
    ),
    json_values,
)
binaries = st.one_of(st.binary(max_size=40), st.just(b'[{"op":"remove","path":"/name"}]')).map(
    lambda data: {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(data).decode(),
    }
)
references = st.sampled_from((
    "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "Patient?identifier=urn:s|1", "Patient?", "Nobody?x=1",
    "Patient?%00=1", "Patient?name=nobody", "Patient?_count=-1", "Patient/p1", "urn:oid:1.2",
    "Patient?birthdate=9999-99", "?", "http://[",
)).map(lambda to: {**OBSERVATION, "subject": {"reference": to}})  # fmt: skip
entries = mostly(
    st.fixed_dictionaries(
        {"request": requests},
        optional={
            "resource": mostly(st.one_of(mutated(), st.sampled_from(SEEDS), binaries, references), json_values),
            "fullUrl": full_urls,
        },
    ),
    st.one_of(json_values, st.fixed_dictionaries({"request": json_values})),
)


@fuzzing
@given(
    mostly(st.sampled_from(("batch", "batch", "transaction")), st.sampled_from(("document", "", 7, None, []))),
    mostly(st.lists(entries, max_size=4), json_values),
    st.sampled_from(("", "return=representation", "respond-async", "return=OperationOutcome")),
)
def test_bundles(kernel: Kernel, kind: Any, given: Any, prefer: str) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": given}
    answer = kernel.post("", content=written(bundle), headers={**FHIR, **({"Prefer": prefer} if prefer else {})})
    check(answer)
    for each in answer.json().get("entry", ()) if answer.status_code == 200 else ():
        assert each["response"]["status"] < "5", (each, bundle)


@fuzzing
@given(st.sampled_from(SEEDS), st.lists(st.sampled_from(INJECTIONS), min_size=1, max_size=8))
def test_hurtful_texts_are_kept_as_they_are_or_refused(kernel: Kernel, seed: dict[str, Any], given: list[str]) -> None:
    """What is stored comes back as it was sent, and finds nothing but itself."""
    resource = {"resourceType": "Basic", "code": {"text": given[0]}, "identifier": [{"value": each} for each in given]}
    made = kernel.post("/Basic", content=written(resource), headers={**FHIR, "Prefer": "return=representation"})
    check(made)
    if made.status_code == 201:
        assert [each["value"] for each in made.json()["identifier"]] == given
        asked = escaped(re.sub(SEPARATORS, r"\\\g<0>", given[0]))
        found = kernel.get(f"/Basic?identifier={asked}&_sort=-_lastUpdated")
        check(found)
        assert made.json()["id"] in [each["resource"]["id"] for each in found.json()["entry"]], given[0]


DEEP = 10_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"resourceType":"Patient","extension":' + b'[{"extension":' * DEEP + b"1" + b"}]" * DEEP + b"}",
        b'{"resourceType":"Bundle","type":"batch","entry":' + b"[" * DEEP + b"]" * DEEP + b"}",
    ],
)
def test_json_that_is_ten_thousand_levels_deep(kernel: Kernel, body: bytes) -> None:
    for method, path in (
        ("POST", "/Patient"),
        ("PUT", "/Patient/p1"),
        ("PATCH", "/Patient/p1"),
        ("POST", ""),
        ("POST", "/Patient/$validate"),
    ):
        answer = kernel.request(method, path, content=body, headers=FHIR)
        check(answer)
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "too-deep"


def test_a_patch_in_a_bundle_that_is_ten_thousand_levels_deep(kernel: Kernel) -> None:
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(b"[" * DEEP).decode(),
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "PATCH", "url": "Patient/p1"}, "resource": binary}],
    }
    answer = kernel.post("", content=written(bundle), headers=FHIR)
    check(answer)
    assert answer.status_code == 400


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_a_hundred_megabytes(kernel: Kernel, announced: bool) -> None:
    size = 100 * 1024 * 1024
    pieces = (b" " * 65536 for _ in range(size // 65536))
    headers = {**FHIR, **({"Content-Length": str(size)} if announced else {})}
    answer = refused_early(kernel, pieces, headers)
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert b'"code":"too-large"' in answer


def refused_early(kernel: Kernel, pieces: Any, headers: dict[str, str]) -> bytes:
    """Sends until the server answers: it need not read what it refuses."""
    at = urlsplit(f"{kernel.base}/Patient")
    chunked = "Content-Length" not in headers
    if chunked:
        headers = {**headers, "Transfer-Encoding": "chunked"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    received = b""
    with socket.create_connection((at.hostname, at.port), timeout=60) as connection:
        connection.sendall(f"POST {at.path} HTTP/1.1\r\nHost: {at.hostname}\r\n{head}\r\n".encode())
        connection.settimeout(0.02)
        for piece in pieces:
            try:
                received += connection.recv(65536)
            except TimeoutError:
                pass
            if received:
                break
            connection.settimeout(60)
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            connection.settimeout(0.001)
        connection.settimeout(60)
        while b'"issue"' not in received:
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
    return received
