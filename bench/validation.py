# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Validation of one resource against the structural check alone and against fhir.resources (R4B) in the same run.

The resources are official examples; the published data has to be beside the checkout.

    python -m bench.validation
"""

from collections.abc import Callable
import gc
import importlib
import time
from typing import Any

import fhirkit
import orjson

from bench.figures import Cost, write_costs
from fhir_server.validation import InvalidResource, validate
from tools.conformance.published import FHIR, examples

TYPES = ("Patient", "Observation", "AllergyIntolerance", "Bundle")
ROUNDS = 200
LARGEST = 8000


def main() -> None:
    """Measures, prints and writes the table."""
    if not FHIR.is_dir():
        print("validation: left out, the published examples are not here; NDI_SHARED names their folder")
        return
    costs = []
    for name in TYPES:
        model: Any = getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)
        body = _sample(name, model)
        size = f"{name}, {len(body) / 1000:.1f} kB"
        structural = _microseconds(fhirkit.validate, body)
        costs.append(Cost(f"{size}: fhirkit alone (structure)", structural, None))
        costs.append(Cost(f"{size}: ours, all rules", _microseconds(validate, body), structural))
        costs.append(Cost(f"{size}: fhir.resources R4B", _microseconds(model.model_validate_json, body), structural))
    write_costs("validation", "Validation, microseconds a resource, best of five", costs)


def _sample(name: str, model: Any) -> bytes:
    """The largest sound example of the type below 8 kB that the peer reads too, without blanks between its values."""
    found = b""
    for key, body in examples():
        compact = orjson.dumps(orjson.loads(body))
        if not key.startswith(f"{name}/") or not len(found) < len(compact) < LARGEST:
            continue
        try:
            validate(compact)
            model.model_validate_json(compact)
        except (ValueError, InvalidResource):
            continue
        found = compact
    return found


def _microseconds(call: Callable[[bytes], object], body: bytes) -> float:
    call(body)
    gc.collect()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(ROUNDS):
            call(body)
        best = min(best, time.perf_counter() - start)
    return best / ROUNDS * 1e6


if __name__ == "__main__":
    main()
