# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Every published example in a service that offers all types, each found by its own values."""

from collections import Counter
from collections.abc import Iterator
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fhir_server.search.parameters import SearchParameter, codes_of, parameters_for, resource_types
from fhir_server.search.values import date_range
from tests.fhir_server.search.library import opened

pytestmark = pytest.mark.servers
LOADED = 505


def examples(shared: Path) -> list[dict[str, Any]]:
    with gzip.open(shared / "fhir" / "examples-r4.ndjson.gz") as lines:
        return [orjson.loads(line) for line in lines]


def asked(parameter: SearchParameter, resource: dict[str, Any]) -> Iterator[str]:
    """A query for each value that the resource itself has, written from the raw element and not from the index."""
    code = parameter.code
    for value in parameter.extract(resource):
        match parameter.type, value:
            case "token", {"coding": [*codings]}:
                yield from (f"{code}={_token(each)}" for each in codings if "code" in each)
            case "token", {"code": str()} | {"value": str()}:
                yield f"{code}={_token(value)}"
            case "token" | "string", str() if value.strip():
                yield f"{code}={_escaped(value)}"
                if parameter.type == "string":
                    yield f"{code}:exact={_escaped(value)}"
            case "uri", str():
                yield f"{code}={_escaped(value)}"
            case "date", str() if date_range(value):
                yield f"{code}={value}"
            case "date", {"start": str(start)}:
                yield f"{code}=ge{start}"
            case "reference", {"reference": str(reference)} if not reference.startswith("#"):
                yield f"{code}={_escaped(reference.partition('/_history')[0])}"
            case "quantity", {"value": (int() | float()) as number, "system": system, "code": unit, **rest} if (
                "comparator" not in rest
            ):
                yield f"{code}={number}|{_escaped(system)}|{_escaped(unit)}"
            case "number", (int() | float()):
                yield f"{code}={value}"


def _token(value: dict[str, Any]) -> str:
    return f"{_escaped(value.get('system', ''))}|{_escaped(value.get('code', value.get('value', '')))}"


def _escaped(text: str) -> str:
    for char in "\\|,$":
        text = text.replace(char, f"\\{char}")
    return text


async def test_each_example_is_found_by_its_own_values(engine: AsyncEngine, shared: Path) -> None:
    resources = examples(shared)
    async with opened(engine, [each for each in resource_types() if each != "Consent"]) as library:
        await library.load(resources)
        kinds = Counter(each["resourceType"] for each in resources)
        assert kinds.total() == LOADED
        for kind, number in kinds.items():
            if kind in resource_types() and kind != "Consent":
                assert (await library.search(f"{kind}?_summary=count"))["total"] == number
        tried: Counter[str] = Counter()
        for resource in resources:
            kind = resource["resourceType"]
            if kind not in resource_types() or kind == "Consent":
                continue
            for parameter in parameters_for(kind, codes_of(kind)).values():
                query = next(asked(parameter, resource), None)
                if query is None or tried[f"{kind}.{parameter.code}"] >= 2:
                    continue
                name, _, value = query.partition("=")
                bundle = await library.post(kind, [(name, value), ("_id", resource["id"])])
                assert [each["resource"]["id"] for each in bundle.get("entry", [])] == [resource["id"]], (kind, query)
                tried[f"{kind}.{parameter.code}"] += 1
        assert len(tried) > 600
