# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The kernel with every interaction, served in a thread of its own, with something in it to be found."""

from collections.abc import Iterator
from typing import Any

import httpx2
import orjson
import pytest
import structlog

from tests.fuzz.strategies import SEEDS, TYPES
from tests.support.aside import aside
from tests.support.sandbox import sandbox_serving

FHIR = {"Content-Type": "application/fhir+json"}


class Kernel(httpx2.Client):
    """A client of the kernel: paths are what stands after its base, and nothing for the base itself."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=60)
        self.base = base

    def request(self, method: str, url: Any, **more: Any) -> httpx2.Response:
        return super().request(method, f"{self.base}{url}", **more)


@pytest.fixture(scope="package", autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of requests: a line for each would hide the one that matters."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    yield
    structlog.configure(wrapper_class=before)


@pytest.fixture(scope="package")
def kernel(server: str) -> Iterator[Kernel]:
    """The kernel, with the sound resources in it."""
    served = (*TYPES, "Organization", "Practitioner", "Encounter", "List", "Bundle", "Basic", "CodeSystem")
    with aside(lambda: sandbox_serving(server, served)) as base, Kernel(base) as http:
        for seed in SEEDS:
            kept = http.put(f"/{seed['resourceType']}/{seed['id']}", content=orjson.dumps(seed), headers=FHIR)
            assert kept.status_code == 201, kept.text
        yield http
