# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""Extensions: where the published ones may stand and what their value may be; which are unknown.

`extensions.csv` is derived from hl7.fhir.r4.core 4.0.1 (CC0-1.0). https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from collections.abc import Iterable
import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from fhir_server.validation.definitions import Kind, kind
from fhir_server.validation.examples import is_example
from fhir_server.validation.policy import Policy
from fhir_server.validation.problem import Problem

_TABLE: Final = Path(__file__).parent / "extensions.csv"
_UNKNOWN: Final = "this extension is not among those known here; name a published one or have its definition loaded"
_ANYWHERE: Final = "Element"
_EXAMPLE: Final = "name the extension by its real URL, not by one that stands for examples"


@dataclass(frozen=True, slots=True)
class Published:
    """One extension of the specification."""

    contexts: frozenset[str]
    """Types and paths where it may stand."""
    values: frozenset[str]
    """The properties its value may have, `valueCode`; empty: it has extensions of its own instead."""


@cache
def published() -> dict[str, Published]:
    """R4's own extensions by URL."""
    found = {}
    with _TABLE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            contexts = frozenset(_placed(each) for each in row["contexts"].split())
            values = frozenset(f"value{each[0].upper()}{each[1:]}" for each in row["types"].split())
            found[row["url"]] = Published(contexts, values)
    return found


def _placed(path: str) -> str:
    """A context as our tables name the place: a path through a data type begins at that type."""
    steps = path.removesuffix("[x]").split(".")
    at = steps[0]
    for step in steps[1:]:
        of = kind(at)
        found = of.elements.get(step) if of is not None else None
        if found is None or step == steps[-1]:
            return f"{at}.{step}"
        at = found[1]
    return at


def check_extensions(holder: dict[str, Any], of: Kind, path: str, policy: Policy) -> list[Problem]:
    """The extensions of a value of the type, which stands at the path of an element (empty: on its own)."""
    found: list[Problem] = []
    for name in ("extension", "modifierExtension"):
        held = holder.get(name)
        for at, each in enumerate(held if isinstance(held, list) else ()):
            if isinstance(each, dict):
                for problem in _one(each, of, path, policy):
                    place = f"{name}[{at}]"
                    found.append(problem._replace(path=f"{place}.{problem.path}" if problem.path else place))
    return found


@cache
def _defining(name: str) -> bool:
    """Whether the type defines something: R4's own definitions carry extensions outside their stated contexts."""
    of = kind(name)
    return name == "ElementDefinition" or (of is not None and {"url", "status", "version"} <= of.elements.keys())


def _one(extension: dict[str, Any], of: Kind, path: str, policy: Policy) -> Iterable[Problem]:
    url = extension.get("url")
    if not isinstance(url, str) or ":" not in url:
        return
    known = published().get(url)
    if known is None:
        unheard = policy.unknown_extensions
        if unheard and url not in policy.known_extensions and not url.startswith(policy.known_domains):
            yield Problem("", _UNKNOWN, "extension", unheard)
        if policy.example_urls is not None and is_example(url):
            yield Problem("url", _EXAMPLE, "value", policy.example_urls)
        return
    fits = known.contexts & {_ANYWHERE, path.removesuffix("[x]")} or not known.contexts.isdisjoint(of.ancestors)
    if not fits and not _defining(of.name.partition(".")[0]):
        where = ", ".join(sorted(known.contexts))
        yield Problem("", f"this extension stands at {where}; move it there or leave it out", "extension")
    given = next((name.removeprefix("_") for name in extension if name.startswith(("value", "_value"))), None)
    if given is not None and given not in known.values:
        choice = ", ".join(sorted(known.values)) or "extensions of its own"
        yield Problem(given, f"give this extension {choice}", "extension")
