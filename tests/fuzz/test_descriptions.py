# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""schemathesis on the OpenAPI description of every service, against all services running together.

Requests that keep the description and requests that break it, by callers with valid tokens: never a 5xx, and every
refusal in the protocol's own form (OperationOutcome, SOAP Fault, OAuth error).
"""

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
import pytest
import schemathesis
from schemathesis import GenerationMode

from tests.fuzz.sound import SOAK, check_outcome
from tests.support import databases
from tests.support.aside import aside
from tests.support.house import HouseUnderTest, running_house

FOLDER = Path(__file__).parents[2] / "openapi"
EXAMPLES = 400 if SOAK else 4
"""Of each operation, kind and caller; there are some 120 operations."""


def descriptions() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


KEPT, BROKEN = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
OPERATIONS = [
    pytest.param(name, path, method, mode, id=f"{'kept' if mode is KEPT else 'broken'} {method} {path}")
    for name, description in descriptions().items()
    for path, methods in description["paths"].items()
    for method, operation in methods.items()
    for mode in ((KEPT, BROKEN) if operation.keys() & {"parameters", "requestBody"} else (KEPT,))
]


@pytest.fixture(scope="module")
def house(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of the running house, and headers of who may call it."""

    class Opened:
        async def __aenter__(self) -> tuple[str, dict[str, Any]]:
            self.database = databases.fresh_database(server, template)
            url = await self.database.__aenter__()
            self.house = running_house(url, tmp_path_factory.mktemp("house"))
            running: HouseUnderTest = await self.house.__aenter__()
            callers = {name: await running.system(name) for name in ("operator", "region-norr")}
            return running.base, {**callers, "dentist": await running.dentist()}

        async def __aexit__(self, *error: Any) -> None:
            await self.house.__aexit__(None, None, None)
            await self.database.__aexit__(None, None, None)

    with aside(Opened) as opened:
        yield opened


@pytest.mark.parametrize(("name", "path", "method", "mode"), OPERATIONS)
def test_operation(house: tuple[str, dict[str, Any]], name: str, path: str, method: str, mode: GenerationMode) -> None:
    base, callers = house
    operation = schemathesis.openapi.from_dict(descriptions()[name])[path][method.upper()]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not SOAK,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.sampled_from(sorted(callers)))
    def asked(case: Any, caller: str) -> None:
        answer = case.call(base_url=base, headers=callers[caller], allow_redirects=False)
        check_answer(name, answer)

    asked()


def check_answer(service: str, answer: Any) -> None:
    request = answer.request
    asked = f"{request.method} {request.url} {request.body!r}"
    content, media = answer.content, answer.headers.get("content-type", [""])[0]
    if "/soap/" in request.url and answer.status_code >= 400:
        # A Fault is sent as 500 whoever is at fault (SOAP 1.1, 6.2): who it is says its code.
        assert media.startswith("text/xml"), (asked, media)
        fault = etree.fromstring(content).find(".//{*}Fault")
        assert fault is not None and str(fault.findtext("faultstring")), asked
        assert str(fault.findtext("faultcode")).endswith(":Client"), f"{asked}: {content!r}"
        return
    assert answer.status_code < 500 or refusal_of_a_source(asked, answer.status_code), f"{asked}: {content[:1500]!r}"
    if answer.status_code < 400 or request.method == "HEAD":
        return
    if service == "security" and "/fhir" not in request.url:
        told = json.loads(content)
        assert told["error"], asked
        assert told["error_description"], asked
    else:
        check_outcome(answer.status_code, media, content, asked)


def refusal_of_a_source(asked: str, status: int) -> bool:
    """The gateway tells by 502 that no source of the person could be asked: there are none in this house."""
    return "/gateway/" in asked and status == 502
