# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Every interaction of a resource type tried with an example of it, and what searches take beside parameters.

https://hl7.org/fhir/R4/http.html.
"""

from collections.abc import Callable, Mapping
from functools import cache
import json
from typing import Any

import httpx2

from tools.conformance.examples import BROKEN
from tools.conformance.published import examples
from tools.conformance.server import JSON, Server

INTERACTIONS = (
    "create", "read", "vread", "update", "patch", "history-instance", "search-type", "history-type", "delete",
)  # fmt: skip
CONDITIONAL = {
    "conditionalCreate": True, "conditionalUpdate": True, "conditionalRead": "full-support",
    "conditionalDelete": "single", "updateCreate": True, "readHistory": True,
}  # fmt: skip
RESULTS = "result parameters, chains, includes: as R4 says on a known set"
_TAG = {"system": "http://example.org/conformance", "code": "interactions"}
_MINIMAL: dict[str, dict[str, Any]] = {
    "CareTeam": {},
    "CodeSystem": {"status": "draft", "content": "not-present"},
    "DocumentReference": {"status": "current", "content": [{"attachment": {"url": "http://example.org/d"}}]},
    "EpisodeOfCare": {"status": "active", "patient": {"reference": "Patient/example"}},
    "HealthcareService": {"active": True},
    "Subscription": {
        "status": "off", "reason": "x", "criteria": "Observation?code=x", "channel": {"type": "rest-hook"},
    },
    "ValueSet": {"status": "draft"},
}  # fmt: skip
"""Types of which no example is published that keeps the rules."""


async def faults_of(server: Server, kind: str, stated: Mapping[str, Any]) -> list[str | None]:
    """One for each interaction and each conditional form; None: claimed and working."""
    claimed = {each["code"] for each in stated.get("interaction", ())}
    worked = await _life(server, kind)
    found: list[str | None] = []
    for name in INTERACTIONS:
        fault = f"{kind}: {name} is not claimed" if name not in claimed else None
        found.append(fault or (f"{kind}: {name}: {worked[name]}" if worked[name] else None))
    for name, value in CONDITIONAL.items():
        fault = f"{kind}: {name} is not {value}" if stated.get(name) != value else None
        found.append(fault or (f"{kind}: {name}: {worked[name]}" if worked[name] else None))
    return found


async def _life(server: Server, kind: str) -> dict[str, str]:
    """One resource from its creation to its end; what went wrong, by interaction."""
    resource = {**_example(kind), "meta": {"tag": [_TAG]}}
    base, http = f"{server.base}/{kind}", server.http
    criteria = f"_tag={_TAG['system']}|{_TAG['code']}"
    wrong: dict[str, str] = {}

    def note(name: str, answer: httpx2.Response, status: int, *holds: bool) -> httpx2.Response:
        wrong[name] = "" if answer.status_code == status and all(holds) else f"{answer.status_code} {answer.text[:200]}"
        return answer

    made = note("create", await http.post(base, json=resource, headers=JSON), 201)
    identity = made.json().get("id", "none")
    at = f"{base}/{identity}"
    again = await http.post(base, json=resource, headers={**JSON, "If-None-Exist": criteria})
    note("conditionalCreate", again, 200, again.json().get("id") == identity)
    read = note("read", await http.get(at), 200)
    same = await http.get(at, headers={"If-None-Match": read.headers.get("etag", "")})
    note("conditionalRead", same, 304)
    note("vread", await http.get(f"{at}/_history/1"), 200)
    resource = {**resource, "id": identity}
    note("update", await http.put(at, json={**resource, "language": "sv"}, headers=JSON), 200)
    updated = await http.put(f"{base}?{criteria}", json={**resource, "language": "en"}, headers=JSON)
    note("conditionalUpdate", updated, 200)
    patch = [{"op": "add", "path": "/language", "value": "fi"}]
    patched = await http.patch(at, json=patch, headers={"Content-Type": "application/json-patch+json"})
    note("patch", patched, 200, patched.json().get("language") == "fi")
    history = await http.get(f"{at}/_history")
    note("history-instance", history, 200, len(history.json().get("entry", ())) == 4)
    note("readHistory", await http.get(f"{at}/_history/2"), 200)
    of_type = await http.get(f"{base}/_history?_count=1")
    note("history-type", of_type, 200, of_type.json().get("type") == "history")
    found = await http.get(f"{base}?{criteria}&_total=accurate")
    note("search-type", found, 200, found.json().get("total") == 1)
    note("conditionalDelete", await http.delete(f"{base}?{criteria}"), 204)
    gone = await http.get(at)
    own = f"{base}/conformance-{kind.lower()}"
    named = {**resource, "id": f"conformance-{kind.lower()}"}
    note("updateCreate", await http.put(own, json=named, headers=JSON), 201)
    note("delete", await http.delete(own), 204, gone.status_code == 410, (await http.get(own)).status_code == 410)
    return wrong


def _example(kind: str) -> dict[str, Any]:
    example = _examples().get(kind)
    return {"resourceType": kind, **(_MINIMAL[kind] if example is None else example)}


@cache
def _examples() -> dict[str, dict[str, Any]]:
    """The first sound example of each type, without its identity."""
    found: dict[str, dict[str, Any]] = {}
    for name, body in examples():
        resource = json.loads(body)
        if name not in BROKEN and resource["resourceType"] not in found:
            found[resource.pop("resourceType")] = {key: each for key, each in resource.items() if key != "id"}
    return found


async def results(server: Server) -> list[tuple[str, str | None]]:
    """What searches take beside parameters, on patients and observations of its own."""
    await _family(server)
    found: list[tuple[str, str | None]] = []
    for query, wanted in ASKED.items():
        bundle = (await server.get(query)).json()
        got = [f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in bundle.get("entry", ())]
        got = [each.replace("conformance-", "") for each in got]
        if callable(wanted):
            holds = wanted(bundle, got)
        else:
            holds = got == wanted.split() if "_sort" in query else sorted(got) == sorted(wanted.split())
        found.append((RESULTS, None if holds else f"{query}: {got or bundle}"))
    return found


def _have(bundle: dict[str, Any], element: str) -> bool:
    """Whether every resource of the bundle has the element."""
    return all(element in each["resource"] for each in bundle["entry"])


_OWN = "_tag=http://example.org/conformance|family"
ASKED: dict[str, str | Callable[[dict[str, Any], list[str]], bool]] = {
    f"Patient?{_OWN}&_sort=birthdate": "Patient/a Patient/b",
    f"Patient?{_OWN}&_sort=-birthdate": "Patient/b Patient/a",
    f"Patient?{_OWN}&_sort=_lastUpdated": "Patient/a Patient/b",
    f"Patient?{_OWN}&_sort=-_id": "Patient/b Patient/a",
    f"Patient?{_OWN}&_sort=_id&_count=1": "Patient/a",
    f"Patient?{_OWN}&_total=accurate": lambda bundle, got: bundle["total"] == 2,
    f"Patient?{_OWN}&_total=none": lambda bundle, got: "total" not in bundle and len(got) == 2,
    f"Patient?{_OWN}&_summary=count": lambda bundle, got: bundle["total"] == 2 and not got,
    f"Patient?{_OWN}&_summary=true": lambda bundle, got: _have(bundle, "name") and not _have(bundle, "maritalStatus"),
    f"Patient?{_OWN}&_summary=data": lambda bundle, got: _have(bundle, "name") and not _have(bundle, "text"),
    f"Patient?{_OWN}&_summary=text": lambda bundle, got: _have(bundle, "text") and not _have(bundle, "name"),
    f"Patient?{_OWN}&_elements=birthDate": lambda bundle, got: _have(bundle, "birthDate") and not _have(bundle, "name"),
    "Patient?_id=conformance-a": "Patient/a",
    "Patient?_id=conformance-a,conformance-b&_sort=_id": "Patient/a Patient/b",
    f"Patient?{_OWN}&_lastUpdated=gt2020-01-01&_sort=_id": "Patient/a Patient/b",
    f"Patient?{_OWN}&_lastUpdated=lt2020-01-01": "",
    "Patient?_profile=http://example.org/conformance/profile": "Patient/a",
    "Patient?_security=http://example.org/conformance|restricted": "Patient/a",
    "Patient?_source=http://example.org/conformance/source": "Patient/a",
    "Patient?_list=conformance-l": "Patient/b",
    f"Observation?{_OWN}&subject:Patient.family=conform": "Observation/o",
    f"Observation?{_OWN}&patient.organization.name=conform": "Observation/o",
    f"Patient?{_OWN}&_has:Observation:patient:code=conformance": "Patient/a",
    f"Organization?{_OWN}&_has:Patient:organization:_has:Observation:patient:code=conformance": "Organization/lower",
    f"Observation?{_OWN}&_include=Observation:patient": "Observation/o Patient/a",
    f"Observation?{_OWN}&_include=Observation:patient&_include:iterate=Patient:organization": (
        "Observation/o Organization/lower Patient/a"
    ),
    "Patient?_id=conformance-a&_revinclude=Observation:patient": "Patient/a Observation/o",
    "Organization?_id=conformance-upper&_revinclude=Organization:partof&_revinclude:iterate=Patient:organization": (
        "Organization/upper Organization/lower Patient/a"
    ),
    f"Patient?{_OWN}&organization:below=Organization/conformance-upper": "Patient/a",
    f"Patient?{_OWN}&organization:above=Organization/conformance-lower": "Patient/a",
    "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|c-1": "Patient/a",
}
"""Searches with what they must find, in this order where the order is asked for."""


async def _family(server: Server) -> None:
    """Two patients, an observation and a list, two organisations of which one is part of the other."""
    tag = {"tag": [{"system": "http://example.org/conformance", "code": "family"}]}
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    meta = {
        **tag, "profile": ["http://example.org/conformance/profile"], "source": "http://example.org/conformance/source",
        "security": [{"system": "http://example.org/conformance", "code": "restricted"}],
    }  # fmt: skip
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">c</div>'}
    for resource in (
        {"resourceType": "Organization", "id": "conformance-upper", "meta": tag, "name": "Upper"},
        {
            "resourceType": "Organization", "id": "conformance-lower", "meta": tag, "name": "Conformance",
            "partOf": {"reference": "Organization/conformance-upper"},
        },
        {
            "resourceType": "Patient", "id": "conformance-a", "meta": meta, "name": [{"family": "Conform"}],
            "birthDate": "1950-01-01", "managingOrganization": {"reference": "Organization/conformance-lower"},
            "identifier": [{"type": kind, "system": "http://example.org/mr", "value": "c-1"}], "text": text,
            "maritalStatus": {"text": "married"},
        },
        {
            "resourceType": "Patient", "id": "conformance-b", "meta": tag, "name": [{"family": "Other"}],
            "birthDate": "1960-01-01", "text": text, "maritalStatus": {"text": "married"},
        },
        {
            "resourceType": "Observation", "id": "conformance-o", "meta": tag, "status": "final",
            "code": {"coding": [{"code": "conformance"}]}, "subject": {"reference": "Patient/conformance-a"},
        },
        {
            "resourceType": "List", "id": "conformance-l", "meta": tag, "status": "current", "mode": "working",
            "entry": [{"item": {"reference": "Patient/conformance-b"}}],
        },
    ):  # fmt: skip
        answer = await server.put(str(resource["resourceType"]), str(resource["id"]), json.dumps(resource).encode())
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"what the searches need is not stored: {answer.text}")
