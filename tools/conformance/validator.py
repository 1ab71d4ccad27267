# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The cases of the reference validator: which verdicts are the same, and for what reason the others are not."""

from dataclasses import dataclass, replace
import json

from fhir_server.outcome import Malformed
from fhir_server.validation import STRICT, Policy, check
from tools.conformance.published import lines
from tools.conformance.report import Area, Row

TERMINOLOGY = "needs SNOMED CT, LOINC or another code system that is not R4's"
DEFINITIONS = "an extension that the reference validator takes from a package we do not load"
OTHERWISE = {
    "uk-msg": "displays and codes of SNOMED CT, four of four errors",
    "ips-nz-pj": "displays of LOINC, four of four errors",
    "allergy": TERMINOLOGY,
    "cvx": TERMINOLOGY,
    "obs-temp-code2": TERMINOLOGY,
    "vs-bad-code": TERMINOLOGY,
    "vs-bad-props": TERMINOLOGY,
    "vs-bad-ecl-us": TERMINOLOGY,
    "xver-extensions-vs": DEFINITIONS,
    "xver-valueset-4_5": DEFINITIONS,
    "pat-security-bad-string": "text that looks like HTML in a string: its security mode",
    "cs-narrative-status-pub": "what HL7 asks of its own publications",
    "json-comments-1-yes": "JSON with comments, which an option of its lets pass",
    "signatures-example-2": "a digital signature",
}
"""Verdicts that are not the reference validator's, with the reason; of the structural ones the first two."""

STRUCTURAL = "cases of structural modules: same verdict"
NOT_STRUCTURAL = {"tx", "tx-advanced", "dsig", "xver", "security", "json5"}

DEFAULT = replace(STRICT, example_urls=None, raw_html="warning")
"""The reference validator's own settings in its suite: unknown extensions are errors, example URLs pass."""
OPTIONS: dict[str, Policy] = {
    "dr-example-org": replace(DEFAULT, example_urls="error"),
    "pat-example-extensions": replace(DEFAULT, example_urls="error"),
    "bad-markdown-no-html": replace(DEFAULT, raw_html="error"),
    "extension-version-restriction-range-r4": replace(DEFAULT, known_domains=("http://hl7.org/fhir/test/",)),
    "uk-msg": replace(DEFAULT, known_domains=("https://fhir.nhs.uk/",)),
}
"""Cases that it runs with settings of their own: dr-example-org-2 and bad-markdown are the same resources without."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case."""

    name: str
    module: str
    structural: bool
    expected: bool
    """Whether the reference validator reports an error."""
    got: bool
    reason: str
    """Why the two differ; empty if they agree."""


def refused(text: str, policy: Policy = DEFAULT) -> bool:
    """Whether we report an error."""
    try:
        return any(each.severity == "error" for each in check(text.encode(), policy))
    except Malformed:
        return True


def verdicts() -> list[Verdict]:
    """All cases."""
    found = []
    for line in lines("validator-r4.ndjson.gz"):
        case = json.loads(line)
        name, expected = case["name"], case["errors"] > 0
        got = refused(case["resource"], OPTIONS.get(name, DEFAULT))
        reason = "" if got == expected else OTHERWISE.get(name, "not explained")
        found.append(Verdict(name, case["module"], case["module"] not in NOT_STRUCTURAL, expected, got, reason))
    return found


def run() -> Area:
    """All cases; a verdict that differs is a failure unless its reason is named."""
    found = verdicts()
    structural = [each for each in found if each.structural]
    rest = [each for each in found if not each.structural]
    different = [each for each in found if each.expected != each.got]
    rows = (
        Row(STRUCTURAL, _same(structural), len(structural), "the others need SNOMED CT and LOINC, see below"),
        Row("cases of terminology, signatures, packages: same verdict", _same(rest), len(rest)),
    )
    return Area(
        "Validation",
        rows,
        tuple(f"{each.name}: {each.reason}" for each in different if each.name not in OTHERWISE),
        tuple(f"`{each.name}` ({each.module}): {each.reason}." for each in different),
    )


def _same(some: list[Verdict]) -> int:
    return sum(each.expected == each.got for each in some)
