# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""fhir-kit-client and @medplum/core, from npm: a script for each does what its users do and tells how it went.

https://github.com/Vermonster/fhir-kit-client, https://github.com/medplum/medplum/tree/main/packages/core
"""

import asyncio
import json
from pathlib import Path
import shutil
import subprocess
from typing import Any

import pytest

FOLDER = Path(__file__).parent
PAGES = [[0, 1, 2], [3, 4, 5], [6]]
CREATED = ["201 Created", "201 Created"]


@pytest.fixture(scope="module")
def node() -> str:
    """Node's path, where it and the packages are installed."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node is not installed (make machine)")
    major = int(
        subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout[1:].split(".")[0]
    )
    if major < 20:
        pytest.skip(f"the clients need Node 20 or newer, this is {major}")
    if not (FOLDER / "node_modules" / "fhir-kit-client").is_dir():
        pytest.skip("the npm packages are not installed (make machine)")
    return found


async def facts(node: str, script: str, base: str) -> dict[str, Any]:
    """What the script tells of its work on the sandbox; a failure it did not expect ends it."""
    process = await asyncio.create_subprocess_exec(
        node, str(FOLDER / script), base, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    told: dict[str, Any] = json.loads(output)
    return told


async def test_fhir_kit_client(node: str, base: str) -> None:
    told = await facts(node, "fhir_kit_client.mjs", base)
    made = told.pop("created")
    assert made == {"status": 201, "location": f"{base}/Patient/{made['id']}/_history/1", "id": made["id"]}
    for name, says in (
        ("invalid", "female, male, other"),
        ("absent", "no Patient with this id"),
        ("noType", "nothing is served"),
        ("noParameter", "unknown search parameter colour"),
    ):
        told_of = told.pop(name)
        assert told_of["resourceType"] == "OperationOutcome"
        assert says in told_of["diagnostics"]
    assert told == {
        "fhirVersion": "4.0.1",
        "conditionalCreate": True,
        "conditionalUpdate": {"version": "2", "active": True},
        "patched": {"version": "4", "active": False, "gender": "female"},
        "vread": "1",
        "resolved": True,
        "stale": {"status": 412, "code": "conflict"},
        "pages": PAGES,
        "postSearch": ["include", *["match"] * 7],
        "history": {
            "instance": ["PATCH", "PUT", "PUT", "POST"],
            "types": ["Patient"],
            "system": ["Observation", "Patient"],
        },
        "transaction": CREATED,
        "brokenTransaction": {"status": 422, "where": ["Bundle.entry[2].resource.code"]},
        "batch": ["200", "404"],
        "validated": ["Patient.gender"],
        "deleted": 410,
    }


async def test_medplum(node: str, base: str) -> None:
    told = await facts(node, "medplum.mjs", base)
    for name, says in (
        ("invalid", "female, male, other"),
        ("absent", "no Patient with this id"),
        ("noParameter", "unknown search parameter colour"),
    ):
        told_of = told.pop(name)
        assert told_of["outcome"] is True
        assert says in told_of["says"]
    assert told == {
        "created": "1",
        "conditionalCreate": True,
        "conditionalUpdate": {"same": True, "version": "2", "active": True},
        "patched": {"version": "4", "active": False, "gender": "female"},
        "unchanged": "5",
        "vread": "1",
        "pages": PAGES,
        "one": True,
        "none": True,
        "counted": 7,
        "read": "female",
        "history": ["PUT", "PATCH", "PUT", "PUT", "POST"],
        "transaction": CREATED,
        "batch": ["Patient", "Bundle", "OperationOutcome"],
        "validated": "information",
        "deleted": "deleted",
    }
