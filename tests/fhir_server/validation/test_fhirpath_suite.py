# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The official FHIRPath cases, beside two other engines in the same run."""

from collections import Counter
import contextlib
from decimal import Decimal, InvalidOperation
import io
from typing import Any

import fhirpathpy
from fhirpathpy.models import models
import fhirpathrs

from fhir_server.validation.fhirpath import FhirPathError, Unsupported, evaluate
from fhir_server.validation.fhirpath.conversions import to_text
from fhir_server.validation.fhirpath.operators import plain
from tests.fhir_server.validation.published import Case, fhirpath_cases, needs_data

pytestmark = needs_data

FAILING = {
    "testSimpleFail": "the name of an element that is none gives nothing instead of an error",
    "testPolymorphismB": "the same, for the JSON name of a choice",
    "testPolymorphicsB": "the same, for the JSON name of a choice",
    "testPolymorphismAsB": "the same, below a type that the value has not",
    "testPlusDate19": "a tenth of a second is added, not cut away; the specification cuts above seconds only",
}
"""Effect of the first four: a search or profile expression with a misspelt name finds nothing. Of the last: none."""


def outcome(case: Case) -> str:
    """pass, left out, or what went otherwise."""
    try:
        items = evaluate(case.expression, case.node())
    except Unsupported:
        return "left out"
    except FhirPathError:
        return "pass" if case.invalid else "error"
    if case.invalid:
        return "should fail"
    return "pass" if fits(case, [plain(each) for each in items]) else "differs"


def fits(case: Case, values: list[Any]) -> bool:
    """Whether these are the values that the case expects."""
    if case.predicate and not (len(values) == 1 and isinstance(values[0], bool)):
        values = [bool(values)]
    if len(case.outputs) != len(values):
        return False
    return all(
        not text or _same(_bare(text, of), _bare(to_text(value) or "", of))
        for (of, text), value in zip(case.outputs, values, strict=True)
    )


def _bare(text: str, of: str) -> str:
    """Engines and cases write literals with or without what makes them literals."""
    return text.lstrip("@").removeprefix("T" if of in ("time", "") else "")


def _same(text: str, value: str) -> bool:
    if text == value:
        return True
    try:
        return Decimal(text) == Decimal(value)
    except InvalidOperation:
        return False


def python_peer(case: Case) -> bool:
    """Whether fhirpathpy passes the same case."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = fhirpathpy.evaluate(case.input or {}, case.expression, None, models["r4"])
    except Exception:
        return bool(case.invalid)
    return not case.invalid and fits(case, list(found))


def rust_peer(case: Case) -> bool:
    """Whether fhirpathrs passes the same case. A single value comes bare, a quantity as an object."""
    try:
        found = fhirpathrs.evaluate(case.expression, case.input or {"resourceType": "Basic"})
    except Exception:
        return bool(case.invalid)
    if case.invalid:
        return False
    values = found if isinstance(found, list) else [] if found is None else [found]
    return fits(case, [f"{each['value']} '{each['unit']}'" if _quantity(each) else each for each in values])


def _quantity(value: Any) -> bool:
    return isinstance(value, dict) and {"value", "unit"} == value.keys()


def test_the_official_cases() -> None:
    cases = fhirpath_cases()
    results = Counter(outcome(case) for case in cases)
    rust, python = sum(rust_peer(case) for case in cases), sum(python_peer(case) for case in cases)
    print(f"{len(cases)} cases: {dict(results)}; fhirpathrs passes {rust}, fhirpathpy {python}")
    assert len(cases) == 658
    assert {case.name for case in cases if outcome(case) != "pass"} == set(FAILING)
    assert results["pass"] >= max(rust, python)
