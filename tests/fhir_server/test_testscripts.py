# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The published TestScripts, and the runner that holds the sandbox against them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.fhir_server.validation.published import needs_data
from tools.conformance.server import Server, opened
from tools.conformance.testscripts import failed, load, run_script, scripts

SCRIPTS = scripts()


@pytest.fixture(scope="module")
async def sandbox(server: str) -> AsyncIterator[Server]:
    async with opened(server, ["Patient", "Observation", "Group", "ValueSet", "CodeSystem"]) as found:
        await load(found)
        yield found


@needs_data
def test_all_published_scripts_are_there() -> None:
    assert len(SCRIPTS) == 19


@needs_data
@pytest.mark.parametrize("name", list(SCRIPTS))
async def test_a_published_script_passes(sandbox: Server, name: str) -> None:
    assert (await run_script(sandbox, name, SCRIPTS[name])).faults == ()


@pytest.mark.parametrize(
    ("asserted", "holds"),
    [
        ({"operator": "equals", "responseCode": "200"}, True),
        ({"responseCode": "404"}, False),
        ({"operator": "notEquals", "responseCode": "200"}, False),
        ({"operator": "in", "responseCode": "200,201"}, True),
        ({"operator": "notIn", "responseCode": "200,201"}, False),
        ({"operator": "contains", "contentType": "fhir+json"}, True),
        ({"operator": "notEmpty", "headerField": "ETag"}, True),
        ({"operator": "notEmpty", "headerField": "Location"}, False),
        ({"operator": "matchesRegex", "responseBody": '"a"\\s*:'}, True),
        ({"operator": "matchesRegex", "responseBody": '"b"'}, False),
    ],
)
def test_what_an_assertion_says(asserted: dict[str, Any], holds: bool) -> None:
    answer = httpx2.Response(200, headers={"content-type": "application/fhir+json", "etag": "1"}, content=b'{"a" : 1}')
    assert (failed(answer, asserted) is None) is holds


@pytest.mark.parametrize("asserted", [{"operator": "greaterThan", "responseCode": "1"}, {"minimumId": "x"}])
def test_what_the_runner_does_not_know_ends_the_run(asserted: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        failed(httpx2.Response(200), asserted)
