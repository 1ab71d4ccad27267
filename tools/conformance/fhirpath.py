# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The official FHIRPath cases (FHIR/fhir-test-cases, r4/fhirpath), beside two other engines in the same run."""

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
from tools.conformance.published import Case, fhirpath_cases
from tools.conformance.report import Area, Row

_MISSPELT = "a search parameter or an invariant with a misspelt element finds nothing and says nothing"
FAILING = {
    "testSimpleFail": f"the name of an element that is none gives nothing instead of an error. Effect: {_MISSPELT}",
    "testPolymorphismB": f"the same, for the JSON name of a choice. Effect: {_MISSPELT}",
    "testPolymorphicsB": f"the same, for the JSON name of a choice. Effect: {_MISSPELT}",
    "testPolymorphismAsB": f"the same, below a type that the value has not. Effect: {_MISSPELT}",
    "testPlusDate19": "a tenth of a second is added, not cut away; the specification cuts above seconds only. Effect: "
    "none on search or validation, no published expression adds to a time",
}
"""Cases we do not pass, each with what that does to search or validation."""


def run() -> Area:
    """All cases by our engine and by the two others."""
    cases = fhirpath_cases()
    ours = {case.name: outcome(case) for case in cases}
    failing = {name for name, result in ours.items() if result != "pass"}
    passed = sum(outcome(case) == "pass" for case in cases)
    rust, python = sum(map(rust_peer, cases)), sum(map(python_peer, cases))
    failures = [f"{name}: {ours[name]}, without a reason" for name in sorted(failing - set(FAILING))]
    if passed < max(rust, python):
        failures.append(f"another engine passes more: fhirpathrs {rust}, fhirpathpy {python}, we {passed}")
    rows = (
        Row("cases of the official suite", passed, len(cases)),
        Row("the same by fhirpathrs, for comparison", rust, len(cases)),
        Row("the same by fhirpathpy, for comparison", python, len(cases)),
    )
    known = tuple(f"`{name}`: {FAILING[name]}." for name in FAILING if name in failing)
    return Area("FHIRPath", rows, tuple(failures), known)


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
