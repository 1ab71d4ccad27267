# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A small runner of FHIR TestScripts (https://hl7.org/fhir/R4/testscript.html): as much as the published ones use.

An element, an operation or an operator that it does not know ends the run: nothing passes by not being tried.
"""

from dataclasses import dataclass
import json
import re
from typing import Any, Final
from urllib.parse import quote

import httpx2

from tools.conformance.published import FHIR
from tools.conformance.report import Area, Row
from tools.conformance.server import Server

FOLDER = FHIR / "testscripts-r4"
_PATIENTS, _OBSERVATIONS = 3, 6
_METHODS: Final = {"search": "GET", "read": "GET", "capabilities": "GET"}
_OPERATION: Final = {"type", "resource", "encodeRequestUrl", "params", "requestHeader"}
_ASSERT: Final = {"label", "operator", "responseCode", "contentType", "headerField", "responseBody", "description"}


@dataclass(frozen=True, slots=True)
class Result:
    """How one script went; `faults` empty: passed."""

    name: str
    faults: tuple[str, ...]


async def run(server: Server) -> Area:
    """All scripts, on a server that holds some patients and observations."""
    await load(server)
    results = [await run_script(server, name, script) for name, script in scripts().items()]
    rows = tuple(
        Row(f"scripts that say {level}", sum(not each.faults for each in some), len(some))
        for level in ("MUST", "SHOULD", "MAY")
        if (some := [each for each in results if f"__{level}__" in each.name])
    )
    failures = tuple(f"{each.name}: {fault}" for each in results for fault in each.faults)
    return Area("TestScripts", rows, failures)


def scripts() -> dict[str, dict[str, Any]]:
    """The published scripts by name, which says how much they are asked for."""
    return {each.stem: json.loads(each.read_text()) for each in sorted(FOLDER.glob("*.json"))}


async def load(server: Server) -> None:
    """What the scripts take for granted: patients with name, sex and date of birth, each with observations."""
    for number in range(_PATIENTS):
        patient = {
            "resourceType": "Patient", "id": f"script-{number}", "gender": ("female", "male")[number % 2],
            "name": [{"family": ("Smith", "Smithson", "Lind")[number], "given": ["Ada"]}],
            "birthDate": f"{1950 + number}-03-0{number + 1}",
        }  # fmt: skip
        await _put(server, patient)
    for number in range(_OBSERVATIONS):
        observation = {
            "resourceType": "Observation", "id": f"script-{number}", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": f"Patient/script-{number % _PATIENTS}"},
            "valueQuantity": {"value": 70 + number, "system": "http://unitsofmeasure.org", "code": "kg"},
        }  # fmt: skip
        await _put(server, observation)


async def _put(server: Server, resource: dict[str, Any]) -> None:
    answer = await server.put(resource["resourceType"], resource["id"], json.dumps(resource).encode())
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"the fixtures of the scripts are not stored: {answer.text}")


async def run_script(server: Server, name: str, script: dict[str, Any]) -> Result:
    """Every test of one script; a fault names the test and the assertion."""
    unknown = {"fixture", "variable", "setup", "teardown", "profile"} & script.keys()
    if unknown:
        raise NotImplementedError(f"{name} uses {', '.join(sorted(unknown))}")
    faults: list[str] = []
    for test in script["test"]:
        answer: httpx2.Response | None = None
        for action in test["action"]:
            if "operation" in action:
                answer = await _operate(server, action["operation"])
            elif answer is None:
                raise NotImplementedError(f"{name} asserts before it asks")
            elif (fault := failed(answer, action["assert"])) is not None:
                faults.append(f"{test['name']}: {fault}")
    return Result(name, tuple(faults))


async def _operate(server: Server, operation: dict[str, Any]) -> httpx2.Response:
    """https://hl7.org/fhir/R4/testscript-definitions.html#TestScript.setup.action.operation.params: as they are."""
    _known(operation, _OPERATION)
    code = operation["type"]["code"]
    path = "metadata" if code == "capabilities" else operation.get("resource", "")
    params = operation.get("params", "")
    if operation.get("encodeRequestUrl", True):
        params = quote(params, safe="/?&=$")
    headers = {each["field"]: each["value"] for each in operation.get("requestHeader", ())}
    headers.setdefault("Accept", "application/fhir+json")
    address = f"{server.base}/{(path + params).lstrip('/')}"
    return await server.http.request(_METHODS[code], address, headers=headers)


def failed(answer: httpx2.Response, asserted: dict[str, Any]) -> str | None:
    """What is otherwise than asserted; None if nothing is."""
    _known(asserted, _ASSERT)
    operator = asserted.get("operator", "equals")
    if "responseCode" in asserted:
        what, got, wanted = "responseCode", str(answer.status_code), asserted["responseCode"]
    elif "contentType" in asserted:
        what, got, wanted = "contentType", answer.headers.get("content-type", ""), asserted["contentType"]
    elif "responseBody" in asserted:
        what, got, wanted = "responseBody", answer.text, asserted["responseBody"]
    else:
        what = asserted["headerField"]
        got, wanted = answer.headers.get(what, ""), asserted.get("value", "")
    if _holds(operator, got, wanted):
        return None
    return f"{asserted.get('label', what)}: {what} {operator} {wanted!r}, got {got[:80]!r}"


def _holds(operator: str, got: str, wanted: str) -> bool:
    """https://hl7.org/fhir/R4/valueset-assert-operator-codes.html; matchesRegex is the publisher's own."""
    match operator:
        case "equals":
            return got == wanted
        case "notEquals":
            return got != wanted
        case "in":
            return got in wanted.split(",")
        case "notIn":
            return got not in wanted.split(",")
        case "contains":
            return wanted in got
        case "notEmpty":
            return got != ""
        case "matchesRegex":
            return re.search(wanted, got) is not None
        case _:
            raise NotImplementedError(f"the operator {operator}")


def _known(given: dict[str, Any], names: set[str]) -> None:
    if unknown := given.keys() - names:
        raise NotImplementedError(f"the runner does not know {', '.join(sorted(unknown))}")
